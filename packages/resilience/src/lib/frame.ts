// The async frame that gates, timeouts and a retry which follow one another share. What a success costs is all in here:
// no closure but one, no signal that nobody reads, one reading of the clock at the start of an attempt and one at its end.
import { Context, sleep, systemClock } from "@proj/concurrency";
import { Alarm } from "./alarm.ts";
import { keepAttemptErrors } from "./attempt-errors.ts";
import { budgetIn, repeatedAbove } from "./budget.ts";
import type { ResilientTask } from "./call.ts";
import { type CallRecord, forkCall } from "./call-record.ts";
import { CallTimeoutError } from "./call-timeout-error.ts";
import { type Classify, classify } from "./classify.ts";
import { isAbort } from "./classify-error.ts";
import { discard } from "./discard.ts";
import type { Fallback } from "./fallback.ts";
import type { FallbackAnswer } from "./fallback-levels.ts";
import { Gates, type Tokens } from "./gates.ts";
import type { Retry } from "./retry.ts";
import { Tally } from "./tally.ts";
import type { TimeLimit } from "./timeout.ts";
import { judge, settle } from "./verdict.ts";

/** Part of a stack, with all that is inside of it. */
export interface Layer {
  /** A frame writes to the record, which must be its own; a driver does not. */
  run<T>(call: CallRecord, task: ResilientTask<T>): Promise<T>;
}

/** What one frame does, from the outside in. */
export interface FrameParts {
  readonly classify: Classify;
  readonly fallback?: Fallback | undefined;
  /** Passed once per call. */
  readonly outer?: Gates | undefined;
  readonly total?: TimeLimit | undefined;
  readonly retry?: Retry | undefined;
  /** Passed by each attempt. */
  readonly inner?: Gates | undefined;
  readonly each?: TimeLimit | undefined;
  /** Further inside; the task itself if there is none. */
  readonly next?: Layer | undefined;
  /** Whether something is outside that may end its calls before the task does. */
  readonly isInside?: boolean;
}

const never = Number.POSITIVE_INFINITY;
const noGates = new Gates([]);
const marked = [repeatedAbove.of(true)];

/** Timers of the platform may fire this many milliseconds before their time. */
const early = 1;

/** What the timer of an attempt rejects with: the error is made in the frame, where it gets the stack of the caller. */
const timedOut = Symbol("timed out");

export class Frame implements Layer {
  readonly tally = new Tally();
  readonly #classify: Classify;
  readonly #fallback: Fallback | undefined;
  readonly #outer: Gates;
  readonly #total: TimeLimit | undefined;
  readonly #retry: Retry | undefined;
  readonly #inner: Gates;
  readonly #each: TimeLimit | undefined;
  readonly #next: Layer | undefined;
  readonly #isInside: boolean;
  readonly #alarm = new Alarm(timedOut);

  constructor(parts: FrameParts) {
    const { outer = noGates, inner = noGates, isInside = false } = parts;
    this.#classify = parts.classify;
    this.#fallback = parts.fallback;
    this.#outer = outer;
    this.#total = parts.total;
    this.#retry = parts.retry;
    this.#inner = inner;
    this.#each = parts.each;
    this.#next = parts.next;
    this.#isInside = isInside;
  }

