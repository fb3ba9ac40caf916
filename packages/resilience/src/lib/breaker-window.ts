// What a circuit remembers of its calls: those of the last while, or the last so many.
import { RollingCounts } from "./rolling-counts.ts";

/** How the calls of a window have ended. */
export interface CallCounts {
  /** All, without those that tell nothing of the health of the dependency. */
  readonly calls: number;
  /** Failures of any kind, timeouts included. */
  readonly failures: number;
  /** Of them, timeouts. */
  readonly timeouts: number;
  /** Calls of any outcome that took longer than `slowCall`. */
  readonly slow: number;
}

export interface CallWindow {
  /** Lets go of what is too old. To be called before anything is recorded or read. */
  advance(now: number): void;
  record(isFailure: boolean, isTimeout: boolean, isSlow: boolean): void;
  /** Counts calls of which the order is not known any more. */
  load(counts: CallCounts): void;
  readonly calls: number;
  readonly failures: number;
  readonly timeouts: number;
  readonly slow: number;
  clear(): void;
}

const calls = 0;
const failures = 1;
const timeouts = 2;
const slow = 3;

/** The calls of the last `window` milliseconds. */
export class TimeWindow implements CallWindow {
  readonly #counts: RollingCounts;

  constructor(window: number, buckets: number) {
    this.#counts = new RollingCounts(window, buckets, 4);
  }

  advance(now: number): void {
    this.#counts.advance(now);
  }

  record(isFailure: boolean, isTimeout: boolean, isSlow: boolean): void {
    const counts = this.#counts;
    counts.add(calls);
    if (isFailure) counts.add(failures);
    if (isTimeout) counts.add(timeouts);
    if (isSlow) counts.add(slow);
  }

  load(loaded: CallCounts): void {
    this.#counts.add(calls, loaded.calls);
    this.#counts.add(failures, loaded.failures);
    this.#counts.add(timeouts, loaded.timeouts);
    this.#counts.add(slow, loaded.slow);
  }

  get calls(): number {
    return this.#counts.total(calls);
  }

  get failures(): number {
    return this.#counts.total(failures);
  }

  get timeouts(): number {
    return this.#counts.total(timeouts);
  }

  get slow(): number {
    return this.#counts.total(slow);
  }

  clear(): void {
    this.#counts.clear();
  }
}

/** The last `size` calls, however long ago. */
export class CountWindow implements CallWindow {
  readonly #size: number;
  /** One byte a call, with a bit for each of failure, timeout and slow. */
  readonly #ring: Uint8Array;
  #at = 0;
  calls = 0;
  failures = 0;
  timeouts = 0;
  slow = 0;

  constructor(size: number) {
    this.#size = size;
    this.#ring = new Uint8Array(size);
  }

  advance(): void {}

  record(isFailure: boolean, isTimeout: boolean, isSlow: boolean): void {
    const last = this.#ring[this.#at] as number; // the index stays within the ring
    if (this.calls === this.#size) {
      this.failures -= last & 1;
      this.timeouts -= (last >> 1) & 1;
      this.slow -= last >> 2;
    } else {
      this.calls++;
    }
    this.#ring[this.#at] = (isFailure ? 1 : 0) | (isTimeout ? 2 : 0) | (isSlow ? 4 : 0);
    this.#at = this.#at + 1 === this.#size ? 0 : this.#at + 1;
    if (isFailure) this.failures++;
    if (isTimeout) this.timeouts++;
    if (isSlow) this.slow++;
  }

  load({ calls, failures, timeouts, slow }: CallCounts): void {
    const share = Math.min(1, this.#size / calls); // of a larger window that it was saved from
    for (let call = 0; call < Math.min(calls, this.#size); call++) {
      this.record(call < failures * share, call < timeouts * share, call < slow * share);
    }
  }

  clear(): void {
    this.#at = 0;
    this.calls = 0;
    this.failures = 0;
    this.timeouts = 0;
    this.slow = 0;
  }
}
