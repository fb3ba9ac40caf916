// How long to wait before the next attempt: as plain functions, so that any other function will do.
import { checkDuration, checkOneOf, checkPositive, checkRatio } from "@proj/concurrency/options";

/**
 * Gives the milliseconds to wait after the failed attempt number `attempt` (1 is the first). `previousMs` is what it
 * gave the last time, 0 at first; `random` gives numbers from 0 up to 1.
 */
export type Backoff = (attempt: number, previousMs: number, random: () => number) => number;

/** A {@link Backoff} that also fits where only the attempt is known. Without `random` it draws from `Math.random`. */
export type PlainBackoff = (attempt: number, previousMs?: number, random?: () => number) => number;

/**
 * How much of a pause is left to chance, so that those who failed together do not come back together: all of it
 * (`"full"`, from 0 to the pause), its second half (`"equal"`), nothing (`"none"`), or that share of it, from 0 to 1.
 */
export type Jitter = "full" | "equal" | "none" | number;

/** What can be set on {@link exponential}. */
export interface ExponentialOptions {
  /** Milliseconds after the first attempt, before jitter. Default: 100. */
  readonly base?: number | undefined;
  /** Longest pause in milliseconds. Default: 30,000. */
  readonly cap?: number | undefined;
  /** By how much a pause is longer than the one before. At least 1. Default: 2. */
  readonly factor?: number | undefined;
  /** Default: `"full"`. */
  readonly jitter?: Jitter | undefined;
}

/** What can be set on {@link linear}. */
export interface LinearOptions {
  /** Milliseconds after the first attempt, before jitter. Default: 100. */
  readonly base?: number | undefined;
  /** By how many milliseconds a pause is longer than the one before. Default: `base`. */
  readonly step?: number | undefined;
  /** Longest pause in milliseconds. Default: 30,000. */
  readonly cap?: number | undefined;
  /** Default: `"full"`. */
  readonly jitter?: Jitter | undefined;
}

/** What can be set on {@link decorrelated}. */
export interface DecorrelatedOptions {
  /** Shortest pause in milliseconds. Default: 100. */
  readonly base?: number | undefined;
  /** Longest pause in milliseconds. Default: 30,000. */
  readonly cap?: number | undefined;
}

/** What can be set on {@link constant}. */
export interface ConstantOptions {
  /** Default: `"none"`. */
  readonly jitter?: Jitter | undefined;
}

/**
 * Pauses that double, up to `cap`, with jitter. The usual choice: with full jitter many clients spread evenly over the
 * pause (M. Brooker, "Exponential Backoff and Jitter").
 *
 * @throws TypeError or RangeError for an option that is none
 * @example
 * ```ts
 * import { exponential } from "@proj/resilience";
 *
 * const backoff = exponential({ base: 50, cap: 300, jitter: "none" });
 * console.log([1, 2, 3, 4].map((attempt) => backoff(attempt))); // prints: [ 50, 100, 200, 300 ]
 * ```
 */
export function exponential(options: ExponentialOptions = {}): PlainBackoff {
  const action = "make an exponential backoff";
  const { base = 100, cap = 30_000, factor = 2, jitter = "full" } = options;
  checkPositive(action, "base", base);
  checkPositive(action, "cap", cap);
  if (checkPositive(action, "factor", factor) < 1) {
    throw new RangeError(`Cannot ${action}: factor must be at least 1, got ${factor}`);
  }
  const random = shareOf(action, jitter);
  return (attempt, _previousMs, draw = Math.random) =>
    spread(Math.min(cap, base * factor ** (attempt - 1)), random, draw);
}

/**
 * Pauses that each are drawn from `base` to three times the one before, up to `cap`: they grow as exponential ones do, but
 * those who failed together are soon apart for good (M. Brooker, as above). Given the attempt alone it knows of no pause
 * before, and draws as for the first.
 *
 * @throws TypeError or RangeError for an option that is none
 * @example
 * ```ts
 * import { decorrelated } from "@proj/resilience";
 *
 * const backoff = decorrelated({ base: 100, cap: 2_000 });
 * const first = backoff(1);
 * const second = backoff(2, first);
 * console.log(first >= 100 && first <= 300, second >= 100 && second <= first * 3); // prints: true true
 * ```
 */
export function decorrelated(options: DecorrelatedOptions = {}): PlainBackoff {
  const action = "make a decorrelated backoff";
  const { base = 100, cap = 30_000 } = options;
  checkPositive(action, "base", base);
  checkPositive(action, "cap", cap);
  return (_attempt, previousMs = 0, draw = Math.random) => {
    const longest = Math.max(base, previousMs) * 3;
    return Math.min(cap, base + draw() * (longest - base));
  };
}

/**
 * The same pause each time.
 *
 * @throws TypeError or RangeError for an option that is none
 * @example
 * ```ts
 * import { constant } from "@proj/resilience";
 *
 * console.log(constant(250)(7)); // prints: 250
 * ```
 */
export function constant(ms: number, options: ConstantOptions = {}): PlainBackoff {
  const action = "make a constant backoff";
  checkDuration(action, "ms", ms);
  const random = shareOf(action, options.jitter ?? "none");
  return (_attempt, _previousMs, draw = Math.random) => spread(ms, random, draw);
}

/**
 * Pauses that grow by the same step each time, up to `cap`.
 *
 * @throws TypeError or RangeError for an option that is none
 * @example
 * ```ts
 * import { linear } from "@proj/resilience";
 *
 * const backoff = linear({ base: 100, step: 50, cap: 180, jitter: "none" });
 * console.log([1, 2, 3].map((attempt) => backoff(attempt))); // prints: [ 100, 150, 180 ]
 * ```
 */
export function linear(options: LinearOptions = {}): PlainBackoff {
  const action = "make a linear backoff";
  const { base = 100, cap = 30_000, jitter = "full" } = options;
  const { step = base } = options;
  checkPositive(action, "base", base);
  checkDuration(action, "step", step);
  checkPositive(action, "cap", cap);
  const random = shareOf(action, jitter);
  return (attempt, _previousMs, draw = Math.random) => spread(Math.min(cap, base + step * (attempt - 1)), random, draw);
}

/** What a backoff of the caller's gives; `undefined` if it throws, or gives no number: for where there is nobody to tell. */
export function pauseOf(
  backoff: Backoff,
  attempt: number,
  previousMs: number,
  random: () => number,
): number | undefined {
  try {
    const ms: unknown = backoff(attempt, previousMs, random);
    return typeof ms === "number" && !Number.isNaN(ms) ? Math.max(0, ms) : undefined;
  } catch {
    return undefined;
  }
}

/** The share of a pause that is left to chance. */
function shareOf(action: string, jitter: Jitter): number {
  if (typeof jitter === "number") return checkRatio(action, "jitter", jitter);
  checkOneOf(action, "jitter", jitter, ["full", "equal", "none"]);
  return jitter === "full" ? 1 : jitter === "equal" ? 0.5 : 0;
}

function spread(ms: number, random: number, draw: () => number): number {
  return random === 0 ? ms : ms * (1 - random + random * draw());
}
