// What ends an attempt that does not end by itself: its own time, and the end of whoever wants its result.
import { Context, type OwnedContext, systemClock, type Timer } from "@proj/concurrency";
import type { Alarm, Sleeper } from "./alarm.ts";
import type { ResilientTask } from "./call.ts";
import type { CallRecord } from "./call-record.ts";
import { keepShape } from "./keep-shape.ts";

/** What the time of an attempt ends it with: the error is made in the frame, where it gets the stack of the caller. */
export const timedOut = Symbol("timed out");

const never = Number.POSITIVE_INFINITY;

/** Made only for attempts that have a limit, a context of their own or somebody above. */
export class Guard implements Sleeper {
  /** Of the attempt alone; `undefined` if it runs in that of the call. */
  readonly owned: OwnedContext | undefined;
  /** Milliseconds; `Infinity` for none. */
  readonly limit: number;
  /** What is about to be launched. */
  task: ResilientTask<unknown> | undefined;
  due = never;
  wake: ((reason: unknown) => void) | undefined;
  earlier: Sleeper | undefined;
  later: Sleeper | undefined;
  #timer: Timer | undefined;
  #watch: Disposable | undefined;

  constructor(owned: OwnedContext | undefined, limit: number) {
    this.owned = owned;
    this.limit = limit;
  }

  /** Settles with the work, or before it: when the time is up, or those above have given up. */
  race<T>(work: PromiseLike<T>, attempt: CallRecord, alarm: Alarm): Promise<T> {
    const race = new Promise<unknown>(take) as Promise<T>; // only the work resolves it
    const { resolve, reject } = taken;
    const { above } = attempt;
    // The promise's own functions, and no second reaction: only so does an async stack trace pass through.
    work.then(resolve, reject);
    this.#watch = Context.after(above, reject);
    // What is above has a timer of its own by now, if that is nearer.
    if (this.limit < above.remaining) {
      const { clock, startedAt } = attempt;
      if (clock === systemClock) {
        this.due = startedAt + this.limit;
        this.wake = reject;
        alarm.add(this, startedAt);
      } else {
        this.#timer = clock.setTimeout(reject, this.limit, timedOut);
      }
    }
    return race;
  }

  /** The attempt is over. */
  end(alarm: Alarm): void {
    if (this.wake !== undefined) alarm.remove(this);
    else this.#timer?.clear();
    this.#watch?.[Symbol.dispose]();
  }
}

/** Whether there is something to wait for. */
export function isThenable<T>(work: T | PromiseLike<T>): work is PromiseLike<T> {
  return work instanceof Promise || typeof (work as Partial<PromiseLike<T>> | null | undefined)?.then === "function";
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

keepShape(new Guard(Context.derive(), 1_000));
