// A gate that opens once, after a number of things have happened.
import { checkCount } from "./check.ts";
import type { TimedWaitOptions } from "./wait-options.ts";
import { type SynchronizerOptions, WaitingRoom } from "./waiting-room.ts";

/**
 * Holds callers back until it has been counted down to zero, and never again after that.
 *
 * **Order**: all who wait go on in order of arrival. **Abort**: a caller whose signal or context ends leaves in the same
 * turn and rejects with that reason, untouched; the count stays.
 *
 * @example
 * ```ts
 * import { Latch } from "@proj/concurrency";
 *
 * const started = new Latch(2, { name: "both parts started" });
 * const waiting = started.wait().then(() => "both have started");
 * started.countDown();
 * started.countDown();
 * console.log(await waiting, started.count); // prints: both have started 0
 * ```
 */
export class Latch {
  readonly #room: WaitingRoom;
  #count: number;

  /** @throws TypeError or RangeError for a count that is none. With 0 it is open from the start. */
  constructor(count: number, options: SynchronizerOptions = {}) {
    this.#count = checkCount("create a Latch", "count", count, 0);
    this.#room = new WaitingRoom("latch", options);
  }

  /** As in the options; `"latch"` without one. */
  get name(): string {
    return this.#room.name;
  }

  /** How often it has to be counted down still. */
  get count(): number {
    return this.#count;
  }

  /** How many callers wait. */
  get waiting(): number {
    return this.#room.size;
  }

  /** Counts down by `by` (default: 1), not below zero. At zero everybody passes. */
  countDown(by = 1): void {
    this.#count = Math.max(0, this.#count - checkCount("count down a Latch", "by", by, 1));
    if (this.#count === 0) this.#room.serveAll();
  }

  /**
   * Passes at once if the count is zero, else waits until it is.
   *
   * @throws the reason of the signal or context, also when it has ended before · TimeoutError
   */
  async wait(options: TimedWaitOptions = {}): Promise<void> {
    const waiter = this.#room.enter(options);
    if (this.#count === 0) this.#room.serveAll();
    const failure = await waiter.outcome;
    if (failure !== undefined) throw failure();
  }
}
