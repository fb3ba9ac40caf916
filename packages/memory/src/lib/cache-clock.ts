// The time for many reads in a row: asking the platform each time would cost as much as the read.
import { AsyncLocalStorage } from "node:async_hooks";
import type { Clock } from "@proj/concurrency";

const coarse = new WeakMap<Clock, CoarseClock>();
/** Timers are made outside of whatever request happens to need one, so that they do not keep its stores alive. */
export const outside: <R>(run: () => R) => R = AsyncLocalStorage.snapshot();

/** Reads that the same time is good for, within a millisecond. */
const reads = 64;

/** The one coarse clock of a clock. */
export function coarseClock(clock: Clock): CoarseClock {
  let found = coarse.get(clock);
  if (found === undefined) {
    found = new CoarseClock(clock);
    coarse.set(clock, found);
  }
  return found;
}

/** Late by a millisecond at most, or by what 64 reads take when nothing else gets to run. */
export class CoarseClock {
  readonly #clock: Clock;
  #now = 0;
  #left = 0;
  #isArmed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The time of one of the last reads. */
  read(): number {
    return --this.#left < 0 ? this.exact() : this.#now;
  }

  /** The time as it is. */
  exact(): number {
    const now = this.#clock.now();
    this.#now = now;
    this.#left = reads;
    if (!this.#isArmed) {
      this.#isArmed = true;
      outside(() => this.#clock.setTimeout(forget, 1, this));
    }
    return now;
  }

  forget(): void {
    this.#isArmed = false;
    this.#left = 0;
  }
}

function forget(clock: CoarseClock): void {
  clock.forget();
}
