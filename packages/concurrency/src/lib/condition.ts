// Waiting for a change of what a mutex protects.
import { currentNode } from "./ambient.ts";
import { detach } from "./derive.ts";
import { lend, type Mutex, takeBack } from "./mutex.ts";
import type { TimedWaitOptions } from "./wait-options.ts";
import { type SynchronizerOptions, WaitingRoom } from "./waiting-room.ts";

/**
 * Lets holders of a mutex wait until another one has changed something: `wait` gives the mutex away and has it again
 * when it returns. What was waited for may have changed back by then, so ask in a loop.
 *
 * **Order**: `notify` wakes the one who has waited longest; whoever was woken gets in line for the mutex like everybody.
 * **Abort**: who gives up holds the mutex again before it rejects. Whoever `notify` has chosen returns normally, even if
 * its signal aborts before it has the mutex: no notification is lost with a caller that has left.
 *
 * @example
 * ```ts
 * import { Condition, Mutex } from "@proj/concurrency";
 *
 * const mutex = new Mutex();
 * const filled = new Condition(mutex);
 * const items: string[] = [];
 *
 * const taking = mutex.run(async () => {
 *   while (items.length === 0) await filled.wait();
 *   return items.shift();
 * });
 * await mutex.run(() => {
 *   items.push("first");
 *   filled.notify();
 * });
 * console.log(await taking); // prints: first
 * ```
 */
export class Condition {
  readonly #mutex: Mutex;
  readonly #room: WaitingRoom;

  /** The mutex is that which callers of `wait` hold, by `run` or by a permit. */
  constructor(mutex: Mutex, options: SynchronizerOptions = {}) {
    this.#mutex = mutex;
    this.#room = new WaitingRoom("condition", options);
  }

  /** As in the options; `"condition"` without one. */
  get name(): string {
    return this.#room.name;
  }

  /** How many callers wait to be notified. */
  get waiting(): number {
    return this.#room.size;
  }

  /**
   * Gives the mutex away, waits for a notification, and gets the mutex back, however long that takes.
   *
   * @throws the reason of the signal or context · TimeoutError · TypeError if nobody holds the mutex
   */
  async wait(options: TimedWaitOptions = {}): Promise<void> {
    if (!this.#mutex.locked) throw new TypeError(`Cannot wait for ${this.name}: ${this.#mutex.name} is not held`);
    const waiter = this.#room.enter(options);
    lend(this.#mutex);
    const failure = await waiter.outcome;
    await takeBack(this.#mutex, detach(currentNode()));
    if (failure !== undefined) throw failure();
  }

  /** Wakes the one who has waited longest, or nobody. */
  notify(): void {
    this.#room.serveFirst();
  }

  /** Wakes all who wait now. */
  notifyAll(): void {
    this.#room.serveAll();
  }
}
