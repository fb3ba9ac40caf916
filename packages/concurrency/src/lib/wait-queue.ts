// Callers in line: first in first out within a priority, each free to leave at any moment.
import type { Receiver, Source, Subscription } from "./cancellation.ts";
import type { Clock, Timer } from "./clock.ts";
import type { ContextNode } from "./context-node.ts";
import { keepResolvers, resolver } from "./keep-resolvers.ts";
import { keepShape } from "./keep-shape.ts";
import { WaitLine } from "./wait-line.ts";

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
    this.outcome = new Promise(keepResolvers);
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
    this.dismiss(failure);
    this.#queue.onLeft();
  }

  /** As `fail`, where nobody is to move up. */
  dismiss(failure: Failure): void {
    this.#queue.remove(this);
    this.#settle(failure);
  }

  #settle(outcome: Failure | undefined): void {
    this.#timer?.clear();
    this.#subscription?.[Symbol.dispose]();
    this.#resolve(outcome);
  }
}

/** A line for each priority that somebody waits with. */
export class WaitQueue {
  /** Called when a waiter has left unserved: those behind it may fit now. */
  readonly onLeft: () => void;
  /** The line of the highest priority. Empty only if nobody waits at all. */
  #top = new WaitLine<Waiter>();
  /** The other lines, highest priority first. None is empty. */
  readonly #others: WaitLine<Waiter>[] = [];
  #size = 0;

  constructor(onLeft: () => void) {
    this.onLeft = onLeft;
  }

  get size(): number {
    return this.#size;
  }

  /** The oldest of the highest priority. */
  get head(): Waiter | undefined {
    return this.#top.first;
  }

  push(waiter: Waiter): void {
    const { priority } = waiter;
    if (this.#size++ === 0) this.#top.priority = priority;
    const line = this.#top.priority === priority ? this.#top : this.#lineOf(priority);
    line.push(waiter);
  }

  remove(waiter: Waiter): void {
    this.#size--;
    const top = this.#top;
    if (top.priority !== waiter.priority) {
      this.#removeFromOthers(waiter);
      return;
    }
    top.remove(waiter);
    if (top.size === 0 && this.#size > 0) this.#top = this.#others.shift() as WaitLine<Waiter>; // somebody waits elsewhere
  }

  #removeFromOthers(waiter: Waiter): void {
    const index = this.#others.findIndex(({ priority }) => priority === waiter.priority);
    const line = this.#others[index] as WaitLine<Waiter>; // the waiter is in one of them
    line.remove(waiter);
    if (line.size === 0) this.#others.splice(index, 1);
  }

  /** The line of a priority that is not that of the top line, made if there is none. */
  #lineOf(priority: number): WaitLine<Waiter> {
    if (priority > this.#top.priority) {
      this.#others.unshift(this.#top);
      this.#top = new WaitLine(priority);
      return this.#top;
    }
    const found = this.#others.findIndex((line) => line.priority <= priority);
    const index = found < 0 ? this.#others.length : found;
    let line = this.#others[index];
    if (line?.priority !== priority) {
      line = new WaitLine(priority);
      this.#others.splice(index, 0, line);
    }
    return line;
  }
}

keepShape(new Waiter(new WaitQueue(() => {}), 1, 0));
