// A second attempt for calls that take unusually long: whichever succeeds first counts.
import type { ComponentStats } from "@proj/concurrency/inspect";
import { checkCount, checkDuration, checkFunction, checkOneOf, describe } from "@proj/concurrency/options";
import { keepAttemptErrors } from "./attempt-errors.ts";
import type { Breaker } from "./breaker.ts";
import { budgetIn, type RetryBudget, repeatedAbove } from "./budget.ts";
import type { Call } from "./call.ts";
import { countRequest } from "./call-record.ts";
import { checkObject } from "./check-object.ts";
import { isRejection } from "./classify-error.ts";
import { discard } from "./discard.ts";
import { listening, tell } from "./events.ts";
import { HedgeRace, isDecisive, type Runner } from "./hedge-race.ts";
import type { Driver, Next } from "./policy.ts";
import { LatencyEstimator, type Quantile } from "./quantile.ts";

/** What can be set on {@link hedge}. */
export interface HedgeOptions {
  /** When another attempt starts: milliseconds after the one before, or a quantile of the latencies seen. */
  readonly after: number | Quantile;
  /** Attempts that may start beside the first. Default: 1. */
  readonly max?: number | undefined;
  /** Extra attempts per call on average, from 0 to `max`; unused ones add up to ten. Default: 0.05. */
  readonly ratio?: number | undefined;
  /**
   * What extra attempts are paid from as well, unless the context has a budget. One that a retry has, too, counts each
   * request once. Default: none.
   */
  readonly budget?: RetryBudget | undefined;
  /**
   * When an attempt fails while another one may still start: start that at once, or when its time has come. Default:
   * `"start"`.
   */
  readonly onFailure?: "start" | "wait" | undefined;
  /** No extra attempt starts while the circuit of the call's key is open. Default: none is asked. */
  readonly breaker?: Pick<Breaker, "isOpen"> | undefined;
}

/** What a hedge publishes. */
export type HedgeEvent =
  /** An extra attempt starts. */
  | {
      readonly kind: "call-hedged";
      readonly name: string;
      readonly key: string | undefined;
      /** The one that starts. */
      readonly attempt: number;
      /** Since the call began. */
      readonly elapsedMs: number;
      /** The one before has taken too long, or has failed. */
      readonly reason: "time" | "failure";
    }
  /** An extra attempt has succeeded first. */
  | {
      readonly kind: "hedge-won";
      readonly name: string;
      readonly key: string | undefined;
      readonly attempt: number;
      readonly elapsedMs: number;
    };

/** A policy made by {@link hedge}. */
export interface HedgePolicy extends Driver {
  readonly kind: "hedge";
  /** Calls, extra attempts and those that won; those not made for want of budget; what the delay is now. */
  stats(): ComponentStats;
}

/**
 * Makes a policy that starts another attempt when one takes unusually long, and takes the first success (Dean and Barroso,
 * "The Tail at Scale"). The others are given up: their contexts end with a {@link HedgeLostError}, and their outcome is
 * `"ignore"`. An attempt that fails does not end the call as long as another one is under way or may start; an answer that
 * will be the same each time, as a 404, does. When all have failed the caller gets the last error, earlier ones are in
 * `attemptErrors`.
 *
 * **Only** `idempotent` calls are hedged; none within a repetition made further up, none that would start at the deadline
 * or after it, none after the dependency has asked to be left alone, and together no more than `ratio` of the calls and
 * what the budget pays. With a {@link Quantile} nothing is hedged until enough latencies are known.
 *
 * **Abort**: all attempts end with the caller's reason. Attempts run in the caller's context, each in one below it.
 *
 * @throws TypeError or RangeError for an option that is none
 * @example
 * ```ts
 * import { sleep } from "@proj/concurrency";
 * import { compose, hedge } from "@proj/resilience";
 *
 * const search = compose(hedge({ after: 10, ratio: 1 }));
 * const answer = await search(
 *   async (_context, { attempt }) => {
 *     if (attempt === 1) await sleep(60_000); // a slow replica; ends as soon as it is not needed
 *     return `answer ${attempt}`;
 *   },
 *   { idempotent: true },
 * );
 * console.log(answer); // prints: answer 2
 * ```
 */
