// The pause after a failed attempt to make something, as a rule longer with each failure in a row.
import { checkDuration } from "./check.ts";
import type { Clock, Timer } from "./clock.ts";

/** How many milliseconds to wait before the attempt that follows `attempt` failures in a row. */
export type Backoff = (attempt: number) => number;

/** 100 ms, doubled each time, at most 10,000 ms; between half and the whole of that, so that many do not try at once. */
export function doubling(random: () => number): Backoff {
  return (attempt) => Math.min(10_000, 100 * 2 ** (attempt - 1)) * (1 - random() / 2);
}

export class PoolBackoff {
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #onOver: () => void;
  #failures = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, backoff: Backoff, onOver: () => void) {
    this.#clock = clock;
    this.#backoff = backoff;
    this.#onOver = onOver;
  }

  /** In a row. */
  get failures(): number {
    return this.#failures;
  }

  get isPaused(): boolean {
    return this.#timer !== undefined;
  }

  fail(): void {
    this.#failures++;
    this.#timer?.clear();
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      this.#onOver();
    }, this.#pause());
  }

  /** Somebody waits for the next attempt. */
  keepAlive(): void {
    this.#timer?.ref();
  }

  succeed(): void {
    this.#failures = 0;
    this.stop();
  }

  stop(): void {
    this.#timer?.clear();
    this.#timer = undefined;
  }

  /** A backoff that fails itself is an uncaught exception, as for any event listener; it must not end all attempts. */
  #pause(): number {
    try {
      return checkDuration("wait after a failure", "the result of the backoff", this.#backoff(this.#failures));
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
      return doubling(() => 0)(this.#failures);
    }
  }
}
