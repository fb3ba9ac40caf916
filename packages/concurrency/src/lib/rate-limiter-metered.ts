// A rate limiter in this process: a meter that counts, slots for its keys, and queues for those who wait.
import { checkCount } from "./check.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { RateLimitDecision, RateLimiter, TakeOptions } from "./rate-limiter.ts";
import type { Meter } from "./rate-limiter-meter.ts";
import { TurnQueue } from "./rate-limiter-queue.ts";
import { KeySlots } from "./rate-limiter-slots.ts";

/** What all limiters in this process have in common. */
export interface MeteredLimiterOptions {
  /**
   * How many keys are remembered; default 100,000. Beyond that, idle keys are forgotten first, then those that have
   * taken least; a forgotten key starts anew. Memory is taken as keys come, about 80 bytes each.
   */
  readonly maxKeys?: number | undefined;
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
}

export class MeteredLimiter<K> implements RateLimiter<K> {
  readonly clock: Clock;
  readonly #meter: Meter;
  readonly #keys: KeySlots<K>;
  readonly #queue: TurnQueue<K>;
  readonly #maxQueue: number;

  constructor(action: string, meter: Meter, options: MeteredLimiterOptions, maxQueue = Number.POSITIVE_INFINITY) {
    const { maxKeys = 100_000, clock = systemClock } = options;
    this.#meter = meter;
    this.clock = clock;
    this.#keys = new KeySlots(meter, checkCount(action, "maxKeys", maxKeys, 1));
    this.#queue = new TurnQueue(clock, {
      tryTake: (key, cost) => this.tryTake(key, cost),
      admit: (key, cost) => this.#admit(key, cost),
    });
    this.#maxQueue = maxQueue;
  }

  tryTake(key: K, cost = 1): number {
    checkCount("take from a rate limiter", "cost", cost, 1);
    const ahead = this.#queue.unitsAhead(key);
    return ahead === 0 ? this.#admit(key, cost) : this.#delay(key, cost, ahead);
  }

  delay(key: K, cost = 1): number {
    checkCount("ask a rate limiter", "cost", cost, 1);
    return this.#delay(key, cost, this.#queue.unitsAhead(key));
  }

  take(key: K, cost = 1, options?: TakeOptions): Promise<void> {
    return this.#queue.take(key, cost, options, this.#maxQueue);
  }

  peek(key: K, cost = 1): RateLimitDecision {
    checkCount("ask a rate limiter", "cost", cost, 1);
    const { limit, windowMs } = this.#meter;
    const ahead = this.#queue.unitsAhead(key);
    const slot = this.#keys.find(key);
    const now = this.clock.now();
    return {
      limit,
      windowMs,
      remaining: slot === undefined ? limit : Math.max(0, Math.floor(this.#meter.available(slot, now) - ahead + 1e-6)),
      resetMs: slot === undefined ? 0 : Math.max(0, Math.ceil(this.#meter.idleAt(slot) - now)),
      retryAfterMs: this.#delay(key, cost, ahead),
    };
  }

  reset(key: K): void {
    this.#keys.forget(key);
    this.#queue.hurry(key);
  }

  #admit(key: K, cost: number): number {
    if (cost > this.#meter.maxCost) return Number.POSITIVE_INFINITY;
    const now = this.clock.now();
    const slot = this.#keys.find(key) ?? this.#keys.open(key, now);
    return this.#meter.take(slot, cost, now);
  }

  #delay(key: K, cost: number, ahead: number): number {
    if (cost > this.#meter.maxCost) return Number.POSITIVE_INFINITY;
    const slot = this.#keys.find(key);
    // Without a slot the key has taken nothing. That it has waiters nonetheless is rare: it was forgotten for room.
    return slot === undefined ? Math.min(ahead, 1) : this.#meter.delay(slot, cost, ahead, this.clock.now());
  }
}
