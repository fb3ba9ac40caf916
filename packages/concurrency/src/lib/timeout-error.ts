// What everything here rejects with when time is up.

/**
 * A deadline passed, or a wait took longer than its `timeout`. Its `name` is `"TimeoutError"`, as for the platform's
 * own timeouts, so `error.name === "TimeoutError"` tells both.
 *
 * @example
 * ```ts
 * import { Semaphore, TimeoutError } from "@proj/concurrency";
 *
 * const semaphore = new Semaphore(1);
 * using permit = await semaphore.acquire();
 * const error = await semaphore.acquire({ timeout: 0 }).catch((error: unknown) => error);
 * console.log(error instanceof TimeoutError && error.timeoutMs); // prints: 0
 * ```
 */
export class TimeoutError extends Error {
  override readonly name = "TimeoutError";
  readonly code = "ERR_TIMEOUT";
  /** How long was waited at most. */
  readonly timeoutMs: number;

  constructor(message: string, timeoutMs: number, options?: ErrorOptions) {
    super(message, options);
    this.timeoutMs = timeoutMs;
  }
}
