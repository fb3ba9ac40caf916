// A window that ends now, whenever now is: estimated from two counts, or exact from a log.
import { checkCount, checkPositive, describe } from "./check.ts";
import type { RateLimiter } from "./rate-limiter.ts";
import { type Meter, toleranceOf, wholeMs } from "./rate-limiter-meter.ts";
import { MeteredLimiter, type MeteredLimiterOptions } from "./rate-limiter-metered.ts";
import { LogMeter } from "./sliding-window-log.ts";

/** How many units in how much time, and how precisely. */
export interface SlidingWindowOptions extends MeteredLimiterOptions {
  /** Units per window: a positive integer. */
  readonly limit: number;
  /** Milliseconds. */
  readonly window: number;
  /**
   * `true`: keeps the time of each take, 16 bytes each, so up to `16 * limit` bytes per key.
   * `false`: keeps two counts per key and estimates. Default: `false`.
   */
  readonly exact?: boolean | undefined;
}

/**
 * Makes a limiter for the `window` milliseconds before each take.
 *
 * With `exact` any time of that length sees at most `limit` units. Without it, the limiter counts in windows that follow
 * one another, and takes the last one to have been filled evenly: steady traffic gets the limit, no window of the count
 * ever more, but a key that times its bursts against the count can get up to `2 * limit` within one window.
 *
 * @example
 * ```ts
 * import { slidingWindow } from "@proj/concurrency";
 *
 * const logins = slidingWindow<string>({ limit: 5, window: 60_000, exact: true });
 * for (let i = 0; i < 5; i++) logins.tryTake("ada");
 * console.log(logins.tryTake("ada") > 59_000); // true
 * ```
 */
export function slidingWindow<K = void>(options: SlidingWindowOptions): RateLimiter<K> {
  const action = "create a sliding window";
  const limit = checkCount(action, "limit", options.limit, 1);
  const window = checkPositive(action, "window", options.window);
  const { exact = false } = options;
  if (typeof exact !== "boolean") {
    throw new TypeError(`Cannot ${action}: exact must be true or false, got ${describe(exact)}`);
  }
  const meter = exact ? new LogMeter(limit, window) : new EstimateMeter(limit, window);
  return new MeteredLimiter<K>("sliding-window", meter, options);
}

/** Each slot has three numbers: the units taken in the current window, those in the one before, and when it opened. */
class EstimateMeter implements Meter {
  readonly limit: number;
  readonly maxCost: number;
  readonly windowMs: number;
  readonly #tolerance: number;
  #state = new Float64Array(0);

  constructor(limit: number, window: number) {
    this.limit = limit;
    this.maxCost = limit;
    this.windowMs = window;
    this.#tolerance = toleranceOf(limit);
  }

  resize(slots: number): void {
    const state = new Float64Array(slots * 3);
    state.set(this.#state);
    this.#state = state;
  }

  open(slot: number, now: number): void {
    this.#state.fill(0, slot * 3, slot * 3 + 2);
    this.#state[slot * 3 + 2] = now;
  }

  take(slot: number, cost: number, now: number): number {
    this.#advance(slot, now);
    const wait = this.#wait(slot, cost, now);
    if (wait === 0) this.#state[slot * 3] = (this.#state[slot * 3] as number) + cost; // a slot is always within the array
    return wait;
  }

  delay(slot: number, cost: number, ahead: number, now: number): number {
    this.#advance(slot, now);
    const wait = this.#wait(slot, cost, now);
    if (ahead === 0) return wait;
    // However the estimate falls, no window of the count admits more than the limit.
    const used = this.#state[slot * 3] as number;
    const opened = this.#state[slot * 3 + 2] as number;
    const windows = Math.ceil((used + ahead + cost) / this.limit) - 1;
    return windows <= 0 ? wait : Math.max(wait, wholeMs(opened + windows * this.windowMs - now));
  }

  available(slot: number, now: number): number {
    this.#advance(slot, now);
    const used = this.#state[slot * 3] as number;
    const before = this.#state[slot * 3 + 1] as number;
    const opened = this.#state[slot * 3 + 2] as number;
    return Math.max(0, this.limit - used - before * (1 - (now - opened) / this.windowMs));
  }

  idleAt(slot: number): number {
    const used = this.#state[slot * 3] as number;
    const before = this.#state[slot * 3 + 1] as number;
    const opened = this.#state[slot * 3 + 2] as number;
    if (used > 0) return opened + 2 * this.windowMs;
    return before > 0 ? opened + this.windowMs : opened;
  }

  /** Opens the window in which `now` lies, if that is another than the slot's. */
  #advance(slot: number, now: number): void {
    const opened = this.#state[slot * 3 + 2] as number;
    const windows = (now - opened) / this.windowMs;
    if (windows < 1) return;
    this.#state[slot * 3 + 1] = windows < 2 ? (this.#state[slot * 3] as number) : 0;
    this.#state[slot * 3] = 0;
    this.#state[slot * 3 + 2] = windows < 2 ? opened + this.windowMs : now;
  }

  /** Milliseconds until `cost` fits, in the current window or, where it is too full, in the next. */
  #wait(slot: number, cost: number, now: number): number {
    const used = this.#state[slot * 3] as number;
    const before = this.#state[slot * 3 + 1] as number;
    const elapsed = now - (this.#state[slot * 3 + 2] as number);
    if (used + cost <= this.limit) {
      const excess = before * (1 - elapsed / this.windowMs) + used + cost - this.limit;
      return excess <= this.#tolerance ? 0 : wholeMs((excess / before) * this.windowMs);
    }
    const share = Math.max(0, used + cost - this.limit) / used; // of the next window, to let that much of this one fade
    return wholeMs(this.windowMs - elapsed + share * this.windowMs);
  }
}
