// Leases in memory: for tests.
import { type Clock, systemClock } from "@proj/concurrency";
import type { LoadLease } from "./tier.ts";

/** What can be set on a {@link MemoryLease}. */
export interface MemoryLeaseOptions {
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
}

/**
 * The {@link LoadLease} of several caches in this process.
 *
 * @example
 * ```ts
 * import { MemoryLease } from "@proj/memory/testing";
 *
 * const leases = new MemoryLease();
 * const held = await leases.tryAcquire("ada", 1_000);
 * console.log(await leases.tryAcquire("ada", 1_000)); // prints: undefined
 * await held?.release();
 * ```
 */
export class MemoryLease implements LoadLease {
  readonly #clock: Clock;
  readonly #held = new Map<string, { readonly until: number }>();

  constructor({ clock = systemClock }: MemoryLeaseOptions = {}) {
    this.#clock = clock;
  }

  async tryAcquire(key: string, ttl: number): Promise<{ release(): Promise<void> } | undefined> {
    const held = this.#held.get(key);
    if (held !== undefined && held.until > this.#clock.now()) return undefined;
    const lease = { until: this.#clock.now() + ttl };
    this.#held.set(key, lease);
    return {
      release: async () => {
        if (this.#held.get(key) === lease) this.#held.delete(key);
      },
    };
  }
}
