// Virtual time: nothing waits for real, everything happens in the order in which it would.
import { AsyncResource } from "node:async_hooks";
import { checkDuration } from "./check.ts";
import type { Clock, Timer } from "./clock.ts";
import { TestTimers } from "./test-clock-timers.ts";

/** Where a {@link TestClock} starts. */
export interface TestClockOptions {
  /** What `now()` tells at the start, in milliseconds. Default: 0. */
  readonly now?: number | undefined;
  /** What `wall()` tells at the start: milliseconds since the Unix epoch. Default: 2030-01-01T00:00:00Z. */
  readonly wall?: number | undefined;
}

/** Taken at import: a test runner's fake timers must not stop this clock. */
const { setImmediate } = globalThis;

/**
 * A clock that stands still until told to go on.
 *
 * @example
 * ```ts
 * import { Semaphore } from "@proj/concurrency";
 * import { TestClock } from "@proj/concurrency/testing";
 *
 * const clock = new TestClock();
 * const semaphore = new Semaphore(1, { clock });
 * using permit = await semaphore.acquire();
 * const waiting = semaphore.acquire({ timeout: 60_000 }).catch((error: Error) => error.name);
 * await clock.advance(60_000); // takes no time
 * console.log(await waiting); // prints: TimeoutError
 * ```
 */
export class TestClock implements Clock {
  readonly #timers = new TestTimers();
  readonly #epoch: number;
  #now: number;
  #advancing: Promise<void> = Promise.resolve();

  constructor(options: TestClockOptions = {}) {
    const { now = 0, wall = Date.UTC(2030, 0, 1) } = options;
    this.#now = now;
    this.#epoch = wall - now;
  }

  /** Virtual milliseconds. */
  now(): number {
    return this.#now;
  }

  /** Virtual milliseconds since the Unix epoch. */
  wall(): number {
    return this.#epoch + this.#now;
  }

  /** How many callbacks wait: 0 at the end of a test proves that no timer was left behind. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Calls back from within `advance`, in the `AsyncLocalStorage` frame of this call. */
  setTimeout<A>(callback: (arg: A) => void, ms: number, arg?: A): Timer {
    // A caller without `arg` has a callback without parameters.
    const call = AsyncResource.bind(() => callback(arg as A));
    return this.#timers.add(this.#now + Math.max(0, ms), call);
  }

  /**
   * Goes on by `ms` milliseconds. Calls each timer that falls due, those made meanwhile included, at its own time, and
   * lets all microtasks run before the next and at the end. Overlapping calls run one after the other. Rejects with what
   * a callback throws.
   */
  advance(ms: number): Promise<void> {
    checkDuration("advance a TestClock", "ms", ms);
    if (ms === Number.POSITIVE_INFINITY) throw new RangeError("Cannot advance a TestClock: ms must be finite");
    const done = this.#advancing.then(() => this.#advanceTo(this.#now + ms));
    this.#advancing = done.catch(() => {});
    return done;
  }

  /**
   * Goes on to the timer that is due next and calls it, without waiting for anything. Returns whether there was one. For
   * those who decide themselves when microtasks run, as `interleave` does.
   */
  advanceToNext(): boolean {
    const { next } = this.#timers;
    if (next === undefined) return false;
    this.#callNext(next);
    return true;
  }

  async #advanceTo(end: number): Promise<void> {
    await flush();
    for (let { next } = this.#timers; next !== undefined && next.due <= end; next = this.#timers.next) {
      this.#callNext(next);
      await flush();
    }
    this.#now = Math.max(this.#now, end);
  }

  #callNext(timer: Timer & { readonly due: number; readonly call: () => void }): void {
    timer.clear();
    this.#now = timer.due;
    timer.call();
  }
}

/** Resolves when no microtask is left. */
function flush(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
