// What can be set on a breaker, checked and completed.
import type { Clock } from "@proj/concurrency";
import {
  checkCount,
  checkDuration,
  checkFunction,
  checkPositive,
  checkRatio,
  describe,
} from "@proj/concurrency/options";
import { type Backoff, exponential } from "./backoff.ts";
import type { BreakerHints } from "./breaker-hints.ts";
import { type CallWindow, CountWindow, TimeWindow } from "./breaker-window.ts";
import { checkObject } from "./check-object.ts";

/** How a half-open circuit finds out. */
export interface HalfOpenOptions {
  /** Calls that are let through; the others are rejected at once. Default: 5, or `required` if that is more. */
  readonly probes?: number | undefined;
  /**
   * How many of them must succeed for the circuit to close. It opens again as soon as that is out of reach. Default: 3, or
   * `probes` if that is less.
   */
  readonly required?: number | undefined;
}

/** What can be set on a breaker. */
export interface BreakerOptions {
  /** In messages and events. Default: that of the policies. */
  readonly name?: string | undefined;
  /** Which calls count: those of the last so many milliseconds, or the last so many. Default: 10,000 ms. */
  readonly window?: number | { readonly calls: number } | undefined;
  /** Calls that must be in the window before a rate can trip. Default: 20, or all of a smaller window of calls. */
  readonly minCalls?: number | undefined;
  /** Trips when more than this share of the calls has failed, timeouts included; 1 never trips. Default: 0.5. */
  readonly failureRate?: number | undefined;
  /** Trips when more than this share of the calls has timed out. Default: never. */
  readonly timeoutRate?: number | undefined;
  /** A call that takes more milliseconds than this is slow. Default: none is. */
  readonly slowCall?: number | undefined;
  /** Trips when more than this share of the calls was slow, whether they failed or not. Default: 0.5. */
  readonly slowRate?: number | undefined;
  /** Trips after so many failures in a row, whatever `minCalls`. Default: never. */
  readonly consecutive?: number | undefined;
  /** Default: 3 of 5. */
  readonly halfOpen?: HalfOpenOptions | undefined;
  /** Milliseconds after which a probe that has not ended counts as failed. Default: 60,000. */
  readonly probeTimeout?: number | undefined;
  /**
   * Milliseconds for which it stays open: the same each time, or by a backoff, whose attempts are the openings since the
   * circuit was last closed; 5 s where that throws or gives no number. Default: 5 s, doubling up to 60 s, a fifth of it
   * at random.
   */
  readonly open?: number | Backoff | undefined;
  /** Keys to have a circuit each; the least recently used is forgotten for another. Default: 10,000. */
  readonly maxKeys?: number | undefined;
  /** Milliseconds after which the circuit of a key that is not used is forgotten. Default: 600,000. */
  readonly maxIdle?: number | undefined;
  /** What other processes know, as `sharedBreakerHints` of `@proj/resilience/redis`. Default: nothing. */
  readonly hints?: BreakerHints | undefined;
  /** Whether its rejections have a stack, which makes them slow. Default: `false`. */
  readonly stack?: boolean | undefined;
  /** Default: that of the calls. */
  readonly clock?: Clock | undefined;
  /** Gives numbers from 0 up to 1, for the backoff. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** The options, complete. */
export interface BreakerSettings {
  readonly makeWindow: () => CallWindow;
  readonly minCalls: number;
  readonly failureRate: number;
  readonly timeoutRate: number;
  readonly slowCall: number;
  readonly slowRate: number;
  readonly consecutive: number;
  readonly probes: number;
  readonly required: number;
  readonly probeTimeout: number;
  readonly open: Backoff;
  readonly maxKeys: number;
  readonly maxIdle: number;
  readonly random: () => number;
}

const action = "make a breaker";
const never = Number.POSITIVE_INFINITY;

export function readBreakerOptions(options: BreakerOptions): BreakerSettings {
  checkObject(action, "options", options);
  const { window = 10_000, failureRate = 0.5, timeoutRate = 1, slowCall = never, slowRate = 0.5 } = options;
  const { consecutive = never, probeTimeout = 60_000, maxKeys = 10_000, maxIdle = 600_000 } = options;
  const { random = Math.random } = options;
  if (options.hints !== undefined) checkFunction(action, "hints.connect", options.hints?.connect);
  return {
    ...readHalfOpen(options.halfOpen),
    ...readWindow(window, options.minCalls),
    failureRate: checkRatio(action, "failureRate", failureRate),
    timeoutRate: checkRatio(action, "timeoutRate", timeoutRate),
    slowCall: checkDuration(action, "slowCall", slowCall),
    slowRate: checkRatio(action, "slowRate", slowRate),
    consecutive: checkCount(action, "consecutive", consecutive, 1, true),
    probeTimeout: checkDuration(action, "probeTimeout", probeTimeout),
    open: readOpen(options.open),
    maxKeys: checkCount(action, "maxKeys", maxKeys, 1),
    maxIdle: checkDuration(action, "maxIdle", maxIdle),
    random: checkFunction(action, "random", random),
  };
}

function readHalfOpen(halfOpen: HalfOpenOptions = {}): Pick<BreakerSettings, "probes" | "required"> {
  checkObject(action, "halfOpen", halfOpen);
  if (halfOpen.required !== undefined) checkCount(action, "halfOpen.required", halfOpen.required, 1);
  const { probes = Math.max(5, halfOpen.required ?? 0) } = halfOpen;
  checkCount(action, "halfOpen.probes", probes, 1);
  const { required = Math.min(3, probes) } = halfOpen;
  if (required <= probes) return { probes, required };
  throw new RangeError(`Cannot ${action}: halfOpen.required must be at most halfOpen.probes, got ${required}`);
}

function readWindow(
  window: number | { readonly calls: number },
  minCalls: number | undefined,
): Pick<BreakerSettings, "makeWindow" | "minCalls"> {
  if (typeof window === "object" && window !== null) {
    const size = checkCount(action, "window.calls", window.calls, 1);
    const least = checkCount(action, "minCalls", minCalls ?? Math.min(20, size), 1);
    if (least <= size) return { makeWindow: () => new CountWindow(size), minCalls: least };
    throw new RangeError(`Cannot ${action}: minCalls must be at most the ${size} calls of the window, got ${least}`);
  }
  checkPositive(action, "window", window);
  return { makeWindow: () => new TimeWindow(window, 10), minCalls: checkCount(action, "minCalls", minCalls ?? 20, 1) };
}

function readOpen(open: number | Backoff = exponential({ base: 5_000, cap: 60_000, jitter: 0.2 })): Backoff {
  if (typeof open === "function") return open;
  if (typeof open !== "number") {
    throw new TypeError(`Cannot ${action}: open must be a number of milliseconds or a function, got ${describe(open)}`);
  }
  checkDuration(action, "open", open);
  return () => open;
}
