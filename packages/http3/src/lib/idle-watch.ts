// Tells who has waited for too long: one timer for all that wait, since all may wait for the same time.
import type { Clock } from "@proj/concurrency";

/** Who waits; told once when it took too long. */
export interface Waiting {
  expire(): void;
}

/** Watches waits of one length. */
export class IdleWatch {
  readonly #timeout: number;
  readonly #clock: Clock;
  /** When each wait ends; the oldest wait is the first. */
  readonly #ends = new Map<Waiting, number>();
  #armed = false;

  constructor(timeout: number, clock: Clock) {
    this.#timeout = timeout;
    this.#clock = clock;
  }

  begin(waiting: Waiting): void {
    this.#ends.set(waiting, this.#clock.now() + this.#timeout);
    if (!this.#armed) this.#arm(this.#timeout);
  }

  /** Always follows `begin()`, but for those that expired. */
  end(waiting: Waiting): void {
    this.#ends.delete(waiting);
  }

  /** The timer outlives the waits it was set for: most are over long before, and the next one finds it running. */
  #arm(delay: number): void {
    this.#armed = true;
    this.#clock.setTimeout(() => this.#check(), delay);
  }

  #check(): void {
    this.#armed = false;
    const now = this.#clock.now();
    for (const [waiting, end] of this.#ends) {
      if (end > now) {
        this.#arm(end - now);
        return;
      }
      this.#ends.delete(waiting);
      waiting.expire();
    }
  }
}
