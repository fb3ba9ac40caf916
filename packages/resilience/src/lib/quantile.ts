// How long calls take: quantiles of the latencies of the last while, in little memory.
import { checkCount, checkDuration, checkPositive, describe } from "@proj/concurrency/options";
import { RollingCounts } from "./rolling-counts.ts";

/** What can be set on {@link quantile}. */
export interface QuantileOptions {
  /** Milliseconds for which a latency counts. Default: 60,000. */
  readonly window?: number | undefined;
  /** How many latencies there must be before it is known. Default: 20. */
  readonly warmUp?: number | undefined;
  /** Milliseconds it never goes below. Default: 1. */
  readonly min?: number | undefined;
  /** Milliseconds it never goes above. Default: `Infinity`. */
  readonly max?: number | undefined;
}

/** A quantile of latencies yet to be seen, made by {@link quantile}. */
export interface Quantile {
  /** The share of the calls, between 0 and 1. */
  readonly quantile: number;
  /** Milliseconds for which a latency counts. */
  readonly window: number;
  /** How many latencies there must be before it is known. */
  readonly warmUp: number;
  /** Milliseconds it never goes below. */
  readonly min: number;
  /** Milliseconds it never goes above. */
  readonly max: number;
}

/**
 * Describes a delay that follows the latencies: the time within which the share `share` of the calls of the last while has
 * ended, rounded up by 9% at most. For `hedge({ after: quantile(0.95) })`.
 *
 * @throws TypeError or RangeError for an option that is none
 * @example
 * ```ts
 * import { hedge, quantile } from "@proj/resilience";
 *
 * const policy = hedge({ after: quantile(0.95, { min: 5, max: 1_000 }), max: 1 });
 * console.log(policy.kind); // prints: hedge
 * ```
 */
export function quantile(share: number, options: QuantileOptions = {}): Quantile {
  const action = "make a quantile";
  const { window = 60_000, warmUp = 20, min = 1, max = Number.POSITIVE_INFINITY } = options;
  checkShare(action, "share", share);
  checkPositive(action, "window", window);
  checkCount(action, "warmUp", warmUp, 1);
  checkDuration(action, "min", min);
  if (checkDuration(action, "max", max) < min) {
    throw new RangeError(`Cannot ${action}: max must be at least min, got ${max}`);
  }
  return { quantile: share, window, warmUp, min, max };
}

export function checkShare(action: string, option: string, share: number): number {
  if (typeof share === "number" && share > 0 && share < 1) return share;
  const message = `Cannot ${action}: ${option} must be a number between 0 and 1, got ${describe(share)}`;
  throw typeof share === "number" ? new RangeError(message) : new TypeError(message);
}

/** Classes per doubling, which makes each 9% wide. */
const classesPerOctave = 8;
/** From a sixteenth of a millisecond to 70 minutes. */
const octaves = 26;
const classes = octaves * classesPerOctave;
/** Of the shortest latency that is told from shorter ones, in octaves above one millisecond. */
const lowest = -4;
/** Of the window, so that old latencies leave in steps. */
const slices = 6;

/**
 * Counts latencies in classes of equal ratio. Recording is two additions; a quantile is a walk over the classes, made
 * again only when enough has changed. 6 KB, whatever the number of calls.
 */
export class LatencyEstimator {
  readonly #share: number;
  readonly #warmUp: number;
  readonly #slice: number;
  readonly #counts: RollingCounts;
  #size = 0;
  #estimate: number | undefined;
  /** Latencies that may still come before the estimate is made anew. */
  #fresh = 0;
  #nextSlice = Number.NEGATIVE_INFINITY;

  constructor({ quantile: share, window, warmUp }: Pick<Quantile, "quantile" | "window" | "warmUp">) {
    this.#share = share;
    this.#warmUp = warmUp;
    this.#slice = window / slices;
    this.#counts = new RollingCounts(window, slices, classes);
  }

  /** A call has taken so long. */
  record(ms: number, now: number): void {
    this.#advance(now);
    this.#counts.add(classOf(ms));
    this.#size++;
    this.#fresh--;
  }

  /**
   * A call was given up after so long: it would have taken longer. That tells something only where it was longer than
   * most: then the call counts among the slow ones, so that those who were given up do not make the others look like all.
   * Where it was not, it counts neither way: it tells of the patience of the caller, not of the latency.
   */
  recordAtLeast(ms: number, now: number): void {
    const estimate = this.estimate(now);
    if (estimate === undefined || ms >= estimate / classWidth) this.record(ms, now);
  }

  /** The quantile, as the upper end of its class; `undefined` while too little is known. */
  estimate(now: number): number | undefined {
    this.#advance(now);
    if (this.#fresh <= 0) this.#measure();
    return this.#estimate;
  }

  /** Latencies in the window, as of the last look. */
  get size(): number {
    return this.#size;
  }

  #advance(now: number): void {
    if (now < this.#nextSlice) return;
    this.#counts.advance(now);
    this.#nextSlice = (Math.floor(now / this.#slice) + 1) * this.#slice;
    this.#fresh = 0;
    this.#measure();
  }

  #measure(): void {
    const counts = this.#counts;
    let size = 0;
    for (let index = 0; index < classes; index++) size += counts.total(index);
    this.#size = size;
    this.#fresh = Math.max(1, Math.floor(size / 32));
    if (size < this.#warmUp) {
      this.#estimate = undefined;
      return;
    }
    let left = Math.ceil(size * this.#share);
    let index = 0;
    while (index < classes - 1) {
      left -= counts.total(index);
      if (left <= 0) break;
      index++;
    }
    this.#estimate = upperEnd(index);
  }
}

const classWidth = 2 ** (1 / classesPerOctave);

function classOf(ms: number): number {
  const index = Math.floor((Math.log2(ms) - lowest) * classesPerOctave);
  return index > 0 ? Math.min(index, classes - 1) : 0; // 0 also for what is no number
}

function upperEnd(index: number): number {
  return 2 ** ((index + 1) / classesPerOctave + lowest);
}
