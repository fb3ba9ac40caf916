// A switch that callers can wait for.
import type { TimedWaitOptions } from "./wait-options.ts";
import { type SynchronizerOptions, WaitingRoom } from "./waiting-room.ts";

/**
 * Holds callers back until it is set, and lets everybody pass until it is cleared again.
 *
 * **Order**: all who wait when it is set go on, in order of arrival, even if it is cleared right after that. **Abort**: a
 * caller whose signal or context ends leaves in the same turn and rejects with that reason, untouched.
 *
 * @example
 * ```ts
 * import { Event } from "@proj/concurrency";
 *
 * const ready = new Event({ name: "ready" });
 * const waiting = ready.wait({ timeout: 5_000 }).then(() => "went on");
 * ready.set();
 * console.log(await waiting, ready.isSet); // prints: went on true
 * ```
 */
export class Event {
  readonly #room: WaitingRoom;
  #isSet = false;

  constructor(options: SynchronizerOptions = {}) {
    this.#room = new WaitingRoom("event", options);
  }

  /** As in the options; `"event"` without one. */
  get name(): string {
    return this.#room.name;
  }

  /** Whether callers pass. */
  get isSet(): boolean {
    return this.#isSet;
  }

  /** How many callers wait. */
  get waiting(): number {
    return this.#room.size;
  }

  /** Lets all who wait, and all who come, pass. */
  set(): void {
    this.#isSet = true;
    this.#room.serveAll();
  }

  /** Holds back those who come from now on. */
  clear(): void {
    this.#isSet = false;
  }

  /**
   * Passes at once if it is set, else waits until it is.
   *
   * @throws the reason of the signal or context, also when it has ended before · TimeoutError
   */
  async wait(options: TimedWaitOptions = {}): Promise<void> {
    const waiter = this.#room.enter(options);
    if (this.#isSet) this.#room.serveAll();
    const failure = await waiter.outcome;
    if (failure !== undefined) throw failure();
  }
}
