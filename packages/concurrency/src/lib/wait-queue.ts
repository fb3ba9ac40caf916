// Callers in line: first in first out within a priority, each free to leave at any moment.
import type { Receiver, Source, Subscription } from "./cancellation.ts";
import type { Clock, Timer } from "./clock.ts";
import type { ContextNode } from "./context-node.ts";

/**
 * Why a caller left the line without being served. The error is made by the caller's own async function after it woke
 * up: only there does its stack show who was waiting.
 */
export type Failure = () => unknown;

/** One caller in line. `outcome` resolves with nothing when it was served. */
export class Waiter implements Receiver {
  readonly weight: number;
  readonly priority: number;
  readonly outcome: Promise<Failure | undefined>;
  /** Where it stands in its line. */
  place = 0;
  readonly #queue: WaitQueue;
  readonly #resolve: (outcome: Failure | undefined) => void;
  #subscription: Subscription | undefined;
  #timer: Timer | undefined;

  constructor(queue: WaitQueue, weight: number, priority: number) {
    this.#queue = queue;
    this.weight = weight;
    this.priority = priority;
    this.outcome = new Promise(keepResolver);
    this.#resolve = resolver;
  }

  /** Leaves the line when the context ends. */
  leaveWith(context: ContextNode): void {
    if (!context.isRoot) this.#subscription = context.subscribe(this);
  }

  /** Leaves the line after a time. */
  leaveAfter(clock: Clock, timeout: number, failure: Failure): void {
    this.#timer = clock.setTimeout((waiter) => waiter.fail(failure), timeout, this as Waiter);
  }

  cancelledBy(cause: unknown): Source | undefined {
    this.fail(() => cause);
    return undefined;
  }

  /** The caller's turn has come; the queue has let go of it already. */
  serve(): void {
    this.#settle(undefined);
  }

  fail(failure: Failure): void {
    this.#queue.remove(this);
    this.#settle(failure);
    this.#queue.onLeft();
  }

  #settle(outcome: Failure | undefined): void {
    this.#timer?.clear();
    this.#subscription?.[Symbol.dispose]();
    this.#resolve(outcome);
  }
}

let resolver: (outcome: Failure | undefined) => void;

/** One function for all promises, which saves a closure for each. */
function keepResolver(resolve: (outcome: Failure | undefined) => void): void {
  resolver = resolve;
}

/** A line for each priority that somebody waits with. */
export class WaitQueue {
  /** Called when a waiter has left unserved: those behind it may fit now. */
  readonly onLeft: () => void;
  /** Highest priority first. None is empty. */
  readonly #lines: Line[] = [];
  #size = 0;

  constructor(onLeft: () => void) {
    this.onLeft = onLeft;
  }

  get size(): number {
    return this.#size;
  }

  /** The oldest of the highest priority. */
  get head(): Waiter | undefined {
    return this.#lines[0]?.first;
  }

  push(waiter: Waiter): void {
    const { priority } = waiter;
    let index = this.#lines.length;
    while (index > 0 && this.#lineAt(index - 1).priority < priority) index--;
    let line = this.#lines[index - 1];
    if (line?.priority !== priority) {
      line = new Line(priority);
      this.#lines.splice(index, 0, line);
    }
    line.push(waiter);
    this.#size++;
  }

  remove(waiter: Waiter): void {
    let index = 0;
    while (this.#lineAt(index).priority !== waiter.priority) index++;
    if (this.#lineAt(index).remove(waiter)) this.#lines.splice(index, 1);
    this.#size--;
  }

  #lineAt(index: number): Line {
    // Every caller has an index from this array's own bounds.
    return this.#lines[index] as Line;
  }
}

/**
 * An array in which those who leave from the middle make holes. A linked list would do without, but a long one is slow
 * to collect: its waiters can only be visited one after the other.
 */
class Line {
  readonly priority: number;
  #slots: (Waiter | undefined)[] = [];
  /** The slot of the first. All before it are empty. */
  #start = 0;
  #size = 0;

  constructor(priority: number) {
    this.priority = priority;
  }

  get first(): Waiter | undefined {
    return this.#slots[this.#start];
  }

  push(waiter: Waiter): void {
    waiter.place = this.#slots.push(waiter) - 1;
    this.#size++;
  }

  /** Returns whether the line is empty now. */
  remove(waiter: Waiter): boolean {
    this.#slots[waiter.place] = undefined;
    this.#size--;
    if (this.#size === 0) return true;
    while (this.#slots[this.#start] === undefined) this.#start++;
    // Copies less than it has freed, so that leaving takes constant time on average.
    if (this.#size * 2 < this.#slots.length && this.#slots.length > 64) this.#closeRanks();
    return false;
  }

  #closeRanks(): void {
    const waiters: Waiter[] = [];
    for (const waiter of this.#slots) {
      if (waiter !== undefined) waiter.place = waiters.push(waiter) - 1;
    }
    this.#slots = waiters;
    this.#start = 0;
  }
}
