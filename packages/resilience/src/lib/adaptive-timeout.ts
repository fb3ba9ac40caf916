// A timeout that follows what the dependency usually takes, instead of a guess made once.
import type { ComponentStats } from "@proj/concurrency/inspect";
import { checkCount, checkDuration, checkPositive } from "@proj/concurrency/options";
import type { Call } from "./call.ts";
import { checkShare, LatencyEstimator } from "./quantile.ts";
import type { TimeoutSource } from "./timeout.ts";

/** What can be set on {@link adaptive}. */
export interface AdaptiveTimeoutOptions {
  /** The share of the calls that is to be well within the timeout. Default: 0.95. */
  readonly quantile?: number | undefined;
  /** What the latency at that quantile is multiplied by. Default: 2. */
  readonly factor?: number | undefined;
  /** Milliseconds to add to it. Default: 50. */
  readonly buffer?: number | undefined;
  /** Shortest timeout in milliseconds. Default: 100. */
  readonly min?: number | undefined;
  /** Longest timeout in milliseconds; also the timeout until enough is known. Default: 10,000. */
  readonly max?: number | undefined;
  /** How many attempts must have ended before anything is derived from them. Default: 20. */
  readonly warmUp?: number | undefined;
  /** Milliseconds for which an attempt counts. Default: 60,000. */
  readonly window?: number | undefined;
}

/** A timeout that learns, made by {@link adaptive}. */
export interface AdaptiveTimeout extends TimeoutSource {
  observe(call: Call): void;
  stats(): ComponentStats;
}

/**
 * Makes a timeout of `factor` times the latency at `quantile`, plus `buffer`, between `min` and `max`; never more than the
 * call has left. For `attemptTimeout`. One for all keys: give calls of very different length policies of their own.
 *
 * It is not fooled by itself: an attempt that timed out counts as one that took longer than most, so when the dependency
 * gets slower for good the timeout grows with it, up to `max`, instead of shrinking to what the fastest calls take. An
 * attempt that was cut short by the deadline of its caller, or given up, before it could be called slow does not count.
 *
 * @throws TypeError or RangeError for an option that is none
 * @example
 * ```ts
 * import { adaptive, attemptTimeout, compose, retry } from "@proj/resilience";
 *
 * const limit = adaptive({ quantile: 0.95, factor: 2, buffer: 50, min: 100, max: 5_000 });
 * const users = compose(retry({ attempts: 3 }), attemptTimeout(limit));
 * console.log(await users(async () => "found"), limit.stats()); // prints: found { timeoutMs: 5000, samples: 1 }
 * ```
 */
export function adaptive(options: AdaptiveTimeoutOptions = {}): AdaptiveTimeout {
  return new LearningTimeout(options);
}

class LearningTimeout implements AdaptiveTimeout {
  readonly #factor: number;
  readonly #buffer: number;
  readonly #min: number;
  readonly #max: number;
  readonly #estimator: LatencyEstimator;
  #last: number;

  constructor(options: AdaptiveTimeoutOptions) {
    const action = "make an adaptive timeout";
    const { quantile = 0.95, factor = 2, buffer = 50, max = 10_000, warmUp = 20, window = 60_000 } = options;
    this.#max = checkDuration(action, "max", max);
    const { min = Math.min(100, max) } = options;
    checkShare(action, "quantile", quantile);
    checkCount(action, "warmUp", warmUp, 1);
    checkPositive(action, "window", window);
    this.#factor = checkPositive(action, "factor", factor);
    if (factor < 1) throw new RangeError(`Cannot ${action}: factor must be at least 1, got ${factor}`);
    this.#buffer = checkDuration(action, "buffer", buffer);
    this.#min = checkDuration(action, "min", min);
    if (max < min) throw new RangeError(`Cannot ${action}: max must be at least min, got ${max}`);
    this.#estimator = new LatencyEstimator({ quantile, window, warmUp });
    this.#last = max;
  }

  timeoutFor({ startedAt, context }: Call): number {
    const usual = this.#estimator.estimate(startedAt);
    const wanted = usual === undefined ? this.#max : usual * this.#factor + this.#buffer;
    this.#last = Math.min(this.#max, Math.max(this.#min, wanted));
    return Math.min(this.#last, context.remaining);
  }

  observe({ outcome, context, startedAt, endedAt }: Call): void {
    const took = endedAt - startedAt;
    if (outcome === "ok") this.#estimator.record(took, endedAt);
    else if (outcome === "timeout" || (outcome === "ignore" && context.cancelled)) {
      this.#estimator.recordAtLeast(took, endedAt);
    } // any other failure may be as fast as it likes: that tells nothing of how long success takes
  }

  stats(): ComponentStats {
    return { timeoutMs: this.#last, samples: this.#estimator.size };
  }
}
