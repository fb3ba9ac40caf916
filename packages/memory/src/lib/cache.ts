// A synchronous cache in memory that keeps what is worth keeping.
import { systemClock } from "@proj/concurrency";
import { register } from "@proj/concurrency/inspect";
import { checkCount, checkDuration, checkRatio, describe } from "@proj/concurrency/options";
import { Advisor, beginAdvice, type CapacityAdvice } from "./cache-advice.ts";
import { type CoarseClock, coarseClock } from "./cache-clock.ts";
import type { Expiry } from "./cache-expiry.ts";
import {
  type CacheEntryMeta,
  type CacheEntryOptions,
  type CacheOptions,
  type CacheStats,
  checkCacheOptions,
  checkWeight,
} from "./cache-options.ts";
import { Store } from "./cache-store.ts";
import { Sweeper } from "./cache-sweeper.ts";
import { estimateBytes } from "./cache-weight.ts";

const never = Number.POSITIVE_INFINITY;

/**
 * Remembers values under keys, as a `Map` does, within a number of entries or bytes. All methods are synchronous and
 * values are never copied. What leaves first is decided by the policy, but for what has expired: that leaves before all
 * others. Memory is taken as entries come, not at once for `max`.
 *
 * **Time**: an entry is never returned once its `ttl` is over (reads within a millisecond take the same time for now),
 * and removed soon after by one timer for all, which keeps neither the process nor the cache alive. **Bytes** are what
 * `weigh` tells, by default an estimate that counts what the cache itself needs; a value heavier than all that the cache
 * may hold is refused, and removes nothing but the old value of its key.
 *
 * @throws TypeError or RangeError for options that are none
 * @example
 * ```ts
 * import { Cache } from "@proj/memory";
 *
 * const users = new Cache<number, { readonly name: string }>({ max: 10_000, ttl: 60_000 });
 * users.set(1, { name: "Ada" });
 * console.log(users.get(1), users.get(2)); // prints: { name: 'Ada' } undefined
 * console.log(users.stats().hitRatio); // prints: 0.5
 * ```
 */
export class Cache<K, V> implements Disposable {
  readonly #store: Store<K, V>;
  readonly #coarse: CoarseClock;
  readonly #sweeper: Sweeper<K, V>;
  readonly #listing: Disposable | undefined;
  readonly #options: CacheOptions<K, V>;
  readonly #weigh: (value: V, key: K) => number;
  readonly #ttl: number;
  readonly #jitter: number;
  readonly #random: () => number;
  #misses = 0;
  #refused = 0;

  constructor(options: CacheOptions<K, V>) {
    checkCacheOptions(options);
    const { ttl = never, jitter = 0.1, random = Math.random, name, clock = systemClock } = options;
    this.#options = options;
    this.#weigh = options.weigh ?? estimateEntry;
    this.#ttl = ttl;
    this.#jitter = jitter;
    this.#random = random;
    this.#store = new Store(options);
    this.#coarse = coarseClock(clock);
    this.#sweeper = new Sweeper(this.#store, clock, this.#coarse);
    this.#listing = name === undefined ? undefined : register("cache", name, this, (cache) => ({ ...cache.stats() }));
  }

  /** How many entries there are, those that have expired and were not removed yet included. */
  get size(): number {
    return this.#store.index.size;
  }

