// How much of the load may be repetitions: what keeps retries from finishing off what is ill already.
import { type Clock, Context, ContextKey, type OwnedContext, systemClock } from "@proj/concurrency";
import { type ComponentStats, register } from "@proj/concurrency/inspect";
import { checkPositive, checkRatio, describe } from "@proj/concurrency/options";
import { RollingCounts } from "./rolling-counts.ts";

/** An account of requests and of the repetitions that they pay for. Made by {@link retryBudget}. */
export interface RetryBudget {
  /** Counts a request that was made for the first time. */
  deposit(): void;
  /** Whether another repetition may be made now; then it is counted. */
  tryWithdraw(): boolean;
  /** What happened within the window, and how many repetitions may be made now. */
  stats(): RetryBudgetStats;
}

/** What a {@link RetryBudget} tells about its window. */
export interface RetryBudgetStats extends ComponentStats {
  /** Requests made for the first time. */
  readonly requests: number;
  /** Repetitions made. */
  readonly retries: number;
  /** Repetitions that were not made for want of budget. */
  readonly refused: number;
  /** Repetitions that may be made now. */
  readonly available: number;
}

/** What can be set on a {@link retryBudget}. */
export interface RetryBudgetOptions {
  /** Repetitions per request, from 0 to 1. Default: 0.2. */
  readonly ratio?: number | undefined;
  /** Repetitions per second that are allowed whatever the requests, for those with few of them. Default: 10. */
  readonly minPerSecond?: number | undefined;
  /** Milliseconds for which requests and repetitions count. Default: 10,000. */
  readonly window?: number | undefined;
  /** With a name it is listed by `components()`. */
  readonly name?: string | undefined;
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
}

/**
 * Makes a budget for repetitions: one may be made if all of the last `window`, with it, are at most `ratio` of the requests
 * of that time plus `minPerSecond` for each of its seconds. What was saved is spent by and by: in each tenth of the window
 * a quarter of what is left, or an even share of all if that is more, and 10 in any case. So a failure that goes on is no
 * wave of repetitions once per window.
 *
 * Retries, hedges and failovers that share one budget are together within it, so at full failure the load grows by `ratio`
 * and not by the number of attempts. Synchronous, without timers; as in Finagle's `RetryBudget` and Envoy's
 * `retry_budget`.
 *
 * @throws TypeError or RangeError for an option that is none
 * @example
 * ```ts
 * import { retryBudget } from "@proj/resilience";
 *
 * const budget = retryBudget({ ratio: 0.2, minPerSecond: 0 });
 * for (let request = 0; request < 5; request++) budget.deposit();
 * console.log(budget.tryWithdraw(), budget.tryWithdraw()); // prints: true false
 * ```
 */
export function retryBudget(options: RetryBudgetOptions = {}): RetryBudget {
  const budget = new WindowedBudget(options);
  if (options.name !== undefined) register("retry-budget", options.name, budget, (listed) => listed.stats());
  return budget;
}

/**
 * Carries one budget through a whole call tree: where the context has it, retries, hedges and failovers use it instead of
 * their own.
 *
 * @example
 * ```ts
 * import { Context } from "@proj/concurrency";
 * import { retryBudget, sharedBudget } from "@proj/resilience";
 *
 * const budget = retryBudget();
 * using request = Context.derive({ values: [sharedBudget.of(budget)] });
 * console.log(Context.run(request, () => Context.current().get(sharedBudget) === budget)); // prints: true
 * ```
 */
export const sharedBudget = new ContextKey<RetryBudget>("retry budget");

/**
 * Is `true` in the context of a repetition. Below it nobody repeats: three layers with three attempts each make at most
 * seven attempts, not 27.
 */
export const repeatedAbove = new ContextKey<boolean>("repeated above");

/** The budget that counts in a context: that of the call tree, else `own`. */
export function budgetIn(context: Context, own: RetryBudget | undefined): RetryBudget | undefined {
  return context.get(sharedBudget) ?? own;
}

/** A context for a repetition, in which lower layers do not repeat again. */
export function repetitionContext(parent: Context): OwnedContext {
  return Context.derive({ parent, values: repeated });
}

const repeated = [repeatedAbove.of(true)];

const request = 0;
const retry = 1;
const refusal = 2;

const tenths = 10;
/** What is left is divided by this. */
const quarter = 4;
/** Repetitions that one tenth of a window may have however few there are for all of it. */
const least = 10;

class WindowedBudget implements RetryBudget {
  readonly #ratio: number;
  readonly #reserve: number;
  readonly #clock: Clock;
  readonly #counts: RollingCounts;

  constructor(options: RetryBudgetOptions) {
    const action = "make a retry budget";
    const { ratio = 0.2, minPerSecond = 10, window = 10_000, clock = systemClock } = options;
    this.#ratio = checkRatio(action, "ratio", ratio);
    checkPositive(action, "window", window);
    if (typeof minPerSecond !== "number") {
      throw new TypeError(`Cannot ${action}: minPerSecond must be a number, got ${describe(minPerSecond)}`);
    }
    if (!(minPerSecond >= 0)) {
      throw new RangeError(`Cannot ${action}: minPerSecond must be 0 or more, got ${minPerSecond}`);
    }
    this.#reserve = (minPerSecond * window) / 1_000 + 1e-9; // 29% of 100 must be 29, whatever floating point makes of it
    this.#clock = clock;
    this.#counts = new RollingCounts(window, tenths, 3);
  }

  deposit(): void {
    this.#counts.advance(this.#clock.now());
    this.#counts.add(request);
  }

  tryWithdraw(): boolean {
    this.#counts.advance(this.#clock.now());
    const isAllowed = this.#available >= 1;
    this.#counts.add(isAllowed ? retry : refusal);
    return isAllowed;
  }

  stats(): RetryBudgetStats {
    const counts = this.#counts;
    counts.advance(this.#clock.now());
    return {
      requests: counts.total(request),
      retries: counts.total(retry),
      refused: counts.total(refusal),
      available: Math.max(0, Math.floor(this.#available)),
    };
  }

  /** How many may be made now: what is left for the window, and what of it for the present tenth. */
  get #available(): number {
    const counts = this.#counts;
    const all = this.#reserve + this.#ratio * counts.total(request);
    const left = all - counts.total(retry);
    const now = counts.latest(retry);
    return Math.min(left, Math.max(least, (left + now) / quarter, all / tenths) - now);
  }
}
