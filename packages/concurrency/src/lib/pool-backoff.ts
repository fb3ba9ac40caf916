// The pause after a failed attempt to make a resource, longer with each failure in a row.
import type { Clock, Timer } from "./clock.ts";

export class PoolBackoff {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #base: number;
  readonly #max: number;
  readonly #onOver: () => void;
  #failures = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, random: () => number, base: number, max: number, onOver: () => void) {
    this.#clock = clock;
    this.#random = random;
    this.#base = base;
    this.#max = max;
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
    const pause = Math.min(this.#max, this.#base * 2 ** this.#failures++);
    this.#timer?.clear();
    this.#timer = this.#clock.setTimeout(
      () => {
        this.#timer = undefined;
        this.#onOver();
      },
      pause * (1 - this.#random() / 2),
    );
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
}