  /** The value; `undefined` if there is none. Counts as a use of the entry. */
  get(key: K): V | undefined {
    const store = this.#store;
    const slot = store.lru === undefined ? store.index.get(key) : store.lru.use(key);
    if (slot === undefined || (store.expiry !== undefined && !this.#survives(store.expiry, slot))) {
      this.#misses++;
      return undefined;
    }
    store.use(slot);
    store.hits++;
    return store.values[slot];
  }

  /** The value; `undefined` if there is none. Counts neither as a use of the entry nor as a hit or miss. */
  peek(key: K): V | undefined {
    const slot = this.#store.index.get(key);
    return slot === undefined || this.#isExpired(slot) ? undefined : this.#store.values[slot];
  }

  /** Whether there is a value, `undefined` included. Counts as nothing. */
  has(key: K): boolean {
    const slot = this.#store.index.get(key);
    return slot !== undefined && !this.#isExpired(slot);
  }

  /** The values of those keys that have one, in the order of the keys. Counts as a `get` of each. */
  getMulti(keys: Iterable<K>): Map<K, V> {
    const found = new Map<K, V>();
    for (const key of keys) {
      const value = this.get(key);
      if (value !== undefined || this.has(key)) found.set(key, value as V);
    }
    return found;
  }

  /**
   * Remembers a value, instead of what the key had. Makes room first, so the new value is never the one that leaves; but
   * one that weighs more than `maxBytes` is refused.
   *
   * @throws TypeError or RangeError for a ttl or weight that is none
   */
  set(key: K, value: V, options?: CacheEntryOptions): this {
    const store = this.#store;
    const ttl = this.#ttlOf(options);
    const weight = store.weights === undefined ? 0 : checkWeight(options?.weight ?? this.#weigh(value, key));
    const isTimed = ttl !== never || store.expiry !== undefined;
    const now = isTimed ? this.#coarse.exact() : 0;
    let slot = store.index.get(key);
    if (slot !== undefined && store.expiry !== undefined && (store.expiry.deadlines[slot] as number) <= now) {
      store.remove(slot, "ttl");
      slot = undefined;
    }
    if (weight > store.maxBytes) {
      this.#refused++;
      if (slot !== undefined) store.remove(slot, "replace");
    } else {
      if (slot === undefined) slot = store.insert(key, value, weight, now);
      else store.replace(slot, value, weight, now);
      if (isTimed) store.expire(slot, ttl, now);
      if (ttl !== never) this.#sweeper.expect(now + ttl, now);
    }
    store.removals.tell();
    return this;
  }

  /** Forgets a key. Returns whether it had a value. */
  delete(key: K): boolean {
    const slot = this.#store.index.get(key);
    if (slot === undefined) return false;
    const had = !this.#isExpired(slot);
    this.#store.remove(slot, had ? "delete" : "ttl");
    this.#store.removals.tell();
    return had;
  }

  /**
   * Forgets everything and gives the memory back; or those keys that are texts and begin with `match`, or that it
   * matches, for which it looks at all keys. Returns how many they were.
   */
  clear(match?: string | RegExp): number {
    const store = this.#store;
    const before = this.size;
    if (match === undefined) {
      this.#sweeper.stop();
      store.clear();
    } else {
      if (typeof match !== "string" && !(match instanceof RegExp)) {
        throw new TypeError(`Cannot clear a cache: match must be a string or a RegExp, got ${describe(match)}`);
      }
      for (const key of store.index.keys()) {
        if (typeof key === "string" && matches(key, match)) store.remove(store.index.get(key) as number, "invalidate");
      }
    }
    const cleared = before - this.size;
    store.removals.tell();
    return cleared;
  }

  /** Sets `max` or `maxBytes`, of those that were given at first, and removes what is too much. */
  resize(to: { readonly max?: number | undefined; readonly maxBytes?: number | undefined }): void {
    const action = "resize a cache";
    const store = this.#store;
    const max = to.max === undefined ? store.max : checkCount(action, "max", to.max, 1);
    const maxBytes = to.maxBytes === undefined ? store.maxBytes : checkCount(action, "maxBytes", to.maxBytes, 1);
    if (to.maxBytes !== undefined && store.weights === undefined) {
      throw new TypeError(
        `Cannot ${action}: maxBytes must be left out where the cache does not weigh, got ${maxBytes}`,
      );
    }
    store.max = max;
    store.maxBytes = maxBytes;
    store.reduce(max, maxBytes, this.#coarse.read(), "size");
    store.removals.tell();
  }

  /**
   * Lets go of about this share, from 0 to 1, of what is wanted least. Returns how many bytes that were, or entries
   * where the cache does not weigh.
   */
  shrink(fraction: number): number {
    checkRatio("shrink a cache", "fraction", fraction);
    const store = this.#store;
    const { bytes, weights } = store;
    const entries = this.size;
    const [most, mostBytes] = weights === undefined ? [entries, never] : [never, bytes];
    store.reduce(
      Math.floor(most * (1 - fraction)),
      Math.floor(mostBytes * (1 - fraction)),
      this.#coarse.read(),
      "pressure",
    );
    const freed = weights === undefined ? entries - this.size : bytes - store.bytes;
    store.removals.tell();
    return freed;
  }

  /** How it has done since it was made. Costs nothing but the object: the counters are there anyway. */
  stats(): CacheStats {
    const { bytes, hits, removals } = this.#store;
    const requests = hits + this.#misses;
    return {
      entries: this.size,
      bytes,
      hits,
      misses: this.#misses,
      hitRatio: requests === 0 ? 0 : hits / requests,
      evicted: { ...removals.counts },
      refused: this.#refused,
    };
  }

  /**
   * What other capacities would do for the hit ratio, under the requests that come from the first call on: nothing is
   * watched before. Small copies of the cache see a sample of the keys; that costs some tens of nanoseconds for each
   * request, and a tenth of the memory that the cache's own structures take. Keys that are neither text nor numbers are
   * not sampled.
   *
   * @throws TypeError where the policy is your own: it cannot be copied
   */
  advise(): CapacityAdvice {
    const store = this.#store;
    const { policy = "tlfu" } = this.#options;
    if (typeof policy === "object") {
      throw new TypeError("Cannot advise on a cache: policy must be one by name, got an object");
    }
    if (store.advisor === undefined) {
      const advisor = new Advisor(store.max === never ? Math.max(1, this.size) : store.max, policy);
      beginAdvice(advisor, store.index.keys(), (key) => store.watch(store.index.get(key) as number));
      store.advisor = advisor;
    }
    return store.advisor.report();
  }

  /** The keys, in the order in which they came, or with `"lru"` from the least recently used on. */
  *keys(): IterableIterator<K> {
    for (const [key] of this.entries()) yield key;
  }

  /** The values, in the order of the keys. */
  *values(): IterableIterator<V> {
    for (const [, value] of this.entries()) yield value;
  }

  /** Keys and values, in the order of the keys. Counts as nothing, and leaves out what has expired. */
  *entries(): IterableIterator<[K, V]> {
    for (const key of this.#store.index.keys()) {
      const slot = this.#store.index.get(key); // it may be gone by now
      if (slot !== undefined && !this.#isExpired(slot)) yield [key, this.#store.values[slot] as V];
    }
  }

  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.entries();
  }

  /** All entries with what another cache, perhaps of a process to come, needs to go on with them: see {@link Cache.warm}. */
  *snapshot(): IterableIterator<[K, V, CacheEntryMeta]> {
    for (const [key, value] of this.entries()) {
      const slot = this.#store.index.get(key) as number; // just found
      const deadline = this.#store.expiry?.deadlines[slot] ?? never;
      const ttl = deadline === never ? undefined : deadline - this.#coarse.read();
      yield [key, value, { ttl, weight: this.#store.weights?.[slot] }];
    }
  }

  /**
   * Takes entries over, such as those of a {@link Cache.snapshot}. Keys that have a value keep it: theirs is newer. Returns how
   * many were taken.
   */
  warm(source: Iterable<readonly [K, V, Partial<CacheEntryMeta>?]>): number {
    let taken = 0;
    for (const [key, value, meta] of source) {
      if (this.has(key)) continue;
      this.set(key, value, meta);
      taken++;
    }
    return taken;
  }

  /** Forgets everything, with the cause `"invalidate"`, stops the timer and is no longer listed. */
  [Symbol.dispose](): void {
    this.clear();
    this.#listing?.[Symbol.dispose]();
  }

  /** Whether a slot that was found may be returned; if it slides, its time starts anew. */
  #survives(expiry: Expiry, slot: number): boolean {
    const deadline = expiry.deadlines[slot] as number;
    if (deadline === never) return true;
    const now = this.#coarse.read();
    if (deadline > now) {
      const { ttls } = this.#store;
      if (ttls !== undefined) expiry.deadlines[slot] = now + (ttls[slot] as number);
      return true;
    }
    this.#store.remove(slot, "ttl");
    this.#store.removals.tell();
    return false;
  }

  #isExpired(slot: number): boolean {
    const deadline = this.#store.expiry?.deadlines[slot] ?? never;
    return deadline !== never && deadline <= this.#coarse.read();
  }

  #ttlOf(options: CacheEntryOptions | undefined): number {
    if (options?.ttl !== undefined) return checkDuration("set a value", "ttl", options.ttl);
    return this.#ttl === never ? never : this.#ttl * (1 - this.#jitter * this.#random());
  }
}

function estimateEntry(value: unknown, key: unknown): number {
  return estimateBytes(key, value);
}

function matches(key: string, match: string | RegExp): boolean {
  if (typeof match === "string") return key.startsWith(match);
  match.lastIndex = 0; // a global or sticky one would go on where it was
  return match.test(key);
}
