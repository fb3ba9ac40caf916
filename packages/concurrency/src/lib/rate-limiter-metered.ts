// A rate limiter in this process: a meter that counts, slots for its keys, and queues for those who wait.
import { checkCount, describe } from "./check.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { RateLimitDecision, RateLimiter, TakeOptions } from "./rate-limiter.ts";
import type { Meter } from "./rate-limiter-meter.ts";
import { TurnQueue } from "./rate-limiter-queue.ts";
import { KeySlots } from "./rate-limiter-slots.ts";
import { type ComponentStats, register } from "./registry.ts";
import { type RefusalEvent, refusalEvents } from "./registry-events.ts";

/** What all limiters in this process have in common. */
export interface MeteredLimiterOptions {
  /** With a name it is listed by `components()`, and refusals are told under it. Default: none. */
  readonly name?: string | undefined;
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
  readonly #algorithm: string;
  readonly #name: string;
  #admitted = 0;
  #refused = 0;

  constructor(algorithm: string, meter: Meter, options: MeteredLimiterOptions, maxQueue = Number.POSITIVE_INFINITY) {
    const { name, maxKeys = 100_000, clock = systemClock } = options;
    const action = `create a ${algorithm.replace("-", " ")}`;
    if (name !== undefined && typeof name !== "string") {
      throw new TypeError(`Cannot ${action}: name must be a string, got ${describe(name)}`);
    }
    this.#algorithm = algorithm;
    this.#name = name ?? algorithm;
    this.#meter = meter;
    this.clock = clock;
    this.#keys = new KeySlots(meter, checkCount(action, "maxKeys", maxKeys, 1));
    this.#queue = new TurnQueue(clock, {
      tryTake: (key, cost) => this.#tryTake(key, cost),
      admit: (key, cost) => this.#admit(key, cost),
      refused: (key, cost, wait) => this.#refuse(key, cost, wait),
    });
    this.#maxQueue = maxQueue;
    if (name !== undefined) register("rate-limiter", name, this as MeteredLimiter<K>, (limiter) => limiter.#stats);
  }

  tryTake(key: K, cost = 1): number {
    const wait = this.#tryTake(key, cost);
    if (wait !== 0) this.#refuse(key, cost, wait);
    return wait;
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

  #tryTake(key: K, cost: number): number {
    checkCount("take from a rate limiter", "cost", cost, 1);
    const ahead = this.#queue.unitsAhead(key);
    return ahead === 0 ? this.#admit(key, cost) : this.#delay(key, cost, ahead);
  }

  #admit(key: K, cost: number): number {
    if (cost > this.#meter.maxCost) return Number.POSITIVE_INFINITY;
    const now = this.clock.now();
    const slot = this.#keys.find(key) ?? this.#keys.open(key, now);
    const wait = this.#meter.take(slot, cost, now);
    if (wait === 0) this.#admitted++;
    return wait;
  }

  /** Somebody is sent away. */
  #refuse(key: K, cost: number, retryAfterMs: number): void {
    this.#refused++;
    if (!refusalEvents.hasSubscribers) return;
    const [name, algorithm] = [this.#name, this.#algorithm];
    const event: RefusalEvent = { kind: "take-refused", name, algorithm, key, cost, retryAfterMs };
    refusalEvents.publish(event);
  }

  get #stats(): ComponentStats {
    const [keys, admitted, refused, waiting] = [this.#keys.size, this.#admitted, this.#refused, this.#queue.waiting];
    return { algorithm: this.#algorithm, keys, admitted, refused, waiting };
  }

  #delay(key: K, cost: number, ahead: number): number {
    if (cost > this.#meter.maxCost) return Number.POSITIVE_INFINITY;
    const slot = this.#keys.find(key);
    // Without a slot the key has taken nothing. That it has waiters nonetheless is rare: it was forgotten for room.
    return slot === undefined ? Math.min(ahead, 1) : this.#meter.delay(slot, cost, ahead, this.clock.now());
  }
}