export function hedge(options: HedgeOptions): HedgePolicy {
  return new Hedge(options);
}

/** Unused extra attempts that are kept for later. */
const saved = 10;

class Hedge implements HedgePolicy {
  readonly kind = "hedge";
  readonly #after: number | undefined;
  readonly #quantile: Quantile | undefined;
  readonly #estimator: LatencyEstimator | undefined;
  readonly #max: number;
  readonly #ratio: number;
  readonly #budget: RetryBudget | undefined;
  readonly #onFailure: "start" | "wait";
  readonly #breaker: Pick<Breaker, "isOpen"> | undefined;
  /** Extra attempts that calls have paid for and that were not made yet. */
  #credit = 0;
  #calls = 0;
  #hedges = 0;
  #won = 0;
  #refused = 0;
  #delay: number | undefined;

  constructor(options: HedgeOptions) {
    const action = "make a hedge";
    checkObject(action, "options", options);
    const { after, max = 1, ratio = 0.05, onFailure = "start", budget, breaker } = options;
    if (typeof after === "object" && after !== null && typeof after.quantile === "number") {
      this.#quantile = after;
      this.#estimator = new LatencyEstimator(after);
    } else if (typeof after === "number") {
      this.#after = checkDuration(action, "after", after);
      this.#delay = after;
    } else {
      throw new TypeError(
        `Cannot ${action}: after must be a number of milliseconds or a quantile, got ${describe(after)}`,
      );
    }
    if (budget !== undefined && typeof budget?.tryWithdraw !== "function") {
      throw new TypeError(`Cannot ${action}: budget must be made by retryBudget, got ${describe(budget)}`);
    }
    this.#max = checkCount(action, "max", max, 0);
    if (typeof ratio !== "number" || !(ratio >= 0 && ratio <= Math.max(1, max))) {
      const message = `Cannot ${action}: ratio must be a number from 0 to max, got ${describe(ratio)}`;
      throw typeof ratio === "number" ? new RangeError(message) : new TypeError(message);
    }
    this.#ratio = ratio;
    this.#onFailure = checkOneOf(action, "onFailure", onFailure, ["start", "wait"]);
    this.#budget = budget;
    if (breaker !== undefined) checkFunction(action, "breaker.isOpen", breaker?.isOpen);
    this.#breaker = breaker;
  }

  run<T>(call: Call, next: Next<T>): Promise<T> {
    if (call.context.get(repeatedAbove) === true) return next(call);
    countRequest(call, call.context, this.#budget);
    return call.idempotent && this.#max > 0 ? this.#race(call, next) : next(call);
  }

  stats(): ComponentStats {
    return {
      calls: this.#calls,
      hedges: this.#hedges,
      won: this.#won,
      refused: this.#refused,
      delayMs: this.#delay,
    };
  }

  async #race<T>(call: Call, next: Next<T>): Promise<T> {
    this.#calls++;
    this.#credit = Math.min(this.#credit + this.#ratio, saved);
    const race = new HedgeRace(call, next);
    const first = race.start();
    const failures: Runner<T>[] = [];
    try {
      this.#wake(race, call);
      while (race.underWay > 0 || race.isTimed) {
        const news = await race.news();
        if (news === "time") {
          if (this.#mayStart(call)) this.#startAnother(race, call, "time");
          continue;
        }
        if (news === first) this.#learn(first, true);
        if (isDecisive(news)) return this.#finish(news, failures, call);
        call.context.throwIfCancelled(); // the others end with it, and no more may start
        failures.push(news);
        this.#afterFailure(race, news, call, first);
      }
      return this.#finish(lastOf(failures), failures, call);
    } finally {
      for (const loser of race.end()) if (loser === first) this.#learn(first, false);
    }
  }

  /** Plans the next attempt, if there may be one and it would begin before the deadline. */
  #wake<T>(race: HedgeRace<T>, call: Call): void {
    if (race.started > this.#max) return;
    const delay = this.#delayAt(call.startedAt);
    if (delay !== undefined && delay < call.context.remaining) race.wakeAfter(delay);
  }

  #afterFailure<T>(race: HedgeRace<T>, failed: Runner<T>, call: Call, first: Runner<T>): void {
    const { record, context, error } = failed;
    if (failed.hasThrown) context.cancel(error);
    if (failed !== first && isRejection(error)) this.#credit += 1; // it has cost the dependency nothing
    if (record.retryAfterMs !== undefined || isRejection(error)) {
      race.stopWaking(); // another one would be turned away as well, or do harm
    } else if (this.#onFailure === "start" && race.started <= this.#max) {
      race.stopWaking();
      if (this.#mayStart(call)) this.#startAnother(race, call, "failure");
    }
  }

  #startAnother<T>(race: HedgeRace<T>, call: Call, reason: "time" | "failure"): void {
    const { record } = race.start();
    this.#hedges++;
    if (listening()) {
      const { name, key, attempt, startedAt } = record;
      tell({ kind: "call-hedged", name, key, attempt, elapsedMs: startedAt - call.startedAt, reason });
    }
    this.#wake(race, call);
  }

