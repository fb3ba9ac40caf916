// What becomes of those who rely on a lease that has ended under them.

/**
 * The lease ended before its holder gave it back: it could not be prolonged in time, because Redis was away or this
 * process stood still. Somebody else may hold the lock now.
 *
 * @example
 * ```ts
 * import { LockLostError } from "@proj/concurrency/redis";
 *
 * console.log(new LockLostError("invoices", 1_763_712_000_000_000).code); // ERR_LOCK_LOST
 * ```
 */
export class LockLostError extends Error {
  override readonly name = "LockLostError";
  readonly code = "ERR_LOCK_LOST";
  /** The key of the lock. */
  readonly key: string;
  /** The fencing number of the lease. */
  readonly fence: number;

  constructor(key: string, fence: number, options?: ErrorOptions) {
    super(`Cannot keep the lock ${JSON.stringify(key)}: its lease ended before it was given back`, options);
    this.key = key;
    this.fence = fence;
  }
}
