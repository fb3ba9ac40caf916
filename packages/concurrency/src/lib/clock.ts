// Time as a parameter: everything here that waits or measures does it through a Clock.

/** A pending callback of a {@link Clock}. */
export interface Timer {
  /** Forgets the callback. Harmless when it has run already. */
  clear(): void;
  /** Keeps the process alive until the callback has run or was cleared, which a timer does not do by default. */
  ref(): void;
}

/**
 * The source of time. Pass {@link systemClock} in production (it is the default everywhere) and the `TestClock` of
 * `@proj/concurrency/testing` in tests.
 *
 * Timers **do not keep the process alive** unless their `ref()` is called. Delays may be as long as you like (`Infinity`
 * never fires); the limit of 2^31 ms that the platform's `setTimeout` has does not apply.
 */
export interface Clock {
  /** Milliseconds on a monotonic clock. Only differences mean something. */
  now(): number;
  /** Milliseconds since the Unix epoch. May jump when the machine's clock is set. */
  wall(): number;
  /** Calls `callback(arg)` once, `ms` milliseconds from now, never before this call has returned. */
  setTimeout<A>(callback: (arg: A) => void, ms: number, arg: A): Timer;
  setTimeout(callback: () => void, ms: number): Timer;
}

/**
 * The time of this machine. Looks up `performance`, `Date` and `setTimeout` at each call, so that the fake timers of a
 * test runner reach it.
 *
 * @example
 * ```ts
 * import { systemClock } from "@proj/concurrency";
 *
 * const start = systemClock.now();
 * const timer = systemClock.setTimeout(() => console.log("never printed"), 1_000);
 * timer.clear();
 * console.log(systemClock.now() - start < 1_000); // prints: true
 * ```
 */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  setTimeout: <A>(callback: (arg: A) => void, ms: number, arg?: A): Timer =>
    // A caller without `arg` has a callback without parameters: the second overload says so.
    ms <= longestDelay ? new SystemTimer(callback, ms, arg as A) : new LongTimer(callback, ms, arg as A),
};

/** The longest delay the platform keeps: a longer one fires after 1 ms, with a warning. */
const longestDelay = 2 ** 31 - 1;

class SystemTimer<A> implements Timer {
  readonly #timeout: NodeJS.Timeout;

  constructor(callback: (arg: A) => void, ms: number, arg: A) {
    this.#timeout = globalThis.setTimeout(callback, Math.ceil(ms), arg); // never early by a fraction
    this.#timeout.unref();
  }

  clear(): void {
    globalThis.clearTimeout(this.#timeout);
  }

  ref(): void {
    this.#timeout.ref();
  }
}

/** Waits for as many of the platform's longest delays as it takes. */
class LongTimer<A> implements Timer {
  readonly #callback: (arg: A) => void;
  readonly #arg: A;
  readonly #due: number;
  #leg: Timer | undefined;
  #referenced = false;

  constructor(callback: (arg: A) => void, ms: number, arg: A) {
    if (Number.isNaN(ms)) throw new RangeError("Cannot set a timer: ms must be a number of milliseconds, got NaN");
    this.#callback = callback;
    this.#arg = arg;
    this.#due = systemClock.now() + ms;
    if (ms !== Number.POSITIVE_INFINITY) this.#wait();
  }

  clear(): void {
    this.#leg?.clear();
  }

  ref(): void {
    this.#referenced = true;
    this.#leg?.ref();
  }

  #wait(): void {
    const left = this.#due - systemClock.now();
    if (left <= longestDelay) this.#leg = new SystemTimer(this.#callback, left, this.#arg);
    else this.#leg = new SystemTimer(() => this.#wait(), longestDelay, undefined);
    if (this.#referenced) this.#leg.ref();
  }
}
