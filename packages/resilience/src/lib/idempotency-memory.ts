// Records of idempotent calls in the memory of one process.
import { type Clock, QueueFullError, systemClock } from "@proj/concurrency";
import type { ComponentStats } from "@proj/concurrency/inspect";
import { checkCount } from "@proj/concurrency/options";
import type { IdempotencyClaim, IdempotencyState, IdempotencyStore } from "./idempotency-store.ts";

/** What can be set on a {@link memoryIdempotency}. */
export interface MemoryIdempotencyOptions {
  /**
   * How many records there may be. For one more, the outcome that was kept first is forgotten before its time; when all
   * are of runs that go on, the call is refused with a `QueueFullError`. Default: 10,000.
   */
  readonly max?: number | undefined;
  /** Measures leases and the time for which outcomes are kept. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** The records of one process. */
export interface MemoryIdempotency extends IdempotencyStore {
  begin(key: string, claim: IdempotencyClaim): IdempotencyState;
  renew(key: string, owner: string, lease: number): boolean;
  complete(key: string, owner: string, outcome: string, ttl: number): boolean;
  abandon(key: string, owner: string): boolean;
  /** How many records there are, and how many outcomes were forgotten before their time for want of room. */
  stats(): ComponentStats;
}

/**
 * Keeps records in memory: they end with the process, and other processes do not see them. No timers: what has expired
 * is dropped as new keys come, a few at a time, so a call costs the same whatever the number of records.
 *
 * @example
 * ```ts
 * import { idempotencyGuard, memoryIdempotency } from "@proj/resilience";
 *
 * const store = memoryIdempotency({ max: 1_000 });
 * const guard = idempotencyGuard({ store, ttl: 3_600_000 });
 * await guard.run("order-1", () => "charged");
 * console.log(store.stats()); // prints: { records: 1, evicted: 0 }
 * ```
 */
export function memoryIdempotency(options: MemoryIdempotencyOptions = {}): MemoryIdempotency {
  return new MemoryStore(options);
}

interface Started {
  readonly owner: string;
  readonly fence: number;
  readonly fingerprint: string;
  readonly ttl: number;
  leaseEndsAt: number;
}

interface Completed {
  readonly owner: string;
  readonly fingerprint: string;
  readonly outcome: string;
  readonly expiresAt: number;
}

class MemoryStore implements MemoryIdempotency {
  readonly #max: number;
  readonly #clock: Clock;
  // Two maps, each in the order in which its records were made, which is about that in which they expire.
  readonly #started = new Map<string, Started>();
  readonly #completed = new Map<string, Completed>();
  #lastFence = 0;
  #evicted = 0;

  constructor({ max = 10_000, clock = systemClock }: MemoryIdempotencyOptions) {
    this.#max = checkCount("create a memoryIdempotency", "max", max, 1);
    this.#clock = clock;
  }

  begin(key: string, claim: IdempotencyClaim): IdempotencyState {
    const now = this.#clock.now();
    const completed = this.#completed.get(key);
    if (completed !== undefined && now < completed.expiresAt) return { state: "completed", ...completed };
    const started = this.#started.get(key);
    if (started !== undefined && now < expiryOf(started)) {
      const { owner, fence, leaseEndsAt } = started;
      if (owner === claim.owner) {
        started.leaseEndsAt = now + claim.lease;
        return { state: "begun", fence };
      }
      if (now < leaseEndsAt) return { state: "running", ...started };
      if (owner !== claim.takeOver) return { state: "crashed", ...started };
    }
    return this.#start(key, claim, now);
  }

  renew(key: string, owner: string, lease: number): boolean {
    const started = this.#startedBy(key, owner);
    if (started === undefined) return false;
    started.leaseEndsAt = this.#clock.now() + lease;
    return true;
  }

  complete(key: string, owner: string, outcome: string, ttl: number): boolean {
    const now = this.#clock.now();
    const started = this.#startedBy(key, owner);
    if (started === undefined) {
      const completed = this.#completed.get(key);
      return completed !== undefined && completed.owner === owner && now < completed.expiresAt;
    }
    this.#started.delete(key);
    this.#completed.set(key, { owner, fingerprint: started.fingerprint, outcome, expiresAt: now + ttl });
    return true;
  }

  abandon(key: string, owner: string): boolean {
    return this.#startedBy(key, owner) !== undefined && this.#started.delete(key);
  }

  stats(): ComponentStats {
    return { records: this.#started.size + this.#completed.size, evicted: this.#evicted };
  }

  #startedBy(key: string, owner: string): Started | undefined {
    const started = this.#started.get(key);
    return started?.owner === owner && this.#clock.now() < expiryOf(started) ? started : undefined;
  }

  #start(key: string, claim: IdempotencyClaim, now: number): IdempotencyState {
    const { owner, fingerprint, lease, ttl } = claim;
    this.#started.delete(key); // to the end of the order
    this.#completed.delete(key);
    this.#makeRoom(now);
    const fence = ++this.#lastFence;
    this.#started.set(key, { owner, fence, fingerprint, ttl, leaseEndsAt: now + lease });
    return { state: "begun", fence };
  }

  #makeRoom(now: number): void {
    for (const [key, { expiresAt }] of this.#completed) {
      if (now < expiresAt) break;
      this.#completed.delete(key);
    }
    for (const [key, started] of this.#started) {
      if (now < expiryOf(started)) break;
      this.#started.delete(key);
    }
    if (this.#started.size + this.#completed.size < this.#max) return;
    const [oldest] = this.#completed.keys();
    if (oldest === undefined) throw new QueueFullError("a record of an idempotent call", this.#max);
    this.#completed.delete(oldest);
    this.#evicted++;
  }
}

function expiryOf({ leaseEndsAt, ttl }: Started): number {
  return leaseEndsAt + ttl;
}
