// A bucket that holds `burst` tokens and gets `rate` new ones in each `per`.

import { checkCount, checkPositive } from "./check.ts";
import type { RateLimiter } from "./rate-limiter.ts";
import { type Meter, toleranceOf, wholeMs } from "./rate-limiter-meter.ts";
import { MeteredLimiter, type MeteredLimiterOptions } from "./rate-limiter-metered.ts";

/** A rate and how far above it a key may go for a moment. */
export interface TokenBucketSpec {
  /** Units per `per`. May have a fraction. */
  readonly rate: number;
  /** Milliseconds. Default: 1,000. */
  readonly per?: number | undefined;
  /** Units that can be taken at once after a pause: a positive integer. Default: `rate` without its fraction, at least 1. */
  readonly burst?: number | undefined;
}

/** What a token bucket in this process needs. */
export interface TokenBucketOptions extends TokenBucketSpec, MeteredLimiterOptions {}

/**
 * Makes a limiter that admits `rate` units per `per` on average and up to `burst` at once: within any time T at most
 * `rate * T / per + burst`. The usual choice.
 *
 * @example
 * ```ts
 * import { tokenBucket } from "@proj/concurrency";
 *
 * const perUser = tokenBucket<string>({ rate: 5, per: 1_000, burst: 2 });
 * console.log(perUser.tryTake("ada"), perUser.tryTake("ada")); // 0 0
 * console.log(perUser.tryTake("ada") > 0, perUser.tryTake("bob")); // true 0
 * await perUser.take("ada"); // about 200 ms later
 * ```
 */
export function tokenBucket<K = void>(options: TokenBucketOptions): RateLimiter<K> {
  const { ratePerMs, burst } = readTokenBucket("create a token bucket", options);
  return new MeteredLimiter<K>("token-bucket", new TokenMeter(ratePerMs, burst), options);
}

/** Checks a token bucket's options and fills in what is left out; `action` opens the message of an error. */
export function readTokenBucket(action: string, spec: TokenBucketSpec): { ratePerMs: number; burst: number } {
  const rate = checkPositive(action, "rate", spec.rate);
  const per = checkPositive(action, "per", spec.per ?? 1_000);
  const burst = checkCount(action, "burst", spec.burst ?? Math.max(1, Math.floor(rate)), 1);
  return { ratePerMs: rate / per, burst };
}

/** Each slot has two numbers: the tokens at the last take, and when that was. */
class TokenMeter implements Meter {
  readonly limit: number;
  readonly maxCost: number;
  readonly windowMs: number;
  readonly #ratePerMs: number;
  readonly #tolerance: number;
  #state = new Float64Array(0);

  constructor(ratePerMs: number, burst: number) {
    this.limit = burst;
    this.maxCost = burst;
    this.windowMs = burst / ratePerMs;
    this.#ratePerMs = ratePerMs;
    this.#tolerance = toleranceOf(burst);
  }

  resize(slots: number): void {
    const state = new Float64Array(slots * 2);
    state.set(this.#state);
    this.#state = state;
  }

  open(slot: number, now: number): void {
    this.#state[slot * 2] = this.limit;
    this.#state[slot * 2 + 1] = now;
  }

  take(slot: number, cost: number, now: number): number {
    const tokens = this.available(slot, now);
    if (tokens + this.#tolerance < cost) return wholeMs((cost - tokens) / this.#ratePerMs);
    this.#state[slot * 2] = tokens - cost;
    this.#state[slot * 2 + 1] = now;
    return 0;
  }

  delay(slot: number, cost: number, ahead: number, now: number): number {
    const missing = ahead + cost - this.available(slot, now);
    return missing <= this.#tolerance ? 0 : wholeMs(missing / this.#ratePerMs);
  }

  available(slot: number, now: number): number {
    const tokens = this.#state[slot * 2] as number; // a slot is always within the array
    const since = this.#state[slot * 2 + 1] as number;
    return Math.min(this.limit, tokens + (now - since) * this.#ratePerMs);
  }

  idleAt(slot: number): number {
    const tokens = this.#state[slot * 2] as number; // a slot is always within the array
    const since = this.#state[slot * 2 + 1] as number;
    return since + (this.limit - tokens) / this.#ratePerMs;
  }
}
