// One rate limit for many processes, counted by Redis.
import { checkCount, checkDuration, describe } from "./check.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { RateLimitDecision, RateLimiter, TakeOptions } from "./rate-limiter.ts";
import { TurnQueue } from "./rate-limiter-queue.ts";
import { checkRedisClient, type RedisClient } from "./redis-client.ts";
import { Leases } from "./redis-leases.ts";
import { forgetScript, takeScript } from "./redis-limiter-script.ts";
import { RedisOutage, type RedisRateLimiterEvent } from "./redis-outage.ts";
import type { RedisCall } from "./redis-script.ts";
import { type ComponentStats, register } from "./registry.ts";
import { type RefusalEvent, refusalEvents } from "./registry-events.ts";
import { readTokenBucket, type TokenBucketSpec, tokenBucket } from "./token-bucket.ts";

/** How much to fetch ahead, and what to do without Redis. */
export interface RedisRateLimiterOptions {
  /** With a name it is listed by `components()`, and refusals are told under it. Default: none. */
  readonly name?: string | undefined;
  /** Put before each key. Limiters of one prefix and one spec share their counts. Default: `"rate:"`. */
  readonly prefix?: string | undefined;
  /**
   * Most units to fetch ahead in one round trip for a key that is in constant use; they are spent within a second or
   * given up. 1 fetches nothing ahead. Default: 20.
   */
  readonly lease?: number | undefined;
  /** Milliseconds by which every decision is made, whatever Redis does. Default: 100. */
  readonly timeout?: number | undefined;
  /**
   * What decides while Redis does not answer: a bucket of the same spec in this process, everybody may pass, or nobody.
   * Default: `"local"`.
   */
  readonly onError?: "local" | "allow" | "deny" | undefined;
  /** Told when Redis stops answering, and when it is back. What it throws is ignored. */
  readonly onEvent?: ((event: RedisRateLimiterEvent) => void) | undefined;
  /** Keys of which this process remembers something. Default: 100,000. */
  readonly maxKeys?: number | undefined;
  /** Default: the system's. Counting is by the server's. */
  readonly clock?: Clock | undefined;
}

/** A {@link RateLimiter} with answers from afar. Only `reset` ever rejects because of Redis. */
export interface RedisRateLimiter {
  /** As {@link RateLimiter.tryTake}; resolves within `timeout`, without a round trip while leased units last. */
  tryTake(key: string, cost?: number): Promise<number>;
  /** As {@link RateLimiter.take}; in turn within this process. */
  take(key: string, cost?: number, options?: TakeOptions): Promise<void>;
  /** As {@link RateLimiter.peek}; one round trip. Leased units count as taken. */
  peek(key: string, cost?: number): Promise<RateLimitDecision>;
  /**
   * As {@link RateLimiter.reset}; other processes go on spending or refusing for up to a second. Rejects when Redis is
   * away.
   */
  reset(key: string): Promise<void>;
}

/**
 * Makes a token bucket that all processes with the same Redis share: within any time T they admit together at most
 * `rate * T / per + burst`, and the units that were leased out when it began. Counting is one atomic step on the server,
 * by the server's clock.
 *
 * A key in constant use leases up to `lease` units with one round trip: at 1,000 takes per second one in 20 asks. The
 * lease grows and shrinks with the use of the key; it cannot exceed `burst`, so a small burst means more round trips. A
 * key over its limit is refused from memory, and asks again after as long as the server said, at most a second.
 *
 * When Redis does not answer, `onError` decides, at once until Redis is asked again half a second later.
 *
 * @example
 * <!-- check: types-only, needs a Redis -->
 * ```ts
 * import { redisRateLimiter } from "@proj/concurrency/redis";
 * import { createClient } from "redis";
 *
 * const client = await createClient({ url: "redis://127.0.0.1:6379" }).on("error", console.error).connect();
 * const perUser = redisRateLimiter(client, { rate: 100, burst: 200 }, { prefix: "api:", onError: "local" });
 * const wait = await perUser.tryTake("ada");
 * console.log(wait === 0 ? "go on" : `retry after ${wait} ms`);
 * ```
 */
export function redisRateLimiter(
  client: RedisClient,
  spec: TokenBucketSpec,
  options: RedisRateLimiterOptions = {},
): RedisRateLimiter {
  return new LeasingLimiter(client, spec, options);
}

const action = "create a Redis rate limiter";
/** As it tells of itself. */
const algorithm = "redis-token-bucket";

class LeasingLimiter implements RedisRateLimiter {
  readonly #call: RedisCall;
  readonly #prefix: string;
  readonly #ratePerMs: number;
  readonly #burst: number;
  readonly #leases: Leases;
  readonly #outage: RedisOutage;
  readonly #substitute: (key: string, cost: number) => number;
  readonly #local: RateLimiter<string>;
  readonly #queue: TurnQueue<string>;
  readonly #name: string;
  #admitted = 0;
  #refused = 0;

