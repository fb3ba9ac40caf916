// Several limits on the same work: all of them or none.
import type { Clock } from "./clock.ts";
import type { RateLimitDecision, RateLimiter, TakeOptions } from "./rate-limiter.ts";
import { TurnQueue } from "./rate-limiter-queue.ts";

/**
 * Joins limiters into one that takes from all of them or from none, and waits until all of them agree. `peek` tells of
 * the one that is the tightest.
 *
 * Those who wait here stand in a line of their own, behind those who wait at a single limiter.
 *
 * @example
 * ```ts
 * import { all, byKey, slidingWindow, tokenBucket } from "@proj/concurrency";
 *
 * const perUser = tokenBucket<string>({ rate: 5, burst: 10 });
 * const everybody = slidingWindow({ limit: 12, window: 1_000 });
 * const api = all(perUser, byKey(everybody, (_user: string) => undefined));
 * console.log(api.tryTake("ada", 10), api.tryTake("bob", 10) > 0, perUser.peek("bob").remaining); // 0 true 10
 * ```
 */
export function all<K>(...limiters: readonly RateLimiter<K>[]): RateLimiter<K> {
  return new JointLimiter(limiters);
}

class JointLimiter<K> implements RateLimiter<K> {
  readonly clock: Clock;
  readonly #limiters: readonly RateLimiter<K>[];
  readonly #queue: TurnQueue<K>;

  constructor(limiters: readonly RateLimiter<K>[]) {
    const [first] = limiters;
    if (first === undefined) throw new RangeError("Cannot join rate limiters: at least one is needed, got 0");
    if (new Set(limiters).size < limiters.length) {
      throw new RangeError("Cannot join rate limiters: each must be given once, got one twice");
    }
    if (limiters.some(({ clock }) => clock !== first.clock)) {
      throw new RangeError("Cannot join rate limiters: all must count by the same clock, got several clocks");
    }
    this.clock = first.clock;
    this.#limiters = limiters;
    this.#queue = new TurnQueue(this.clock, {
      tryTake: (key, cost) => this.tryTake(key, cost),
      admit: (key, cost) => this.#admit(key, cost),
    });
  }

  tryTake(key: K, cost = 1): number {
    const ahead = this.#queue.unitsAhead(key);
    return ahead === 0 ? this.#admit(key, cost) : this.delay(key, cost);
  }

  delay(key: K, cost = 1): number {
    let longest = this.#queue.unitsAhead(key) > 0 ? 1 : 0;
    for (const limiter of this.#limiters) longest = Math.max(longest, limiter.delay(key, cost));
    return longest;
  }

  take(key: K, cost = 1, options?: TakeOptions): Promise<void> {
    return this.#queue.take(key, cost, options);
  }

  peek(key: K, cost = 1): RateLimitDecision {
    const decisions = this.#limiters.map((limiter) => limiter.peek(key, cost));
    return decisions.reduce((a, b) => (isTighter(b, a) ? b : a));
  }

  reset(key: K): void {
    for (const limiter of this.#limiters) limiter.reset(key);
    this.#queue.hurry(key);
  }

  /** All are asked before one is taken from. Nothing can come between: it happens in one go. */
  #admit(key: K, cost: number): number {
    let longest = 0;
    for (const limiter of this.#limiters) longest = Math.max(longest, limiter.delay(key, cost));
    if (longest > 0) return longest;
    for (const limiter of this.#limiters) longest = Math.max(longest, limiter.tryTake(key, cost));
    return longest;
  }
}

function isTighter(a: RateLimitDecision, b: RateLimitDecision): boolean {
  if (a.retryAfterMs !== b.retryAfterMs) return a.retryAfterMs > b.retryAfterMs;
  return a.remaining < b.remaining;
}

/**
 * Shows a limiter under other keys: `keyOf` says which of its own keys a key stands for. So a limit of a tenant, or one
 * for everybody, can be joined with a limit of each user.
 *
 * @example
 * ```ts
 * import { byKey, tokenBucket } from "@proj/concurrency";
 *
 * const perTenant = tokenBucket<string>({ rate: 100 });
 * const byUser = byKey(perTenant, (user: { tenant: string }) => user.tenant);
 * console.log(byUser.tryTake({ tenant: "acme" })); // 0
 * ```
 */
export function byKey<K, Inner>(limiter: RateLimiter<Inner>, keyOf: (key: K) => Inner): RateLimiter<K> {
  return {
    clock: limiter.clock,
    tryTake: (key, cost) => limiter.tryTake(keyOf(key), cost),
    delay: (key, cost) => limiter.delay(keyOf(key), cost),
    take: async (key, cost, options) => await limiter.take(keyOf(key), cost, options), // async: keyOf may throw
    peek: (key, cost) => limiter.peek(keyOf(key), cost),
    reset: (key) => limiter.reset(keyOf(key)),
  };
}
