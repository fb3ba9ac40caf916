// Does again what has failed, if it may be done again, is paid for and can still be done in time.
import type { Context } from "@proj/concurrency";
import type { ComponentStats } from "@proj/concurrency/inspect";
import { checkCount, checkDuration, checkFunction, checkOneOf, describe } from "@proj/concurrency/options";
import { type Backoff, exponential } from "./backoff.ts";
import { budgetIn, type RetryBudget, repeatedAbove } from "./budget.ts";
import type { Call } from "./call.ts";
import { isRejection } from "./classify-error.ts";
import { listening, tell } from "./events.ts";
import { runNext } from "./lone-frame.ts";
import type { Driver, Next } from "./policy.ts";

/** What can be set on a {@link retry}. */
export interface RetryOptions {
  /** Attempts at most, the first one included. Default: 3. */
  readonly attempts?: number | undefined;
  /** How long to wait before each repetition. Default: exponential with full jitter, 100 ms to 5 s. */
  readonly backoff?: Backoff | undefined;
  /** Which failures are worth another attempt. Default: outcomes of kind `"fail"` and `"timeout"`. */
  readonly when?: ((failure: Call) => boolean) | undefined;
  /**
   * Longest `Retry-After` in milliseconds that is waited for; a longer one ends the attempts. Default: 30,000.
   */
  readonly maxRetryAfter?: number | undefined;
  /**
   * Longest `retryAfterMs` of a rejection by one of our own policies, as an open circuit, that is waited for; 0 never waits.
   * Default: 1,000.
   */
  readonly maxRejectionWait?: number | undefined;
  /**
   * Milliseconds that must be left for another attempt to begin. Default: what the fastest attempts of late have taken.
   */
  readonly minAttempt?: number | undefined;
  /** What repetitions are paid from, unless the context has a budget. Default: none, which repeats without limit. */
  readonly budget?: RetryBudget | undefined;
  /** Within a repetition made further up: `"once"` makes one attempt, `"repeat"` all the same. Default: `"once"`. */
  readonly nested?: "once" | "repeat" | undefined;
  /** Gives numbers from 0 up to 1, for the backoff. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** Why no further attempt was made. */
export type RetryStop = "attempts" | "verdict" | "not-idempotent" | "nested" | "budget" | "retry-after" | "deadline";

/** What a retry publishes. */
export type RetryEvent =
  | {
      readonly kind: "call-retried";
      readonly name: string;
      readonly key: string | undefined;
      /** The one that has failed. */
      readonly attempt: number;
      readonly pauseMs: number;
      readonly error: unknown;
    }
  | {
      readonly kind: "call-given-up";
      readonly name: string;
      readonly key: string | undefined;
      readonly attempts: number;
      readonly reason: RetryStop;
      readonly error: unknown;
    };

/** A policy made by {@link retry}. */
export interface RetryPolicy extends Driver {
  /** Decides its place in a stack. */
  readonly kind: "retry";
}

/**
 * Makes a policy that repeats failed attempts.
 *
 * **What**: calls that are `idempotent`, and any call whose work has certainly not begun; not what the classifier calls
 * `"ignore"`, as a 404 or a bug. **When**: after a backoff, or after what the dependency asked for if that is longer; not
 * if the deadline leaves no time for it. **How often**: up to `attempts`, while the budget pays. Below a repetition other
 * retries make one attempt each, so that layers do not multiply.
 *
 * The caller gets the last error itself, and earlier ones from {@link attemptErrors}; or the last value, if the
 * classifier found fault with that. The body of a response that is not returned is cancelled. **Abort**: a pause ends at
 * once, with the caller's reason.
 *
 * @throws TypeError or RangeError for an option that is none
 * @example
 * ```ts
 * import { compose, constant, retry } from "@proj/resilience";
 *
 * const patient = compose(retry({ attempts: 3, backoff: constant(1) }));
 * const answer = await patient(
 *   async (_context, { attempt }) => (attempt < 3 ? Promise.reject(new Error("busy")) : `answer ${attempt}`),
 *   { idempotent: true },
 * );
 * console.log(answer); // prints: answer 3
 * ```
 */
export function retry(options: RetryOptions = {}): RetryPolicy {
  return new Retry(options);
}

/** What a frame knows of a retry. */
export class Retry implements RetryPolicy {
  readonly kind = "retry";
  readonly attempts: number;
  readonly budget: RetryBudget | undefined;
  readonly #backoff: Backoff;
  readonly #when: ((failure: Call) => boolean) | undefined;
  readonly #maxRetryAfter: number;
  readonly #maxRejectionWait: number;
  readonly #minAttempt: number | undefined;
  readonly #nested: "once" | "repeat";
  readonly #random: () => number;
  /** Milliseconds of the fastest attempts that succeeded, with a slow drift upwards. */
  #fastest = 0;
  #retries = 0;
  readonly #stopped: Partial<Record<RetryStop, number>> = {};

