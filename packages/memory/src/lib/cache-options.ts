// What can be set on a cache, and what it tells.
import type { Clock } from "@proj/concurrency";
import { checkCount, checkDuration, checkFunction, checkRatio, describe } from "@proj/concurrency/options";
import { checkPolicy } from "./cache-policies.ts";
import type { EvictionPolicy, PolicyName } from "./cache-policy.ts";

/**
 * Why an entry is no longer there: `"size"` to make room, `"ttl"` for its age, `"pressure"` by `shrink()`,
 * `"invalidate"` by `clear()`, `"replace"` by another value for its key, `"delete"` by `delete()`.
 */
export type EvictionCause = "size" | "ttl" | "pressure" | "invalidate" | "replace" | "delete";

/** What can be set on a {@link Cache}. One of `max` and `maxBytes` must be. */
export interface CacheOptions<K, V> {
  /** How many entries there may be. Default: as many as `maxBytes` allows. */
  readonly max?: number | undefined;
  /** How many bytes they may weigh together, as `weigh` tells. Default: not weighed. */
  readonly maxBytes?: number | undefined;
  /** Where `maxBytes` is exceeded, so much of it is left: making room for many at once is cheaper. Default: 0.9. */
  readonly lowWatermark?: number | undefined;
  /** What an entry weighs, in bytes: a finite number from 0. Default: {@link estimateBytes}. */
  readonly weigh?: ((value: V, key: K) => number) | undefined;
  /**
   * Who leaves first. Default: `"tlfu"`, which keeps what is used often and lets scans pass through. `"clock"` costs
   * least when most keys are new. `"lru"`, least recently used first, is lru-cache. `"fifo"`: oldest first. `"lfu"`: least
   * often used first, where uses of long ago count less; it forgets slowly. Or a policy of your own.
   */
  readonly policy?: PolicyName | EvictionPolicy | undefined;
  /** Milliseconds after which a value is forgotten. Default: never. */
  readonly ttl?: number | undefined;
  /** Whether each `get` starts the time anew. Default: `false`. */
  readonly sliding?: boolean | undefined;
  /** By which share, at random, `ttl` is shortened, so that what came together does not go together. Default: 0.1. */
  readonly jitter?: number | undefined;
  /** Told of each entry that is no longer there, once, when the method that removed it is done. May use the cache. */
  readonly onEvict?: ((key: K, value: V, cause: EvictionCause) => void) | undefined;
  /** With a name it is listed by `components()` of `@proj/concurrency/inspect`. */
  readonly name?: string | undefined;
  /** Measures `ttl`. Default: the system's. */
  readonly clock?: Clock | undefined;
  /** From 0 to below 1, for `jitter`. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** What can be set on a single entry. */
export interface CacheEntryOptions {
  /** Milliseconds after which it is forgotten, without jitter; `Infinity` for never. Default: the cache's. */
  readonly ttl?: number | undefined;
  /** What it weighs. Default: what `weigh` says. */
  readonly weight?: number | undefined;
}

/** What {@link Cache.snapshot} tells of an entry beside key and value. */
export interface CacheEntryMeta {
  /** Milliseconds until it expires; `undefined` for never. */
  readonly ttl: number | undefined;
  /** `undefined` where the cache does not weigh. */
  readonly weight: number | undefined;
}

/** How a {@link Cache} has done since it was made. */
export interface CacheStats {
  /** Those that have expired and were not removed yet included. */
  readonly entries: number;
  /** What they weigh together: 0 where the cache does not weigh. */
  readonly bytes: number;
  /** Reads that found a value. */
  readonly hits: number;
  /** Reads that found none. */
  readonly misses: number;
  /** Hits among all that were asked for; 0 before the first. */
  readonly hitRatio: number;
  /** Removed, by cause. */
  readonly evicted: Readonly<Record<EvictionCause, number>>;
  /** Not taken: heavier than all that the cache may hold. */
  readonly refused: number;
}

/** @throws TypeError or RangeError for options that are none */
export function checkCacheOptions<K, V>(options: CacheOptions<K, V>): void {
  const action = "create a Cache";
  const { max, maxBytes, lowWatermark, weigh, policy, ttl, jitter, onEvict, random } = options;
  if (max === undefined && maxBytes === undefined) {
    throw new TypeError(`Cannot ${action}: max or maxBytes must be given, got neither`); // it would grow for ever
  }
  if (max !== undefined) checkCount(action, "max", max, 1);
  if (max !== undefined && max > mostEntries) {
    throw new RangeError(`Cannot ${action}: max must be at most ${mostEntries}, which a Map can hold, got ${max}`);
  }
  if (maxBytes !== undefined) checkCount(action, "maxBytes", maxBytes, 1);
  if (lowWatermark !== undefined) checkRatio(action, "lowWatermark", lowWatermark);
  if (weigh !== undefined) checkFunction(action, "weigh", weigh);
  if (policy !== undefined) checkPolicy(action, policy);
  if (ttl !== undefined) checkDuration(action, "ttl", ttl);
  if (jitter !== undefined) checkRatio(action, "jitter", jitter);
  if (onEvict !== undefined) checkFunction(action, "onEvict", onEvict);
  if (random !== undefined) checkFunction(action, "random", random);
}

const mostEntries = 2 ** 24;

/** Returns a weight as an integer. @throws TypeError or RangeError for what is none */
export function checkWeight(weight: number): number {
  if (weight >= 0 && weight < Number.POSITIVE_INFINITY && typeof weight === "number") return Math.ceil(weight); // so that sums are exact
  const message = `Cannot set a value: its weight must be a finite number from 0, got ${describe(weight)}`;
  throw typeof weight === "number" ? new RangeError(message) : new TypeError(message);
}
