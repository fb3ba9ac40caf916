// Those who wait for a key, served in the order in which they came.
import { checkCount, checkDuration } from "./check.ts";
import type { Clock, Timer } from "./clock.ts";
import type { ContextNode } from "./context-node.ts";
import { contextFor } from "./derive.ts";
import { RateLimitedError } from "./rate-limited-error.ts";
import type { TakeOptions } from "./rate-limiter.ts";
import { until } from "./until.ts";
import { Waiter, WaitQueue } from "./wait-queue.ts";

/** What the lines need to know of the limiter they belong to. 0 means taken, else milliseconds until another try. */
export interface Turnstile<K> {
  /** For a newcomer, who stands behind all that are in line for the key. */
  tryTake(key: K, cost: number): number | Promise<number>;
  /** For the first in line. */
  admit(key: K, cost: number): number | Promise<number>;
  /** Gets back what was taken for somebody who left meanwhile; needed where the answer takes its time. */
  giveBack?(key: K, cost: number): void;
  /** Told of each caller that is turned away, and what it is told. */
  refused?(key: K, cost: number, wait: number): void;
}

/** One line per key, there only while somebody waits in it, with one timer for its head. */
export class TurnQueue<K> {
  readonly #clock: Clock;
  readonly #turnstile: Turnstile<K>;
  readonly #lines = new Map<K, Line>();

  constructor(clock: Clock, turnstile: Turnstile<K>) {
    this.#clock = clock;
    this.#turnstile = turnstile;
  }

  /** How many wait, for whatever key. */
  get waiting(): number {
    let waiting = 0;
    for (const { size } of this.#lines.values()) waiting += size;
    return waiting;
  }

  /** How many units those ask for who wait for the key. */
  unitsAhead(key: K): number {
    return this.#lines.size === 0 ? 0 : (this.#lines.get(key)?.units ?? 0);
  }

  /**
   * Takes now or in turn; rejects as soon as it is clear that the turn would come too late. `longest` is the default of
   * `maxQueue`.
   */
  async take(key: K, cost: number, options: TakeOptions = {}, longest = Number.POSITIVE_INFINITY): Promise<void> {
    const action = "take from a rate limiter";
    const { timeout = Number.POSITIVE_INFINITY, maxQueue = longest } = options;
    checkDuration(action, "timeout", timeout);
    checkCount(action, "maxQueue", maxQueue, 0, true);
    const context = contextFor(action, options.signal);
    context.throwIfCancelled();

    const start = timeout === Number.POSITIVE_INFINITY ? 0 : this.#clock.now();
    const answer = this.#turnstile.tryTake(key, cost);
    const delay = typeof answer === "number" ? answer : await this.#until(context, answer, key, cost);
    if (delay === 0) return;
    context.throwIfCancelled(); // it may have ended since the answer came
    const now = this.#clock.now();
    const latest = Math.min(start + timeout, now + context.remaining);
    const line = this.#lines.get(key) ?? new Line(() => this.#serve(key, line));
    if (!isInTime(delay, now, latest) || line.size >= maxQueue) {
      this.#turnstile.refused?.(key, cost, delay);
      throw new RateLimitedError(delay);
    }

    const waiter = new Caller(line, cost, latest);
    line.push(waiter);
    waiter.leaveWith(context);
    if (line.head === waiter) {
      this.#lines.set(key, line);
      this.#settle(delay, waiter, key, line);
    }
    const giveUp = this.#clock.setTimeout(() => this.#giveUp(waiter, key, line), start + timeout - now);
    const failure = await waiter.outcome;
    giveUp.clear();
    if (failure !== undefined) throw failure();
  }

  /** Asks for the head of a key's line now instead of when its time comes. */
  hurry(key: K): void {
    const line = this.#lines.get(key);
    if (line !== undefined) this.#serve(key, line);
  }

  #serve(key: K, line: Line): void {
    line.timer?.clear();
    if (line.isBusy) return; // whoever is at it goes on to the end: in a loop, since a line may be longer than the stack
    line.isBusy = true;
    let { head } = line;
    for (; head !== undefined; head = line.head) {
      const wait = this.#turnstile.admit(key, head.weight);
      if (typeof wait !== "number") {
        void this.#serveAfter(wait, head, key, line);
        return;
      }
      if (!this.#settle(wait, head, key, line)) break;
    }
    line.isBusy = false;
    if (head === undefined) this.#lines.delete(key);
  }

  async #serveAfter(answer: Promise<number>, asked: Caller, key: K, line: Line): Promise<void> {
    const wait = await answer;
    const isThere = line.head === asked;
    if (!isThere && wait === 0) this.#turnstile.giveBack?.(key, asked.weight);
    const isOver = !isThere || this.#settle(wait, asked, key, line);
    line.isBusy = false;
    if (isOver) this.#serve(key, line);
  }

  /** Serves the head, turns it away when it would be too late for it, or sets the timer. Returns whether it has left. */
  #settle(wait: number, head: Caller, key: K, line: Line): boolean {
    if (wait === 0) {
      line.remove(head);
      head.serve();
      return true;
    }
    const now = this.#clock.now();
    if (!isInTime(wait, now, head.latest)) {
      this.#refuse(head, key, wait);
      return true;
    }
    line.dueAt = now + wait;
    line.timer = this.#clock.setTimeout(() => this.#serve(key, line), wait);
    line.timer.ref(); // somebody waits for it
    return false;
  }

  /** The delay it was told was the least there could be; behind others it has turned out longer. */
  #giveUp(waiter: Caller, key: K, line: Line): void {
    this.#serve(key, line); // its turn may have come at this very moment
    if (waiter.isWaiting) this.#refuse(waiter, key, Math.max(1, line.dueAt - this.#clock.now()));
  }

  #refuse(waiter: Caller, key: K, wait: number): void {
    waiter.fail(() => new RateLimitedError(wait));
    this.#turnstile.refused?.(key, waiter.weight, wait); // whoever is told may do anything
  }

  /** The answer for a newcomer, who does not wait for it any longer than its context lasts. */
  async #until(context: ContextNode, answer: Promise<number>, key: K, cost: number): Promise<number> {
    try {
      return await until(context, answer);
    } catch (error) {
      void answer.then((delay) => delay === 0 && this.#turnstile.giveBack?.(key, cost));
      throw error;
    }
  }
}

function isInTime(wait: number, now: number, latest: number): boolean {
  return wait !== Number.POSITIVE_INFINITY && now + wait <= latest;
}

class Caller extends Waiter {
  /** In the time of the clock: when its turn must have come. */
  readonly latest: number;
  isWaiting = true;

  constructor(line: Line, cost: number, latest: number) {
    super(line, cost, 0);
    this.latest = latest;
  }
}

class Line extends WaitQueue {
  /** What all in line ask for. */
  units = 0;
  /** Rings when the head has a chance. */
  timer: Timer | undefined;
  /** When that is. */
  dueAt = 0;
  /** Whether somebody is serving it, or the answer for its head is on its way. */
  isBusy = false;

  override get head(): Caller | undefined {
    return super.head as Caller | undefined; // push() takes no other
  }

  override push(waiter: Caller): void {
    super.push(waiter);
    this.units += waiter.weight;
  }

  override remove(waiter: Caller): void {
    super.remove(waiter);
    waiter.isWaiting = false;
    this.units -= waiter.weight;
  }
}
