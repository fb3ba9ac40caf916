// A client that leaves a dependency alone in proportion to what that rejects.
import type { ComponentStats } from "@proj/concurrency/inspect";
import { checkCount, checkDuration, checkFunction, checkPositive } from "@proj/concurrency/options";
import type { Call } from "./call.ts";
import { overloaded, type Rejecting, spread } from "./overloaded-error.ts";
import type { Gate } from "./policy.ts";
import { RollingCounts } from "./rolling-counts.ts";

/** What can be set on a {@link clientThrottle}. */
export interface ClientThrottleOptions {
  /**
   * How many calls are let through for each one that the dependency accepts. 2 lets it be tried twice as much as it can
   * do, so that a recovery is seen soon; 1.1 spares it nearly all that it would reject. Default: 2.
   */
  readonly k?: number | undefined;
  /** Milliseconds for which calls count. Default: 120,000. */
  readonly window?: number | undefined;
  /** Keys to count for each; the least recently used is forgotten for another. Default: 1,000. */
  readonly maxKeys?: number | undefined;
  /** Milliseconds for which rejections ask to be left alone, give or take a half at random. Default: 1,000. */
  readonly retryAfter?: number | undefined;
  /** From 0 to 1. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** In messages and events. Default: that of the policies. */
  readonly name?: string | undefined;
  /** Whether its rejections have a stack, which makes them slow. Default: `false`. */
  readonly stack?: boolean | undefined;
}

/** What a {@link clientThrottle} tells about itself, all keys together. */
export interface ClientThrottleStats extends ComponentStats {
  /** Keys that it counts for. */
  readonly keys: number;
  /** Calls that were turned away so far. */
  readonly throttled: number;
}

/** Made by {@link clientThrottle}. */
export interface ClientThrottle extends Gate {
  /** Decides its place in a stack. */
  readonly kind: "shed";
  /** How likely the next call of this key is turned away, from 0 to 1. */
  probability(key?: string): number;
  /** What it has done. */
  stats(): ClientThrottleStats;
}

/**
 * Makes a gate that turns calls away here that the dependency would most likely reject there, for each `key` of the calls:
 * with probability `max(0, (requests - k * accepts) / (requests + 1))` over the last two minutes. Requests are those that
 * were wanted, turned away or not; accepts those that ended neither as a failure nor as a timeout. What tells nothing of
 * the dependency, as a call that its caller gave up, does not count. As in "Handling Overload" of the SRE book.
 *
 * It needs no limit and no knowledge of the dependency, never turns all calls away, and lets all pass again as soon as
 * they are accepted. Rejections are `OverloadedError`s of the reason `"throttled"`.
 *
 * @throws TypeError or RangeError for an option that is none
 * @example
 * ```ts
 * import { clientThrottle, compose } from "@proj/resilience";
 *
 * const throttle = clientThrottle({ k: 2, random: () => 0.5 });
 * const call = compose(throttle);
 * for (let i = 0; i < 10; i++) await call(() => Promise.reject(new Error("out of memory"))).catch(() => {});
 * console.log(throttle.stats().throttled > 5); // prints: true
 * ```
 */
export function clientThrottle(options: ClientThrottleOptions = {}): ClientThrottle {
  return new AcceptThrottle(options);
}

const request = 0;
const accept = 1;
/** Counted as a request before it was known to tell nothing. */
const ignored = 2;

class AcceptThrottle implements ClientThrottle, Rejecting {
  readonly kind = "shed";
  readonly name: string | undefined;
  readonly stack: boolean;
  readonly #k: number;
  readonly #window: number;
  readonly #maxKeys: number;
  readonly #retryAfter: number;
  readonly #random: () => number;
  /** Least recently used first. */
  readonly #counts = new Map<string | undefined, RollingCounts>();
  #latest: string | undefined;
  #latestCounts: RollingCounts | undefined;
  #throttled = 0;

  constructor(options: ClientThrottleOptions) {
    const action = "make a client throttle";
    const { k = 2, window = 120_000, maxKeys = 1_000, retryAfter = 1_000, random = Math.random } = options;
    if (checkPositive(action, "k", k) < 1) throw new RangeError(`Cannot ${action}: k must be at least 1, got ${k}`);
    this.#k = k;
    this.#window = checkPositive(action, "window", window);
    this.#maxKeys = checkCount(action, "maxKeys", maxKeys, 1);
    this.#retryAfter = checkDuration(action, "retryAfter", retryAfter);
    this.#random = checkFunction(action, "random", random);
    this.name = options.name;
    this.stack = options.stack ?? false;
  }

  enter(call: Call): number {
    const counts = this.#countsOf(call.key);
    counts.advance(call.startedAt);
    const probability = this.#probability(counts);
    counts.add(request);
    if (probability > 0 && this.#random() < probability) {
      this.#throttled++;
      throw overloaded(this, call, "throttled", spread(this.#retryAfter, this.#random));
    }
    return 0;
  }

  exit(call: Call, _token: number): void {
    const { outcome } = call;
    if (outcome === "fail" || outcome === "timeout") return;
    const counts = this.#countsOf(call.key);
    counts.advance(call.endedAt);
    counts.add(outcome === "ok" ? accept : ignored);
  }

  probability(key?: string): number {
    const counts = this.#counts.get(key);
    return counts === undefined ? 0 : this.#probability(counts);
  }

  stats(): ClientThrottleStats {
    return { keys: this.#counts.size, throttled: this.#throttled };
  }

  #probability(counts: RollingCounts): number {
    const requests = Math.max(0, counts.total(request) - counts.total(ignored)); // a request may be forgotten first
    return Math.max(0, (requests - this.#k * counts.total(accept)) / (requests + 1));
  }

  /** Those of the key before are at hand: most throttles have one key only. */
  #countsOf(key: string | undefined): RollingCounts {
    if (this.#latestCounts !== undefined && this.#latest === key) return this.#latestCounts;
    let counts = this.#counts.get(key);
    if (counts === undefined) counts = this.#open();
    else this.#counts.delete(key); // to the end, as the most recently used
    this.#counts.set(key, counts);
    this.#latest = key;
    this.#latestCounts = counts;
    return counts;
  }

  #open(): RollingCounts {
    if (this.#counts.size >= this.#maxKeys) {
      const [oldest] = this.#counts.keys();
      this.#counts.delete(oldest);
    }
    return new RollingCounts(this.#window, 20, 3);
  }
}
