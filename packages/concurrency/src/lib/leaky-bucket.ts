// A bucket that leaks at a constant pace: what waits in it leaves evenly spaced.
import { checkCount, checkPositive } from "./check.ts";
import type { RateLimiter } from "./rate-limiter.ts";
import { type Meter, wholeMs } from "./rate-limiter-meter.ts";
import { MeteredLimiter, type MeteredLimiterOptions } from "./rate-limiter-metered.ts";

/** The pace, and how many may wait for it. */
export interface LeakyBucketOptions extends MeteredLimiterOptions {
  /** Units per `per`. May have a fraction. */
  readonly rate: number;
  /** Milliseconds. Default: 1,000. */
  readonly per?: number | undefined;
  /** How many may wait for one key; who comes when so many wait is turned away. Default: `Infinity`. */
  readonly capacity?: number | undefined;
}

/**
 * Makes a limiter without bursts: between two admissions of a key lies at least `cost * per / rate`, the cost being that
 * of the first. For a peer that wants even traffic.
 *
 * `take` is the bucket, `capacity` its size. `tryTake` only succeeds when the pause is over. Since a timer that fires
 * late is never made up for, rates above a few hundred a second are reached better by a token bucket with a small burst.
 *
 * @example
 * ```ts
 * import { leakyBucket } from "@proj/concurrency";
 *
 * const pace = leakyBucket({ rate: 100, capacity: 50 });
 * const start = performance.now();
 * for (let i = 0; i < 3; i++) await pace.take();
 * console.log(performance.now() - start >= 19); // true
 * ```
 */
export function leakyBucket<K = void>(options: LeakyBucketOptions): RateLimiter<K> {
  const action = "create a leaky bucket";
  const rate = checkPositive(action, "rate", options.rate);
  const per = checkPositive(action, "per", options.per ?? 1_000);
  const capacity = checkCount(action, "capacity", options.capacity ?? Number.POSITIVE_INFINITY, 0, true);
  return new MeteredLimiter<K>("leaky-bucket", new PaceMeter(per / rate), options, capacity);
}

/** Each slot has one number: when the pause after the last take is over. */
class PaceMeter implements Meter {
  readonly limit = 1;
  readonly maxCost = Number.POSITIVE_INFINITY; // paid for by the pause that follows
  readonly windowMs: number;
  #state = new Float64Array(0);

  constructor(interval: number) {
    this.windowMs = interval;
  }

  resize(slots: number): void {
    const state = new Float64Array(slots);
    state.set(this.#state);
    this.#state = state;
  }

  open(slot: number, now: number): void {
    this.#state[slot] = now;
  }

  take(slot: number, cost: number, now: number): number {
    const pause = this.idleAt(slot) - now;
    if (pause > 0) return wholeMs(pause);
    this.#state[slot] = now + cost * this.windowMs;
    return 0;
  }

  delay(slot: number, _cost: number, ahead: number, now: number): number {
    const pause = Math.max(0, this.idleAt(slot) - now) + ahead * this.windowMs;
    return pause === 0 ? 0 : wholeMs(pause);
  }

  available(slot: number, now: number): number {
    return this.idleAt(slot) > now ? 0 : 1;
  }

  idleAt(slot: number): number {
    return this.#state[slot] as number; // a slot is always within the array
  }
}
