// Callers who wait for something to happen, in order of arrival, each free to leave at any moment.
import { checkDuration } from "./check.ts";
import { type Clock, systemClock } from "./clock.ts";
import { contextFor } from "./derive.ts";
import { TimeoutError } from "./timeout-error.ts";
import type { TimedWaitOptions } from "./wait-options.ts";
import { type Failure, Waiter, WaitQueue } from "./wait-queue.ts";

/** How a `Barrier`, `Condition`, `Event` or `Latch` behaves. */
export interface SynchronizerOptions {
  /** Used in error messages. Default: what it is. */
  readonly name?: string | undefined;
  /** Measures `timeout`. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** Those who wait. */
export class WaitingRoom {
  readonly name: string;
  readonly #queue: WaitQueue;
  readonly #clock: Clock;

  /** `onLeft` is told when somebody has given up. */
  constructor(kind: string, options: SynchronizerOptions, onLeft: () => void = () => {}) {
    this.name = options.name ?? kind;
    this.#clock = options.clock ?? systemClock;
    this.#queue = new WaitQueue(onLeft);
  }

  get size(): number {
    return this.#queue.size;
  }

  /**
   * Checks whether the caller may wait at all. Await the `outcome` of the result, and throw the failure in it: only the
   * caller's own async function can make an error whose stack shows who waited.
   */
  enter(options: TimedWaitOptions): Waiter {
    const { timeout, signal } = options;
    if (timeout !== undefined) checkDuration(`wait for ${this.name}`, "timeout", timeout);
    const context = contextFor(`wait for ${this.name}`, signal);
    context.throwIfCancelled();
    const waiter = new Waiter(this.#queue, 1, 0);
    this.#queue.push(waiter);
    waiter.leaveWith(context);
    if (timeout !== undefined) waiter.leaveAfter(this.#clock, timeout, () => this.#timeoutError(timeout));
    return waiter;
  }

  /** Lets the one go on who has waited longest. Returns whether there was one. */
  serveFirst(): boolean {
    const { head } = this.#queue;
    if (head === undefined) return false;
    this.#queue.remove(head);
    head.serve();
    return true;
  }

  /** Lets all go on, in order. */
  serveAll(): void {
    while (this.serveFirst());
  }

  /** Sends all away, in order. */
  failAll(failure: Failure): void {
    for (let { head } = this.#queue; head !== undefined; head = this.#queue.head) head.fail(failure);
  }

  #timeoutError(timeout: number): TimeoutError {
    return new TimeoutError(`Cannot wait for ${this.name} any longer: it took more than ${timeout} ms`, timeout);
  }
}
