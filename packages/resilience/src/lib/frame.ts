// The async frame that gates, timeouts and a retry which follow one another share. What a success costs is all in here:
// no closure but one, no signal that nobody reads, one reading of the clock at the start of an attempt and one at its end.
import { Context, type OwnedContext, sleep } from "@proj/concurrency";
import { Alarm } from "./alarm.ts";
import { keepAttemptErrors } from "./attempt-errors.ts";
import { repeatedAbove } from "./budget.ts";
import type { ResilientTask } from "./call.ts";
import { type CallRecord, countRequest, forkCall } from "./call-record.ts";
import { CallTimeoutError } from "./call-timeout-error.ts";
import { type Classify, classify } from "./classify.ts";
import { isAbort } from "./classify-error.ts";
import { discard } from "./discard.ts";
import type { Fallback } from "./fallback.ts";
import type { FallbackAnswer } from "./fallback-levels.ts";
import { Gates } from "./gates.ts";
import { Guard, isThenable, timedOut } from "./guard.ts";
import { rejectSoon } from "./reject-soon.ts";
import type { Retry } from "./retry.ts";
import { Tally } from "./tally.ts";
import type { TimeLimit } from "./timeout.ts";
import { judge, settle, turnAway } from "./verdict.ts";

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

/** Timers of the platform may fire so many milliseconds early. */
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

  /** Not async itself: a call that is turned away costs no frame, one that succeeds a reaction, and stacks stay whole. */
  run<T>(call: CallRecord, task: ResilientTask<T>): Promise<T> {
    this.tally.calls++;
    if (!this.#letIn(call)) {
      const pause = this.#pauseAfter(call, 1, 0);
      if (pause !== undefined || this.#fallback !== undefined) return this.#goOn(call, task, pause);
      this.#close(call);
      return rejectSoon(call.error);
    }
    return this.#begin(call, task).then(
      (value) => (this.#returned(call, call, value) ? value : this.#goOnOrEnd(call, task)),
      (error) => {
        this.#threw(call, error);
        return this.#goOnOrEnd(call, task);
      },
    );
  }

  #letIn(call: CallRecord): boolean {
    try {
      if (this.#total !== undefined) call.deadline = call.startedAt + this.#total.timeoutFor(call);
      call.outerTokens = this.#outer.enter(call);
      if (call.outerTokens === undefined) return false;
      if (this.#retry !== undefined) countRequest(call, call.above, this.#retry.budget);
      call.innerTokens = this.#inner.enter(call);
      return call.innerTokens !== undefined;
    } catch (error) {
      turnAway(call, error);
      return false;
    }
  }

  /** Starts the first attempt. */
  #begin<T>(call: CallRecord, task: ResilientTask<T>): Promise<T> {
    try {
      const work = this.#start(call, task);
      // Another kind of promise may have another idea of `then`.
      return work instanceof Promise && work.constructor === Promise ? work : Promise.resolve(work);
    } catch (error) {
      return rejectSoon(error);
    }
  }

  /** After a first attempt that is no success. */
  #goOnOrEnd<T>(call: CallRecord, task: ResilientTask<T>): T | Promise<T> {
    const pause = this.#pauseAfter(call, 1, 0);
    if (pause !== undefined || this.#fallback !== undefined) return this.#goOn(call, task, pause);
    this.#close(call);
    return answerOf(call);
  }

  /** After a first attempt that is no success: repeats it, or falls back. */
  async #goOn<T>(call: CallRecord, task: ResilientTask<T>, firstPause: number | undefined): Promise<T> {
    const earlier: unknown[] = [];
    let attempt = call;
    let pause = firstPause;
    while (pause !== undefined) {
      earlier.push(attempt.hasThrown ? attempt.error : attempt.value);
      discard(attempt.value);
      if (!(await this.#wait(attempt, pause))) break;
      attempt = forkCall(call, attempt.attempt + 1, call.above);
      attempt.deadline = call.deadline;
      attempt.outerTokens = call.outerTokens;
      try {
        attempt.innerTokens = this.#inner.enter(attempt);
        if (attempt.innerTokens !== undefined) {
          const value = await this.#start(attempt, task);
          if (this.#returned(call, attempt, value)) return value;
        }
      } catch (error) {
        this.#threw(attempt, error);
      }
      pause = this.#pauseAfter(attempt, earlier.length + 1, pause);
    }
    settle(call, attempt);
    this.#close(call);
    if (earlier.length > 0) keepAttemptErrors(call.error, earlier);
    return this.#fallback === undefined ? answerOf(call) : await this.#fallBack(this.#fallback, call, task);
  }

  /** A call is over that is no success. */
  #close(call: CallRecord): void {
    if (call.outerTokens !== undefined) this.#outer.exit(call, call.outerTokens);
    this.#total?.source?.observe?.(call);
    this.tally.count(call);
  }

  async #fallBack<T>(fallback: Fallback, call: CallRecord, task: ResilientTask<T>): Promise<T> {
    const { above } = call;
    call.context = above;
    const ask = (): Promise<FallbackAnswer<unknown>> => fallback.answer(call, task, above);
    const answer = await (above === Context.current() ? ask() : Context.run(above, ask));
    if (answer === undefined) return answerOf(call);
    discard(call.value);
    if ("error" in answer) throw answer.error;
    return answer.value as T; // or what the type of the stack says that it may answer
  }

  /** Starts the work of an attempt, and what ends it in time. */
  #start<T>(attempt: CallRecord, task: ResilientTask<T>): T | PromiseLike<T> {
    const limit = this.#limit(attempt);
    const isRepetition = attempt.attempt > 1 && this.#retry !== undefined;
    if (limit === never && !isRepetition && !this.#isInside) return this.#launch(attempt, task);

    const guard = new Guard(limit === never && !isRepetition ? undefined : own(attempt, limit, isRepetition), limit);
    attempt.guard = guard;
    if (guard.owned !== undefined) attempt.context = guard.owned;
    if (this.#next !== undefined) attempt.until = Math.min(attempt.until ?? never, attempt.startedAt + limit);
    const work = this.#launch(attempt, task);
    return isThenable(work) ? guard.race(work, attempt, this.#alarm) : work;
  }

  /** Milliseconds for the attempt. */
  #limit(attempt: CallRecord): number {
    const left = attempt.deadline === undefined ? never : attempt.deadline - attempt.startedAt;
    if (left <= 0) throw timedOut;
    return this.#each === undefined ? left : Math.min(left, this.#each.timeoutFor(attempt));
  }

  #launch<T>(attempt: CallRecord, task: ResilientTask<T>): T | PromiseLike<T> {
    const { context } = attempt;
    if (this.#next !== undefined) return this.#next.run(attempt, task);
    if (context === Context.current()) return task(context, attempt);
    if (attempt.guard === undefined) return Context.run(context, () => task(context, attempt));
    attempt.guard.task = task; // in the place of a closure
    return Context.run(context, launch, attempt) as T | PromiseLike<T>;
  }

  /** An attempt has given a value. Returns whether that is a success, and then all of the call is over. */
  #returned(call: CallRecord, attempt: CallRecord, value: unknown): boolean {
    attempt.endedAt = attempt.clock.now();
    attempt.guard?.end(this.#alarm);
    attempt.guard?.owned?.release(); // a response that is returned can still be read
    attempt.value = value;
    if ((typeof value === "object" && value !== null) || this.#classify !== classify) this.#judge(attempt);
    this.#leave(attempt);
    if (attempt.outcome !== "ok") return false;
    this.#retry?.succeeded(attempt.endedAt - attempt.startedAt);
    settle(call, attempt);
    this.#outer.exit(call, call.outerTokens);
    this.#total?.source?.observe?.(call);
    this.tally.succeeded++;
    this.#fallback?.keep(call);
    return true;
  }

  /** An attempt has failed. Finds out what has happened, and what to tell the caller. */
  #threw(attempt: CallRecord, error: unknown): void {
    const { above, guard } = attempt;
    attempt.endedAt = attempt.clock.now();
    guard?.end(this.#alarm);
    attempt.error = error;
    attempt.hasThrown = true;
    if (above.cancelled && (error === above.cause || isAbort(error))) {
      attempt.error = above.cause; // untouched, whatever the task has made of it
      // Unless it was its own stack that has run out of time, this tells nothing of the dependency.
      attempt.outcome = (attempt.until ?? never) <= attempt.endedAt + early ? "timeout" : "ignore";
    } else if (error === timedOut || isEndOf(guard?.owned, error)) {
      attempt.error = this.#timeoutError(attempt);
      attempt.outcome = "timeout";
    } else {
      this.#judge(attempt);
    }
    this.#leave(attempt);
    guard?.owned?.cancel(attempt.error);
  }

  /** Tells the gates and the timeout. */
  #leave(attempt: CallRecord): void {
    this.#inner.exit(attempt, attempt.innerTokens);
    this.#each?.source?.observe?.(attempt);
  }

  /** A classifier that throws makes the call fail with that error: it is a bug to be seen. */
  #judge(attempt: CallRecord): void {
    try {
      judge(attempt, this.#classify);
    } catch (error) {
      giveUp(attempt, error);
    }
  }

  #timeoutError({ name, startedAt, endedAt, guard, deadline = never, error }: CallRecord): CallTimeoutError {
    const limit = guard?.limit ?? never;
    const options = error === timedOut ? undefined : { cause: error };
    if (startedAt + limit < deadline) return new CallTimeoutError(name, "attempt", limit, endedAt - startedAt, options);
    const all = this.#total?.ms ?? limit;
    return new CallTimeoutError(name, "call", all, endedAt - deadline + all, options);
  }

  /** Milliseconds to wait before another attempt; `undefined` for no other. */
  #pauseAfter(attempt: CallRecord, made: number, previous: number): number | undefined {
    const { above, deadline = never, endedAt, error, outerTokens } = attempt;
    if (this.#retry === undefined || outerTokens === undefined) return undefined;
    if (above.cancelled && error === above.cause) return undefined;
    try {
      const end = above.deadline === never ? deadline : Math.min(deadline, endedAt + above.remaining);
      return this.#retry.pause(attempt, made, above, end, previous);
    } catch (thrown) {
      giveUp(attempt, thrown);
      return undefined;
    }
  }

  /** Returns whether somebody still wants to go on afterwards. */
  async #wait(attempt: CallRecord, pause: number): Promise<boolean> {
    const { above, clock } = attempt;
    try {
      if (pause > 0) await sleep(pause, { signal: above, clock });
      above.throwIfCancelled();
      return true;
    } catch (cause) {
      giveUp(attempt, cause);
      attempt.endedAt = clock.now();
      return false;
    }
  }
}

/** The call fails with this error instead, which tells nothing of the dependency. */
function giveUp(attempt: CallRecord, error: unknown): void {
  discard(attempt.value);
  attempt.error = error;
  attempt.hasThrown = true;
  attempt.outcome = "ignore";
}

/** What to tell the caller of a call that is over. */
function answerOf<T>(call: CallRecord): T {
  if (call.hasThrown) throw call.error;
  return call.value as T; // it is what the task has returned
}

function launch(attempt: CallRecord): unknown {
  const guard = attempt.guard as Guard; // with the task that its frame has put there
  const task = guard.task as ResilientTask<unknown>;
  guard.task = undefined;
  return task(attempt.context, attempt);
}

/** A context of its own for an attempt. */
function own(attempt: CallRecord, limit: number, isRepetition: boolean): OwnedContext {
  const { above, clock, startedAt } = attempt;
  if (!isRepetition) return Context.derive({ parent: above, timeout: limit, clock, now: startedAt });
  return Context.derive({ parent: above, timeout: limit, clock, now: startedAt, values: marked });
}

/** Whether an error only says that the attempt's own context has ended. */
function isEndOf(context: OwnedContext | undefined, error: unknown): boolean {
  return context?.cancelled === true && (error === context.cause || isAbort(error));
}
