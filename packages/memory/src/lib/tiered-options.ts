// What can be set on a cache in tiers, and on single calls.
import { type Clock, systemClock, type WaitOptions } from "@proj/concurrency";
import { checkCount, checkDuration, checkFunction, checkOneOf, checkRatio, describe } from "@proj/concurrency/options";
import type { CacheOptions } from "./cache-options.ts";
import { jsonCodec } from "./codec-json.ts";
import type { Bus, Codec, Tier } from "./tier.ts";
import type { TierBreakerOptions } from "./tiered-breaker.ts";
import type { TieredLeaseOptions } from "./tiered-lease.ts";

/** How the memory of a cache in tiers is bounded; `weigh` gets the value, or `undefined` where there is known to be none. */
export type TieredMemoryOptions<V> = Pick<CacheOptions<string, V>, "max" | "maxBytes" | "lowWatermark" | "policy"> & {
  /** What a value weighs, in bytes. Default: `estimateBytes`. */
  readonly weigh?: ((value: V | undefined, key: string) => number) | undefined;
};

/** What can be set on a cache in tiers. */
export interface TieredOptions<V> {
  /** For how many milliseconds a value is fresh. */
  readonly fresh: number;
  /** For how many milliseconds after that it may be given while another one is fetched, or when that fails. Default: 0. */
  readonly staleFor?: number | undefined;
  /**
   * What a caller gets who comes when the value is stale: `"serve"` the stale value at once, and it is loaded again in
   * the background; `"wait"` for the new value, and the stale one after `softTimeout`, or if the load fails.
   * Default: `"serve"`.
   */
  readonly whenStale?: "serve" | "wait" | undefined;
  /**
   * After which share of its time a fresh value is loaded again in the background when it is asked for, so that nobody
   * waits when its time is over. From 0 to 1. Default: 1, not before it is over.
   */
  readonly eagerAt?: number | undefined;
  /** For how many milliseconds to remember that a load has found nothing. Default: 0, not at all. */
  readonly negative?: number | undefined;
  /** The memory of this process. Default: 10,000 entries. */
  readonly l1?: TieredMemoryOptions<V> | undefined;
  /** What is below the memory, nearest first. They are closed with the cache. Default: nothing. */
  readonly tiers?: readonly Tier[] | undefined;
  /** Tells of the writes of other processes. Without one, they are seen when a value is no longer fresh. */
  readonly bus?: Bus | undefined;
  /** How values are written for tiers. Default: {@link jsonCodec}. */
  readonly codec?: Codec<V> | undefined;
  /**
   * The longest wait for tiers, in milliseconds: for a read, all of them together; also for a publication, a lease, and
   * with `whenStale: "wait"` for a new value. Default: 1,000.
   */
  readonly softTimeout?: number | undefined;
  /** After how many milliseconds a load is given up with a `TimeoutError`. Default: never. */
  readonly hardTimeout?: number | undefined;
  /** After a load in the background has failed, how many milliseconds to the next. Default: 1,000. */
  readonly retryAfter?: number | undefined;
  /**
   * Lets one process at a time load a value, for a round trip more per load: worth it for loads that take longer than
   * 20 ms. Default: `false`.
   */
  readonly lease?: TieredLeaseOptions | false | undefined;
  /** When a tier that fails is left alone. */
  readonly breaker?: TierBreakerOptions | undefined;
  /** How many writes are kept for a tier that is away; beyond that, it is cleared when it is back. Default: 10,000. */
  readonly maxPending?: number | undefined;
  /** With a name it is listed by `components()` of `@proj/concurrency/inspect`. */
  readonly name?: string | undefined;
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
  /** From 0 to below 1: for the pauses of breakers. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** What can be set on a read. */
export type TieredReadOptions = WaitOptions;

/** What can be set on a value that is written. */
export interface TieredEntryOptions {
  /** For how many milliseconds it is fresh. Default: `fresh` of the cache. */
  readonly ttl?: number | undefined;
  /** Tags to invalidate it by. Default: none. */
  readonly tags?: readonly string[] | undefined;
}

/** Options with all defaults. */
export interface TieredSettings<V> {
  readonly fresh: number;
  readonly staleFor: number;
  readonly whenStale: "serve" | "wait";
  readonly eagerAt: number;
  readonly negative: number;
  readonly l1: TieredMemoryOptions<V>;
  readonly tiers: readonly Tier[];
  readonly bus: Bus | undefined;
  readonly codec: Codec<V>;
  readonly softTimeout: number;
  readonly hardTimeout: number;
  readonly retryAfter: number;
  readonly lease: TieredLeaseOptions | undefined;
  readonly breaker: TierBreakerOptions | undefined;
  readonly maxPending: number;
  readonly name: string | undefined;
  readonly clock: Clock;
  readonly random: () => number;
}

/** @throws TypeError or RangeError for options that are none */
export function tieredSettings<V>(action: string, options: TieredOptions<V>): TieredSettings<V> {
  const { clock = systemClock, random = Math.random, tiers = [], lease = false, codec = jsonCodec<V>() } = options;
  const { whenStale = "serve", l1 = { max: 10_000 } } = options;
  const duration = (name: DurationOption, value: number): number => checkDuration(action, name, options[name] ?? value);
  if (!Array.isArray(tiers)) throw new TypeError(`Cannot ${action}: tiers must be an array, got ${describe(tiers)}`);
  for (const tier of tiers) checkFunction(action, "getMany of a tier", (tier as Tier | undefined)?.getMany);
  if (options.bus !== undefined) checkFunction(action, "bus.subscribe", options.bus.subscribe);
  if (!Number.isInteger(codec.id) || codec.id < 0 || codec.id > 255) {
    throw new RangeError(`Cannot ${action}: codec.id must be an integer from 0 to 255, got ${describe(codec.id)}`);
  }
  if (lease !== false) {
    checkFunction(action, "lease.store.tryAcquire", lease.store?.tryAcquire);
    checkDuration(action, "lease.ttl", lease.ttl);
  }
  if (options.fresh === undefined) throw new TypeError(`Cannot ${action}: fresh must be given, got undefined`);
  return {
    fresh: duration("fresh", 0),
    staleFor: duration("staleFor", 0),
    whenStale: checkOneOf(action, "whenStale", whenStale, ["serve", "wait"]),
    eagerAt: checkRatio(action, "eagerAt", options.eagerAt ?? 1),
    negative: duration("negative", 0),
    l1,
    tiers,
    bus: options.bus,
    codec,
    softTimeout: duration("softTimeout", 1_000),
    hardTimeout: duration("hardTimeout", Number.POSITIVE_INFINITY),
    retryAfter: duration("retryAfter", 1_000),
    lease: lease === false ? undefined : lease,
    breaker: options.breaker,
    maxPending: checkCount(action, "maxPending", options.maxPending ?? 10_000, 1),
    name: options.name,
    clock,
    random: checkFunction(action, "random", random),
  };
}

type DurationOption = "fresh" | "staleFor" | "negative" | "softTimeout" | "hardTimeout" | "retryAfter";
