// What every rate limiter of this process promises, whatever its algorithm.
import type { Clock } from "./clock.ts";
import type { WaitOptions } from "./wait-options.ts";

/** How to wait in {@link RateLimiter.take}. */
export interface TakeOptions extends WaitOptions {
  /** Milliseconds to wait at most. Default: as long as it takes, or until the deadline of the context. */
  readonly timeout?: number | undefined;
  /** How many may wait for the same key. Default: `Infinity`, for a leaky bucket its `capacity`. */
  readonly maxQueue?: number | undefined;
}

/** Where a key stands: what the `RateLimit` and `Retry-After` header fields tell a client. */
export interface RateLimitDecision {
  /** Units a key can take at once when it has been idle. */
  readonly limit: number;
  /** Milliseconds in which the limit becomes available again. */
  readonly windowMs: number;
  /** Whole units that can be taken now. */
  readonly remaining: number;
  /** Milliseconds until the key is as good as new. */
  readonly resetMs: number;
  /** Milliseconds until the units asked for can be taken: 0 when they can be taken now, `Infinity` when never. */
  readonly retryAfterMs: number;
}

/**
 * Says when each key may go on. Keys are compared as in a `Map`; a limiter without keys has the key `void`, and its
 * methods are called without one.
 *
 * A cost is a positive integer, by default 1; anything else throws a `RangeError`.
 */
export interface RateLimiter<K = void> {
  /** By which it counts and waits. */
  readonly clock: Clock;
  /**
   * Takes `cost` units now and returns 0, or takes nothing and returns the whole milliseconds after which to try again:
   * `Infinity` when the cost is above the limit. Never waits, allocates nothing for a known key, and does not overtake
   * those who wait for the same key in {@link RateLimiter.take}.
   */
  tryTake(key: K, cost?: number): number;
  /** Returns what {@link RateLimiter.tryTake} would return, and takes nothing. */
  delay(key: K, cost?: number): number;
  /**
   * Waits for `cost` units. Waiters of one key are served in the order of their calls, each as soon as its own units are
   * there. Rejects with a {@link RateLimitedError} at once when the units cannot be there before the timeout or the
   * deadline of the context, or when `maxQueue` others wait already; with the reason of the signal when that ends first,
   * and then nothing is taken. A waiter keeps the process alive.
   */
  take(key: K, cost?: number, options?: TakeOptions): Promise<void>;
  /** Tells where the key stands, `retryAfterMs` for a take of `cost` units. Takes nothing. */
  peek(key: K, cost?: number): RateLimitDecision;
  /** Forgets what the key has taken, as after a successful login. Those who wait are served at once as far as possible. */
  reset(key: K): void;
}
