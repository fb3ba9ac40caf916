// Whether Redis answers: after a failure nobody asks for a while, then one call finds out.
import type { Clock } from "./clock.ts";

/** Something worth telling about a limiter's Redis. */
export type RedisRateLimiterEvent =
  /** Redis failed or did not answer in time; from now on `onError` decides. */
  | { readonly kind: "redis-lost"; readonly error: unknown }
  /** Redis decides again. */
  | { readonly kind: "redis-back" };

/** Milliseconds between two attempts to reach a server that did not answer. */
const pause = 500;

export class RedisOutage {
  readonly #clock: Clock;
  readonly #onEvent: ((event: RedisRateLimiterEvent) => void) | undefined;
  #isAway = false;
  #askAgainAt = 0;

  constructor(clock: Clock, onEvent: ((event: RedisRateLimiterEvent) => void) | undefined) {
    this.#clock = clock;
    this.#onEvent = onEvent;
  }

  /** Whether Redis did not answer when it was last asked. */
  get isAway(): boolean {
    return this.#isAway;
  }

  /** Whether the caller should ask Redis. During an outage that is one caller per pause. */
  isOver(): boolean {
    if (!this.#isAway) return true;
    const now = this.#clock.now();
    if (now < this.#askAgainAt) return false;
    this.#askAgainAt = now + pause;
    return true;
  }

  askAgainIn(): number {
    return Math.max(1, Math.ceil(this.#askAgainAt - this.#clock.now()));
  }

  begin(error: unknown): void {
    this.#askAgainAt = this.#clock.now() + pause;
    if (this.#isAway) return;
    this.#isAway = true;
    this.#tell({ kind: "redis-lost", error });
  }

  end(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    this.#tell({ kind: "redis-back" });
  }

  #tell(event: RedisRateLimiterEvent): void {
    try {
      this.#onEvent?.(event);
    } catch {} // whoever watches must not disturb
  }
}
