// A meeting point: nobody goes on before all have come.
import { BarrierBrokenError } from "./barrier-broken-error.ts";
import { checkCount } from "./check.ts";
import type { TimedWaitOptions } from "./wait-options.ts";
import { type SynchronizerOptions, WaitingRoom } from "./waiting-room.ts";

/**
 * Lets `parties` callers go on together, again and again: when the last of them has come, the barrier is ready for the
 * next round.
 *
 * **Order**: those who wait go on in order of arrival, the last one first of all. **Abort**: a party that gives up
 * rejects with its own reason, and breaks the barrier: all who wait, and all who come, reject with a
 * {@link BarrierBrokenError} until somebody calls `reset`. Whoever had come together with all others goes on, even if
 * its signal aborts in the same turn.
 *
 * @example
 * ```ts
 * import { Barrier } from "@proj/concurrency";
 *
 * const barrier = new Barrier(2, { name: "end of round" });
 * const log: string[] = [];
 * async function party(name: string): Promise<void> {
 *   for (const round of [1, 2]) {
 *     log.push(`${name}${round}`);
 *     await barrier.wait();
 *   }
 * }
 * await Promise.all([party("a"), party("b")]);
 * console.log(log.map((entry) => entry[1]).join("")); // prints: 1122
 * ```
 */
export class Barrier {
  /** How many have to come. */
  readonly parties: number;
  readonly #room: WaitingRoom;
  #round: Round = { broken: false };

  /** @throws TypeError or RangeError for a number of parties that is none */
  constructor(parties: number, options: SynchronizerOptions = {}) {
    this.parties = checkCount("create a Barrier", "parties", parties, 1);
    this.#room = new WaitingRoom("barrier", options, () => this.#break());
  }

  /** As in the options; `"barrier"` without one. */
  get name(): string {
    return this.#room.name;
  }

  /** How many have come and wait for the others. */
  get waiting(): number {
    return this.#room.size;
  }

  /** Whether somebody has given up since the last `reset`. */
  get broken(): boolean {
    return this.#round.broken;
  }

  /**
   * Waits for the others. Gives how many were still missing when this caller came: 0 for the last one.
   *
   * @throws BarrierBrokenError · the reason of the signal or context · TimeoutError
   */
  async wait(options: TimedWaitOptions = {}): Promise<number> {
    const round = this.#round;
    if (round.broken) throw new BarrierBrokenError(this.name, round);
    const waiter = this.#room.enter(options);
    const missing = this.parties - this.#room.size;
    if (missing === 0) this.#room.serveAll();
    const failure = await waiter.outcome;
    if (failure === undefined) return missing;
    const error = failure();
    round.cause ??= error; // the first to wake up is the one who broke it: those who follow tell why
    throw error;
  }

  /** Sends all who wait away with a {@link BarrierBrokenError}, and starts anew. */
  reset(): void {
    this.#break();
    this.#round = { broken: false };
  }

  /** Somebody has left, or has to. Sending the others away calls it again, to no effect. */
  #break(): void {
    const round = this.#round;
    if (round.broken) return;
    round.broken = true;
    this.#room.failAll(() => new BarrierBrokenError(this.name, round));
  }
}

/** From one gathering of all to the next `reset`. `cause` tells why it is broken. */
interface Round extends ErrorOptions {
  broken: boolean;
}