  /** Last the budgets, so that only what is made is paid for. */
  #mayStart({ context, key, clock }: Call): boolean {
    if (context.cancelled || this.#breaker?.isOpen(key, clock.now())) return false;
    const isPaid = this.#credit >= 1 - 1e-9 && budgetIn(context, this.#budget)?.tryWithdraw() !== false;
    if (isPaid) this.#credit -= 1;
    else this.#refused++;
    return isPaid;
  }

  #finish<T>(last: Runner<T>, failures: readonly Runner<T>[], call: Call): T {
    const { record, context, hasThrown, error, value } = last;
    const others = failures.filter((failure) => failure !== last);
    for (const other of others) this.#drop(other);
    if (!hasThrown) {
      context.release(); // what was returned can still be read
      if (record.attempt > call.attempt) this.#tellWon(record, call);
      return value as T; // it has been set, or there would be an error
    }
    context.cancel(error);
    if (others.length > 0)
      keepAttemptErrors(
        error,
        others.map((other) => other.error ?? other.value),
      );
    throw error;
  }

  #drop({ context, value }: Runner<unknown>): void {
    discard(value);
    context.cancel();
  }

  #tellWon({ name, key, attempt, outcome }: Call, call: Call): void {
    if (outcome !== "ok") return;
    this.#won++;
    if (listening()) tell({ kind: "hedge-won", name, key, attempt, elapsedMs: call.clock.now() - call.startedAt });
  }

  #delayAt(now: number): number | undefined {
    if (this.#quantile === undefined || this.#estimator === undefined) return this.#after;
    const usual = this.#estimator.estimate(now);
    const { min, max } = this.#quantile;
    this.#delay = usual === undefined ? undefined : Math.min(max, Math.max(min, usual));
    return this.#delay;
  }

  /**
   * Only first attempts tell how long calls take: extra ones are counted when they were fast. A first one that was given
   * up would have taken longer.
   */
  #learn({ record }: Runner<unknown>, hasEnded: boolean): void {
    if (this.#estimator === undefined) return;
    const now = record.clock.now();
    const took = now - record.startedAt;
    if (hasEnded && record.outcome === "ok") this.#estimator.record(took, now);
    else if (!hasEnded || record.outcome === "timeout") this.#estimator.recordAtLeast(took, now);
  }
}

/** The last one that tells of the dependency; that a later one was turned away is not what has gone wrong. */
function lastOf<T>(failures: readonly Runner<T>[]): Runner<T> {
  const last = failures.findLast(({ error }) => !isRejection(error)) ?? failures.at(-1);
  if (last === undefined) throw new Error("A race without an attempt");
  return last;
}