  async run<T>(call: CallRecord, task: ResilientTask<T>): Promise<T> {
    this.tally.calls++;
    const above = call.context;
    const deadline = this.#total === undefined ? never : call.startedAt + this.#total.timeoutFor(call);
    let outerTokens: Tokens;
    try {
      outerTokens = this.#outer.enter(call, this.#turnAway);
    } catch (error) {
      this.#turnAway(call, error);
      this.tally.count(call);
      if (this.#fallback !== undefined) return await this.#fallBack(this.#fallback, call, task, above, true);
      throw error;
    }
    if (this.#retry !== undefined) budgetIn(above, this.#retry.budget)?.deposit();

    let attempt = call;
    let earlier: Earlier | undefined;
    for (;;) {
      let tokens: Tokens | undefined;
      let hasFailed = false;
      let value: T | undefined;
      try {
        tokens = this.#inner.enter(attempt, this.#turnAway);
        value = await this.#start(attempt, task, above, deadline);
      } catch (error) {
        hasFailed = true;
        attempt.error = error;
      }
      attempt.endedAt = attempt.clock.now();
      if (attempt.wake !== undefined) this.#alarm.remove(attempt);
      else attempt.timer?.clear();
      attempt.watch?.[Symbol.dispose]();
      if (hasFailed) this.#fail(attempt, above, deadline);
      else hasFailed = !this.#succeed(attempt, value);
      if (tokens !== undefined) this.#inner.exit(attempt, tokens);
      this.#each?.source?.observe?.(attempt);
      if (hasFailed) attempt.owned?.cancel(attempt.error);

      if (this.#retry !== undefined) {
        if (attempt.outcome === "ok") {
          this.#retry.succeeded(attempt.endedAt - attempt.startedAt);
        } else {
          earlier ??= { errors: [], pause: 0 };
          if (await this.#waitToRepeat(attempt, above, deadline, earlier)) {
            if (!hasFailed) discard(value);
            earlier.errors.push(hasFailed ? attempt.error : value);
            attempt = forkCall(call, attempt.attempt + 1, above);
            continue;
          }
          if (!hasFailed && attempt.error !== undefined) {
            hasFailed = true; // the caller has given up meanwhile
            discard(value);
          }
        }
      }

      settle(call, attempt);
      this.#outer.exit(call, outerTokens);
      this.#total?.source?.observe?.(call);
      this.tally.count(call);
      if (call.outcome === "ok") {
        this.#fallback?.keep(call);
        return value as T; // it is set, or there would be an error
      }
      if (earlier !== undefined && earlier.errors.length > 0) keepAttemptErrors(call.error, earlier.errors);
      if (this.#fallback !== undefined) return await this.#fallBack(this.#fallback, call, task, above, hasFailed);
      if (hasFailed) throw call.error;
      return value as T;
    }
  }

  async #fallBack<T>(
    fallback: Fallback,
    call: CallRecord,
    task: ResilientTask<T>,
    above: Context,
    hasFailed: boolean,
  ): Promise<T> {
    call.context = above;
    const ask = (): Promise<FallbackAnswer<unknown>> => fallback.answer(call, task, above);
    const answer = await (above === Context.current() ? ask() : Context.run(above, ask));
    if (answer !== undefined) discard(call.value);
    if (answer !== undefined && "error" in answer) throw answer.error;
    if (answer !== undefined) return answer.value as T; // or what the stack's type says that it may answer
    if (hasFailed) throw call.error;
    return call.value as T;
  }

  /** A gate has thrown. */
  readonly #turnAway = (call: CallRecord, error: unknown): void => {
    call.endedAt = call.startedAt;
    call.error = error;
    judge(call, classify, true);
  };

  /** Starts the work of an attempt, and what ends it in time. */
  #start<T>(attempt: CallRecord, task: ResilientTask<T>, above: Context, deadline: number): T | PromiseLike<T> {
    const limit = this.#limit(attempt, deadline);
    let context = above;
    if (attempt.attempt > 1 && this.#retry !== undefined) {
      context = Context.derive({
        parent: above,
        timeout: limit,
        clock: attempt.clock,
        now: attempt.startedAt,
        values: marked,
      });
      attempt.owned = context as CallRecord["owned"];
    } else if (limit !== never) {
      context = Context.derive({ parent: above, timeout: limit, clock: attempt.clock, now: attempt.startedAt });
      attempt.owned = context as CallRecord["owned"];
    }
    attempt.context = context;
    if (this.#next !== undefined && limit !== never) attempt.until = Math.min(attempt.until, attempt.startedAt + limit);
    const work = this.#launch(attempt, task, context);
    return (limit === never && !this.#isInside) || !isThenable(work) ? work : this.#race(work, attempt, above, limit);
  }

  /** Milliseconds for the attempt. */
  #limit(attempt: CallRecord, deadline: number): number {
    let limit = never;
    if (deadline !== never) {
      limit = deadline - attempt.startedAt;
      if (limit <= 0) throw timedOut;
    }
    if (this.#each !== undefined) limit = Math.min(limit, this.#each.timeoutFor(attempt));
    attempt.limit = limit;
    return limit;
  }

  #launch<T>(attempt: CallRecord, task: ResilientTask<T>, context: Context): T | PromiseLike<T> {
    if (this.#next !== undefined) return this.#next.run(attempt, task);
    if (context === Context.current()) return task(context, attempt);
    return Context.run(context, () => task(context, attempt));
  }

  /** Settles with the work, or before it: when the time is up, or those above have given up. */
  #race<T>(work: PromiseLike<T>, attempt: CallRecord, above: Context, limit: number): Promise<T> {
    const race = new Promise<unknown>(take) as Promise<T>; // only the work resolves it
    const { resolve, reject } = taken;
    // The promise's own functions, and no second reaction: only so does an async stack trace pass through.
    work.then(resolve, reject);
    attempt.watch = Context.after(above, reject);
    // What is above has a timer of its own by now, if that is nearer.
    if (above.deadline === never || limit < above.remaining) this.#setAlarm(attempt, limit, reject);
    return race;
  }

  #setAlarm(attempt: CallRecord, limit: number, reject: (reason: unknown) => void): void {
    if (limit === never) return;
    if (attempt.clock !== systemClock) {
      attempt.timer = attempt.clock.setTimeout(reject, limit, timedOut);
      return;
    }
    attempt.due = attempt.startedAt + limit;
    attempt.wake = reject;
    this.#alarm.add(attempt, attempt.startedAt);
  }

