// The attempts of one call that are under way at the same time.
import { Context, type OwnedContext, type Timer } from "@proj/concurrency";
import { repetitionContext } from "./budget.ts";
import type { Call } from "./call.ts";
import { type CallRecord, forkCall } from "./call-record.ts";
import { isRejection } from "./classify-error.ts";
import { HedgeLostError } from "./hedge-lost-error.ts";
import type { Next } from "./policy.ts";
import { rejection } from "./stackless.ts";

/** One attempt. Its promise resolves with itself, however it ends, so that nothing is ever unhandled. */
export interface Runner<T> {
  readonly record: CallRecord;
  readonly context: OwnedContext;
  readonly done: Promise<Runner<T>>;
  hasThrown: boolean;
  value: T | undefined;
  error: unknown;
}

/** What has happened in a race: an attempt has ended, or it is time for another one. */
export type RaceNews<T> = Runner<T> | "time";

export class HedgeRace<T> {
  readonly #call: Call;
  readonly #next: Next<T>;
  readonly #underWay = new Set<Runner<T>>();
  #started = 0;
  #timer: Timer | undefined;
  #time: Promise<"time"> | undefined;

  constructor(call: Call, next: Next<T>) {
    this.#call = call;
    this.#next = next;
  }

  /** How many attempts were started. */
  get started(): number {
    return this.#started;
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  get isTimed(): boolean {
    return this.#time !== undefined;
  }

  /** Starts an attempt in a context of its own. */
  start(): Runner<T> {
    const call = this.#call;
    const context = this.#started === 0 ? Context.derive({ parent: call.context }) : repetitionContext(call.context);
    const record = forkCall(call, call.attempt + this.#started, context);
    this.#started++;
    const runner: Runner<T> = {
      record,
      context,
      done: this.#launch(record).then(
        (value) => {
          runner.value = value;
          return runner;
        },
        (error: unknown) => {
          runner.hasThrown = true;
          runner.error = error;
          return runner;
        },
      ),
      hasThrown: false,
      value: undefined,
      error: undefined,
    };
    this.#underWay.add(runner);
    return runner;
  }

  /** Asks for `"time"` among the news, after so many milliseconds. */
  wakeAfter(ms: number): void {
    this.#time = new Promise((resolve) => {
      this.#timer = this.#call.clock.setTimeout(resolve, ms, "time" as const);
      this.#timer.ref(); // the caller waits for it
    });
  }

  /** Forgets `wakeAfter`. */
  stopWaking(): void {
    this.#timer?.clear();
    this.#time = undefined;
  }

  /** Waits for what happens next. */
  async news(): Promise<RaceNews<T>> {
    const waits: Promise<RaceNews<T>>[] = Array.from(this.#underWay, (runner) => runner.done);
    if (this.#time !== undefined) waits.push(this.#time);
    const news = await Promise.race(waits);
    if (news === "time") this.#time = undefined;
    else this.#underWay.delete(news);
    return news;
  }

  /** Ends the timer and all that are still under way. Returns them. */
  end(): Iterable<Runner<T>> {
    this.#timer?.clear();
    for (const { record, context } of this.#underWay) {
      context.cancel(rejection(false, () => new HedgeLostError(record.name, record.attempt)));
    }
    return this.#underWay;
  }

  async #launch(record: CallRecord): Promise<T> {
    return await this.#next(record);
  }
}

/** Whether the race is over with it: it has succeeded, or has failed in a way that will be the same each time. */
export function isDecisive({ record, hasThrown, error }: Runner<unknown>): boolean {
  if (!hasThrown) return record.outcome === "ok" || record.outcome === "ignore";
  return record.outcome === "ignore" && !isRejection(error);
}