  constructor(client: RedisClient, spec: TokenBucketSpec, options: RedisRateLimiterOptions) {
    const { prefix = "rate:", lease = 20, timeout = 100, onError = "local", clock = systemClock } = options;
    const { name, maxKeys = 100_000, onEvent } = options;
    checkRedisClient(action, client);
    this.#name = name ?? algorithm;
    const { ratePerMs, burst } = readTokenBucket(action, spec);
    this.#prefix = prefix;
    this.#ratePerMs = ratePerMs;
    this.#burst = burst;
    // A caller may have to wait for the round trip of another and then for its own.
    this.#call = { client, clock, timeout: checkDuration(action, "timeout", timeout) / 2 };
    this.#outage = new RedisOutage(clock, onEvent);
    this.#local = tokenBucket<string>({ ...spec, maxKeys: checkCount(action, "maxKeys", maxKeys, 1), clock });
    this.#substitute = this.#readOnError(onError);
    this.#leases = new Leases({
      clock,
      maxKeys,
      lease: Math.min(checkCount(action, "lease", lease, 1), burst),
      pause: Math.min(20, lease / ratePerMs, burst / ratePerMs / 2),
      fetch: (key, need, want) => this.#fetch(key, need, want),
    });
    this.#queue = new TurnQueue(clock, {
      tryTake: (key, cost) => this.#tryTake(key, cost),
      admit: (key, cost) => this.#admit(key, cost),
      giveBack: (key, cost) => this.#leases.giveBack(key, cost),
      refused: (key, cost, wait) => this.#refuse(key, cost, wait),
    });
    if (name !== undefined) register("rate-limiter", name, this as LeasingLimiter, (limiter) => limiter.#stats);
  }

  async tryTake(key: string, cost = 1): Promise<number> {
    checkCount("take from a rate limiter", "cost", cost, 1);
    const wait = await this.#tryTake(key, cost);
    if (wait === 0) this.#admitted++;
    else this.#refuse(key, cost, wait);
    return wait;
  }

  async take(key: string, cost = 1, options?: TakeOptions): Promise<void> {
    checkCount("take from a rate limiter", "cost", cost, 1);
    await this.#queue.take(key, cost, options);
    this.#admitted++;
  }

  async peek(key: string, cost = 1): Promise<RateLimitDecision> {
    checkCount("ask a rate limiter", "cost", cost, 1);
    const answer = this.#outage.isOver() ? await this.#ask(key, cost, 0) : undefined;
    if (answer === undefined) return this.#local.peek(key, cost);
    const [, remaining, retryAfterMs, resetMs] = answer;
    const limits = { limit: this.#burst, windowMs: this.#burst / this.#ratePerMs };
    return {
      ...limits,
      remaining,
      resetMs,
      retryAfterMs: cost > this.#burst ? Number.POSITIVE_INFINITY : retryAfterMs,
    };
  }

  async reset(key: string): Promise<void> {
    this.#local.reset(key);
    this.#leases.forget(key);
    await forgetScript.numbers(this.#call, [this.#prefix + key], []);
    this.#queue.hurry(key);
  }

  #tryTake(key: string, cost: number): number | Promise<number> {
    const ahead = this.#queue.unitsAhead(key);
    // Those in line wait for what is to come; what is there already they would have got.
    return ahead === 0 ? this.#admit(key, cost) : Math.ceil(ahead / this.#ratePerMs);
  }

  #admit(key: string, cost: number): number | Promise<number> {
    if (cost > this.#burst) return Number.POSITIVE_INFINITY;
    return this.#leases.spend(key, cost) ?? this.#spendAfterFetch(key, cost);
  }

  async #spendAfterFetch(key: string, cost: number): Promise<number> {
    if (!this.#outage.isOver()) return this.#substitute(key, cost);
    return (await this.#leases.fetchAndSpend(key, cost)) ?? this.#substitute(key, cost);
  }

  /** Asks the server; undefined when it does not answer. */
  async #fetch(key: string, need: number, want: number): Promise<{ taken: number; wait: number } | undefined> {
    const answer = await this.#ask(key, need, want);
    return answer === undefined ? undefined : { taken: answer[0], wait: answer[2] };
  }

  async #ask(key: string, need: number, want: number): Promise<[number, number, number, number] | undefined> {
    const interval = 1_000 / this.#ratePerMs;
    try {
      const answer = await takeScript.numbers(this.#call, [this.#prefix + key], [interval, this.#burst, need, want]);
      this.#outage.end();
      return answer as [number, number, number, number]; // what the script returns
    } catch (error) {
      this.#outage.begin(error);
      return undefined;
    }
  }

  /** Somebody is sent away. */
  #refuse(key: string, cost: number, retryAfterMs: number): void {
    this.#refused++;
    if (!refusalEvents.hasSubscribers) return;
    const event: RefusalEvent = { kind: "take-refused", name: this.#name, algorithm, key, cost, retryAfterMs };
    refusalEvents.publish(event);
  }

  get #stats(): ComponentStats {
    const [admitted, refused, waiting] = [this.#admitted, this.#refused, this.#queue.waiting];
    return { algorithm, keys: this.#leases.size, admitted, refused, waiting, away: this.#outage.isAway };
  }

  #readOnError(onError: "local" | "allow" | "deny"): (key: string, cost: number) => number {
    switch (onError) {
      case "local":
        // Asked first, so that the refusal is told once: by this limiter.
        return (key, cost) => this.#local.delay(key, cost) || this.#local.tryTake(key, cost);
      case "allow":
        return () => 0;
      case "deny":
        return () => this.#outage.askAgainIn();
      default:
        throw new TypeError(`Cannot ${action}: onError must be "local", "allow" or "deny", got ${describe(onError)}`);
    }
  }
}
