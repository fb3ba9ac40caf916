// Waking threads that wait at a ring: an event count. Whoever changes the ring rings the bell after the change; whoever
// waits announces itself first and looks once more before it sleeps. One of the two always sees the other.
import type { ContextNode } from "./context-node.ts";
import { until } from "./until.ts";

export class RingBell {
  readonly #words: Int32Array;
  /** The word that threads sleep on, changed by each ring. */
  readonly #epoch: number;
  /** How many have announced themselves. A thread that is killed in its sleep stays counted: that costs a wake-up. */
  readonly #waiters: number;

  constructor(words: Int32Array, index: number) {
    this.#words = words;
    this.#epoch = index;
    this.#waiters = index + 1;
  }

  /** Wakes all: each looks for itself. To wake just one could wake one that has been given up. */
  ring(): void {
    if (Atomics.load(this.#words, this.#waiters) === 0) return;
    Atomics.add(this.#words, this.#epoch, 1);
    Atomics.notify(this.#words, this.#epoch);
  }

  /** Blocks the thread until `attempt` gives something other than undefined, or for `timeout` milliseconds. */
  block<T>(attempt: () => T | undefined, timeout: number): T | undefined {
    const end = performance.now() + timeout;
    for (;;) {
      const epoch = this.#announce();
      try {
        const result = attempt();
        if (result !== undefined) return result;
        const left = end - performance.now();
        if (left <= 0) return undefined;
        Atomics.wait(this.#words, this.#epoch, epoch, left);
      } finally {
        this.#leave();
      }
    }
  }

  /** Waits, without blocking the thread, until `attempt` gives something other than undefined. */
  async wait<T>(attempt: () => T | undefined, context: ContextNode): Promise<T> {
    for (;;) {
      context.throwIfCancelled();
      const epoch = this.#announce();
      try {
        const result = attempt();
        if (result !== undefined) return result;
        const woken = Atomics.waitAsync(this.#words, this.#epoch, epoch);
        if (woken.async) await stayAlive(until(context, woken.value));
      } catch (error) {
        // What nobody waits for any longer would stay with the platform until the next record. Others look once more.
        Atomics.notify(this.#words, this.#epoch);
        throw error;
      } finally {
        this.#leave();
      }
    }
  }

  #announce(): number {
    Atomics.add(this.#words, this.#waiters, 1);
    return Atomics.load(this.#words, this.#epoch);
  }

  #leave(): void {
    Atomics.sub(this.#words, this.#waiters, 1);
  }
}

/** A pending `Atomics.waitAsync` does not keep its thread alive. Somebody waits here, so a timer does. */
async function stayAlive<T>(promise: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, 2 ** 31 - 1);
  try {
    return await promise;
  } finally {
    clearInterval(timer);
  }
}
