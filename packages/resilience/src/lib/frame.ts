// The async frame that gates, timeouts and a retry which follow one another share. What a success costs is all in here:
// no closure but one, no signal that nobody reads, one reading of the clock at the start of an attempt and one at its end.
import { Context, type OwnedContext, sleep } from "@proj/concurrency";
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
import { Guard, isThenable, timedOut } from "./guard.ts";
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
      attempt.guard?.end(this.#alarm);
      if (hasFailed) this.#fail(attempt, above, deadline);
      else hasFailed = !this.#succeed(attempt, value);
      if (tokens !== undefined) this.#inner.exit(attempt, tokens);
      if (tokens !== undefined) this.#each?.source?.observe?.(attempt);
      if (hasFailed) attempt.guard?.owned?.cancel(attempt.error);

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
    const isRepetition = attempt.attempt > 1 && this.#retry !== undefined;
    if (limit === never && !isRepetition && !this.#isInside) return this.#launch(attempt, task);

    const guard = new Guard(
      limit === never && !isRepetition ? undefined : ownContext(attempt, above, limit, isRepetition),
      limit,
    );
    attempt.guard = guard;
    if (guard.owned !== undefined) attempt.context = guard.owned;
    if (this.#next !== undefined) attempt.until = Math.min(attempt.until, attempt.startedAt + limit);
    const work = this.#launch(attempt, task);
    return isThenable(work) ? guard.race(work, attempt, above, this.#alarm) : work;
  }

  /** Milliseconds for the attempt. */
  #limit(attempt: CallRecord, deadline: number): number {
    const left = deadline === never ? never : deadline - attempt.startedAt;
    if (left <= 0) throw timedOut;
    return this.#each === undefined ? left : Math.min(left, this.#each.timeoutFor(attempt));
  }

  #launch<T>(attempt: CallRecord, task: ResilientTask<T>): T | PromiseLike<T> {
    const { context } = attempt;
    if (this.#next !== undefined) return this.#next.run(attempt, task);
    if (context === Context.current()) return task(context, attempt);
    return Context.run(context, () => task(context, attempt));
  }

  /** Returns whether it is a success for the caller as well. */
  #succeed(attempt: CallRecord, value: unknown): boolean {
    attempt.guard?.owned?.release(); // a response that is returned can still be read
    attempt.value = value;
    if ((typeof value !== "object" || value === null) && this.#classify === classify) return true; // and "ok"
    return this.#judge(attempt, false);
  }

  /** Finds out what has happened, and what to tell the caller. */
  #fail(attempt: CallRecord, above: Context, deadline: number): void {
    const { error } = attempt;
    const owned = attempt.guard?.owned;
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

  #timeoutError({ name, startedAt, endedAt, guard, error }: CallRecord, deadline: number): CallTimeoutError {
    const limit = guard?.limit ?? never;
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

function ownContext(attempt: CallRecord, above: Context, limit: number, isRepetition: boolean): OwnedContext {
  const { clock, startedAt } = attempt;
  if (!isRepetition) return Context.derive({ parent: above, timeout: limit, clock, now: startedAt });
  return Context.derive({ parent: above, timeout: limit, clock, now: startedAt, values: marked });
}
