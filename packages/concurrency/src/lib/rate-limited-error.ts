// The answer to those who may not go on yet.

/**
 * A rate limit would be exceeded, and waiting was not wanted or would have taken too long.
 *
 * @example
 * ```ts
 * import { RateLimitedError, tokenBucket } from "@proj/concurrency";
 *
 * const limiter = tokenBucket({ rate: 1, per: 60_000 });
 * await limiter.take();
 * const error = await limiter.take(undefined, 1, { timeout: 1_000 }).catch((error: unknown) => error);
 * console.log(error instanceof RateLimitedError && error.retryAfterMs > 59_000); // true
 * ```
 */
export class RateLimitedError extends Error {
  override readonly name = "RateLimitedError";
  readonly code = "ERR_RATE_LIMITED";
  /** Milliseconds after which another attempt has a chance; `Infinity` when the cost is above the limit. */
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number, options?: ErrorOptions) {
    super(
      retryAfterMs === Number.POSITIVE_INFINITY
        ? "Cannot take from the rate limiter: the cost is above its limit"
        : `Cannot take from the rate limiter in time: retry after ${retryAfterMs} ms`,
      options,
    );
    this.retryAfterMs = retryAfterMs;
  }
}
