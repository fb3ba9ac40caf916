// A count that starts anew with each window.
import { checkCount, checkPositive } from "./check.ts";
import type { RateLimiter } from "./rate-limiter.ts";
import { type Meter, wholeMs } from "./rate-limiter-meter.ts";
import { MeteredLimiter, type MeteredLimiterOptions } from "./rate-limiter-metered.ts";

/** How many units in how much time. */
export interface FixedWindowOptions extends MeteredLimiterOptions {
  /** Units per window: a positive integer. */
  readonly limit: number;
  /** Milliseconds. */
  readonly window: number;
}

/**
 * Makes a limiter that admits `limit` units per window, never more. A window of a key opens with its first take and
 * closes `window` milliseconds later; the next take opens another. For quotas: the cheapest to explain to a client.
 *
 * Mind the edge: a key that takes all at the end of one window and all at the start of the next gets `2 * limit` within
 * a moment. Where that hurts, use a sliding window or a token bucket.
 *
 * @example
 * ```ts
 * import { fixedWindow } from "@proj/concurrency";
 *
 * const quota = fixedWindow<string>({ limit: 1_000, window: 86_400_000 });
 * console.log(quota.tryTake("tenant-7", 990), quota.peek("tenant-7").remaining); // 0 10
 * ```
 */
export function fixedWindow<K = void>(options: FixedWindowOptions): RateLimiter<K> {
  const action = "create a fixed window";
  const limit = checkCount(action, "limit", options.limit, 1);
  const window = checkPositive(action, "window", options.window);
  return new MeteredLimiter<K>("fixed-window", new WindowMeter(limit, window), options);
}

/** Each slot has two numbers: the units taken in the window, and when it opened. */
class WindowMeter implements Meter {
  readonly limit: number;
  readonly maxCost: number;
  readonly windowMs: number;
  #state = new Float64Array(0);

  constructor(limit: number, window: number) {
    this.limit = limit;
    this.maxCost = limit;
    this.windowMs = window;
  }

  resize(slots: number): void {
    const state = new Float64Array(slots * 2);
    state.set(this.#state);
    this.#state = state;
  }

  open(slot: number, now: number): void {
    this.#state[slot * 2] = 0;
    this.#state[slot * 2 + 1] = now;
  }

  take(slot: number, cost: number, now: number): number {
    const closesIn = this.idleAt(slot) - now;
    if (closesIn <= 0) this.open(slot, now);
    const used = this.#state[slot * 2] as number; // a slot is always within the array
    if (used + cost > this.limit) return wholeMs(closesIn);
    this.#state[slot * 2] = used + cost;
    return 0;
  }

  delay(slot: number, cost: number, ahead: number, now: number): number {
    const used = this.limit - this.available(slot, now);
    const windows = Math.ceil((used + ahead + cost) / this.limit) - 1;
    if (windows <= 0) return 0;
    const closesIn = used === 0 ? this.windowMs : this.idleAt(slot) - now;
    return wholeMs(closesIn + (windows - 1) * this.windowMs);
  }

  available(slot: number, now: number): number {
    if (this.idleAt(slot) <= now) return this.limit;
    return this.limit - (this.#state[slot * 2] as number); // a slot is always within the array
  }

  idleAt(slot: number): number {
    return (this.#state[slot * 2 + 1] as number) + this.windowMs; // a slot is always within the array
  }
}