  /** Returns whether it is a success for the caller as well. */
  #succeed(attempt: CallRecord, value: unknown): boolean {
    attempt.owned?.release(); // a response that is returned can still be read
    attempt.value = value;
    if ((typeof value !== "object" || value === null) && this.#classify === classify) return true; // and "ok"
    return this.#judge(attempt, false);
  }

  /** Finds out what has happened, and what to tell the caller. */
  #fail(attempt: CallRecord, above: Context, deadline: number): void {
    const { owned, error } = attempt;
    if (above.cancelled && (error === above.cause || isAbort(error))) {
      attempt.error = above.cause; // untouched, whatever the task has made of it
      // Unless it was its own stack that has run out of time, this tells nothing of the dependency.
      attempt.outcome = attempt.until <= attempt.endedAt + early ? "timeout" : "ignore";
    } else if (error === timedOut || (owned?.cancelled === true && (error === owned.cause || isAbort(error)))) {
      attempt.error = this.#timeoutError(attempt, deadline);
      attempt.outcome = "timeout";
    } else {
      this.#judge(attempt, true);
    }
  }

  /** A classifier that throws makes the call fail with that error: it is a bug to be seen. */
  #judge(attempt: CallRecord, hasFailed: boolean): boolean {
    try {
      judge(attempt, this.#classify, hasFailed);
      return true;
    } catch (error) {
      attempt.error = error;
      attempt.outcome = "ignore";
      return false;
    }
  }

  #timeoutError({ name, startedAt, endedAt, limit, error }: CallRecord, deadline: number): CallTimeoutError {
    const options = error === timedOut ? undefined : { cause: error };
    if (startedAt + limit < deadline) return new CallTimeoutError(name, "attempt", limit, endedAt - startedAt, options);
    const all = this.#total?.ms ?? limit;
    return new CallTimeoutError(name, "call", all, endedAt - deadline + all, options);
  }

  /** Returns whether to go on. If the caller gives up meanwhile, or a function of the user's throws, that is the error. */
  async #waitToRepeat(attempt: CallRecord, above: Context, deadline: number, earlier: Earlier): Promise<boolean> {
    const { clock, endedAt } = attempt;
    try {
      if (above.cancelled && attempt.error === above.cause) return false;
      const end = above.deadline === never ? deadline : Math.min(deadline, endedAt + above.remaining);
      const pause = (this.#retry as Retry).pause(attempt, earlier.errors.length + 1, above, end, earlier.pause); // nobody asks without one
      if (pause === undefined) return false;
      if (pause > 0) await sleep(pause, { signal: above, clock });
      above.throwIfCancelled();
      earlier.pause = pause;
      return true;
    } catch (error) {
      earlier.errors.push(attempt.error ?? attempt.value);
      attempt.error = error;
      attempt.outcome = "ignore";
      attempt.endedAt = clock.now();
      return false;
    }
  }
}

interface Earlier {
  /** What the attempts so far have failed with; values that were no success included. */
  readonly errors: unknown[];
  /** What was waited before the last one. */
  pause: number;
}

/** The resolvers of the promise made last. Taken without a closure for each promise. */
const taken: { resolve: (value: unknown) => void; reject: (reason: unknown) => void } = {
  resolve: () => {},
  reject: () => {},
};

function take(resolve: (value: unknown) => void, reject: (reason: unknown) => void): void {
  taken.resolve = resolve;
  taken.reject = reject;
}

function isThenable<T>(work: T | PromiseLike<T>): work is PromiseLike<T> {
  return work instanceof Promise || typeof (work as Partial<PromiseLike<T>> | null | undefined)?.then === "function";
}