  constructor(options: RetryOptions) {
    const action = "make a retry";
    const { attempts = 3, backoff = exponential({ base: 100, cap: 5_000 }), when, budget } = options;
    const { maxRetryAfter = 30_000, maxRejectionWait = 1_000, minAttempt, nested = "once" } = options;
    const { random = Math.random } = options;
    this.attempts = checkCount(action, "attempts", attempts, 1, true);
    this.#backoff = checkFunction(action, "backoff", backoff);
    this.#when = when === undefined ? undefined : checkFunction(action, "when", when);
    this.#maxRetryAfter = checkDuration(action, "maxRetryAfter", maxRetryAfter);
    this.#maxRejectionWait = checkDuration(action, "maxRejectionWait", maxRejectionWait);
    this.#minAttempt = minAttempt === undefined ? undefined : checkDuration(action, "minAttempt", minAttempt);
    this.#nested = checkOneOf(action, "nested", nested, ["once", "repeat"]);
    this.#random = checkFunction(action, "random", random);
    if (budget !== undefined && typeof budget?.tryWithdraw !== "function") {
      throw new TypeError(`Cannot ${action}: budget must be made by retryBudget, got ${describe(budget)}`);
    }
    this.budget = budget;
  }

  run<T>(call: Call, next: Next<T>): Promise<T> {
    return runNext({ retry: this }, call, next);
  }

  stats(): ComponentStats {
    return { attempts: this.attempts, retries: this.#retries, stopped: { ...this.#stopped } };
  }

  /** An attempt has succeeded: so fast can it be. */
  succeeded(tookMs: number): void {
    this.#fastest = tookMs < this.#fastest || this.#fastest === 0 ? tookMs : this.#fastest * 0.99 + tookMs * 0.01;
  }

  /**
   * Milliseconds to wait before the next attempt; `undefined` if there is none. `made` counts those so far, and `previous`
   * is what was waited before the last one; `above` is the call's own context, and `deadline` when all must be over.
   */
  pause(failure: Call, made: number, above: Context, deadline: number, previous: number): number | undefined {
    const rejected = isRejection(failure.error);
    const wanted = failure.retryAfterMs ?? 0;
    const reason = this.#reasonToStop(failure, made, above, rejected, wanted);
    if (reason !== undefined) return this.#stop(failure, reason);
    const pause = Math.max(wanted, this.#backoff(made, previous, this.#random));
    const least = this.#minAttempt ?? this.#fastest;
    if (failure.endedAt + pause + least >= deadline && deadline !== Number.POSITIVE_INFINITY) {
      return this.#stop(failure, "deadline");
    }
    // Last, so that only what is made is paid for. A call that was turned away has cost the dependency nothing.
    if (!rejected && budgetIn(above, this.budget)?.tryWithdraw() === false) return this.#stop(failure, "budget");
    this.#retries++;
    if (listening()) {
      const { name, key, attempt, error } = failure;
      tell({ kind: "call-retried", name, key, attempt, pauseMs: pause, error });
    }
    return pause;
  }

  #reasonToStop(
    failure: Call,
    made: number,
    above: Context,
    rejected: boolean,
    retryAfterMs: number,
  ): RetryStop | undefined {
    if (rejected) {
      if (failure.retryAfterMs === undefined || retryAfterMs > this.#maxRejectionWait) return "retry-after";
    } else if (!this.#isWorthIt(failure)) {
      return "verdict";
    }
    if (made >= this.attempts) return "attempts";
    if (!failure.idempotent && !failure.untouched) return "not-idempotent";
    if (this.#nested === "once" && above.get(repeatedAbove) === true) return "nested";
    return !rejected && retryAfterMs > this.#maxRetryAfter ? "retry-after" : undefined;
  }

  #isWorthIt(failure: Call): boolean {
    if (this.#when !== undefined) return this.#when(failure);
    return failure.outcome === "fail" || failure.outcome === "timeout";
  }

  #stop(failure: Call, reason: RetryStop): undefined {
    this.#stopped[reason] = (this.#stopped[reason] ?? 0) + 1;
    if (reason !== "verdict" && listening()) {
      const { name, key, attempt, error } = failure;
      tell({ kind: "call-given-up", name, key, attempts: attempt, reason, error });
    }
  }
}
