// The rate slot of a stack: any rate limiter of concurrency decides whether a call may go on.
import { RateLimitedError, type RateLimiter } from "@proj/concurrency";
import type { ComponentStats } from "@proj/concurrency/inspect";
import { checkDuration, checkFunction, describe } from "@proj/concurrency/options";
import type { Call } from "./call.ts";
import { listening, tell } from "./events.ts";
import type { Driver, Gate, Next } from "./policy.ts";
import { rejection } from "./stackless.ts";

/** What {@link rateLimit} needs of a rate limiter. */
export type RateLimiterPort<K> = Pick<RateLimiter<K>, "tryTake" | "take">;

/** What can be set on a {@link rateLimit}. */
export interface RateLimitOptions<K = string | undefined> {
  /** Which key of the limiter a call takes from; `() => undefined` for one rate for all. Default: the `key` of the call. */
  readonly key?: ((call: Call) => K) | undefined;
  /** Units that a call takes. Default: 1. */
  readonly cost?: ((call: Call) => number) | undefined;
  /** Milliseconds that a call may wait for its units. Default: 0, which rejects at once. */
  readonly timeout?: number | undefined;
  /** In events. Default: that of the policies. */
  readonly name?: string | undefined;
  /** Whether its rejections have a stack, which makes them slow. Default: `false`. */
  readonly stack?: boolean | undefined;
}

/** What a {@link rateLimit} tells about itself. */
export interface RateLimitStats extends ComponentStats {
  /** Calls that were turned away so far. */
  readonly rejected: number;
}

/** A {@link rateLimit}: a gate, or with a `timeout` a driver. */
export type RateLimitPolicy = (Omit<Gate, "stats"> | Omit<Driver, "stats">) & {
  /** Decides its place in a stack. */
  readonly kind: "rate";
  /** What it has done. */
  stats(): RateLimitStats;
};

/**
 * Makes a policy of a rate limiter: calls beyond its rate reject with a `RateLimitedError`, whose `retryAfterMs` tells when
 * to come back; with a `timeout` they wait in order of arrival, unless it would take longer. It stands outside of retry,
 * so a call counts once however often it is attempted.
 *
 * @throws TypeError or RangeError for an option that is none
 * @example
 * ```ts
 * import { tokenBucket } from "@proj/concurrency";
 * import { compose, rateLimit } from "@proj/resilience";
 *
 * const limited = compose(rateLimit(tokenBucket<string>({ rate: 1, per: 60_000 })));
 * console.log(await limited(() => "first", { key: "ada" })); // prints: first
 * const error = await limited(() => "second", { key: "ada" }).catch((error: unknown) => error);
 * console.log((error as { code: string }).code); // prints: ERR_RATE_LIMITED
 * ```
 */
export function rateLimit(
  limiter: RateLimiterPort<string> | RateLimiterPort<string | undefined>,
  options?: RateLimitOptions,
): RateLimitPolicy;
export function rateLimit<K>(
  limiter: RateLimiterPort<K>,
  options: RateLimitOptions<NoInfer<K>> & { readonly key: (call: Call) => NoInfer<K> },
): RateLimitPolicy;
export function rateLimit<K>(limiter: RateLimiterPort<K>, options: RateLimitOptions<K> = {}): RateLimitPolicy {
  const action = "make a rate limit";
  const { timeout = 0 } = options;
  for (const method of ["tryTake", "take"] as const) {
    if (typeof limiter?.[method] !== "function") {
      throw new TypeError(`Cannot ${action}: limiter must be a RateLimiter, got ${describe(limiter)}`);
    }
  }
  if (options.key !== undefined) checkFunction(action, "key", options.key);
  if (options.cost !== undefined) checkFunction(action, "cost", options.cost);
  checkDuration(action, "timeout", timeout);
  return timeout > 0 ? new WaitingLimit(limiter, options, timeout) : new RejectingLimit(limiter, options);
}

abstract class Limit<K> {
  readonly kind = "rate";
  protected readonly limiter: RateLimiterPort<K>;
  readonly #options: RateLimitOptions<K>;
  #rejected = 0;

  constructor(limiter: RateLimiterPort<K>, options: RateLimitOptions<K>) {
    this.limiter = limiter;
    this.#options = options;
  }

  stats(): RateLimitStats {
    return { rejected: this.#rejected };
  }

  protected keyOf(call: Call): K {
    // Without `key` the limiter has the keys that calls have: the types say so.
    return this.#options.key === undefined ? (call.key as K) : this.#options.key(call);
  }

  protected costOf(call: Call): number {
    return this.#options.cost === undefined ? 1 : this.#options.cost(call);
  }

  protected limited(call: Call, retryAfterMs: number): RateLimitedError {
    this.#rejected++;
    const error = rejection(this.#options.stack ?? false, () => new RateLimitedError(retryAfterMs));
    if (listening()) tell({ kind: "call-rejected", name: this.#options.name ?? call.name, policy: this.kind, error });
    return error;
  }
}

class RejectingLimit<K> extends Limit<K> implements Gate {
  enter(call: Call): number {
    const wait = this.limiter.tryTake(this.keyOf(call), this.costOf(call));
    if (wait > 0) throw this.limited(call, wait);
    return 0;
  }

  exit(): void {}
}

class WaitingLimit<K> extends Limit<K> implements Driver {
  readonly #timeout: number;

  constructor(limiter: RateLimiterPort<K>, options: RateLimitOptions<K>, timeout: number) {
    super(limiter, options);
    this.#timeout = timeout;
  }

  async run<T>(call: Call, next: Next<T>): Promise<T> {
    const key = this.keyOf(call);
    const cost = this.costOf(call);
    if (this.limiter.tryTake(key, cost) > 0) {
      try {
        await this.limiter.take(key, cost, { signal: call.context, timeout: this.#timeout });
      } catch (error) {
        throw error instanceof RateLimitedError ? this.limited(call, error.retryAfterMs) : error;
      }
    }
    return await next(call);
  }
}
