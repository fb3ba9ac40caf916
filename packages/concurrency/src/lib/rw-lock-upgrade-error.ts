// What a read-write lock answers to a reader that wants to write.

/**
 * A task that reads asked to write under the same lock: it would wait for its own reading to end. Leave the read first,
 * or write from the start.
 *
 * @example
 * ```ts
 * import { LockUpgradeError, RwLock } from "@proj/concurrency";
 *
 * const lock = new RwLock({ name: "table" });
 * const error = await lock.read(() => lock.write(() => "never")).catch((error: unknown) => error);
 * console.log(error instanceof LockUpgradeError && error.lock); // prints: table
 * ```
 */
export class LockUpgradeError extends Error {
  override readonly name = "LockUpgradeError";
  readonly code = "ERR_LOCK_UPGRADE";
  /** Its name. */
  readonly lock: string;

  constructor(lock: string) {
    super(`Cannot write under ${lock}: the same task reads under it, and would wait for itself`);
    this.lock = lock;
  }
}
