// The slots of a cache: who is in them, what they weigh, when they expire, and who leaves.
import type { Advisor } from "./cache-advice.ts";
import { Expiry } from "./cache-expiry.ts";
import { fingerprint } from "./cache-hash.ts";
import { grown } from "./cache-lists.ts";
import { LruIndex } from "./cache-lru.ts";
import type { CacheOptions, EvictionCause } from "./cache-options.ts";
import { makePolicy } from "./cache-policies.ts";
import { agingPeriod, type MarkedPolicy, watched } from "./cache-policy.ts";
import { Removals } from "./cache-removals.ts";

const never = Number.POSITIVE_INFINITY;
const firstCapacity = 16;

/** Finds slots by key. */
interface Index<K> {
  readonly size: number;
  get(key: K): number | undefined;
  set(key: K, slot: number): unknown;
  delete(key: K): boolean;
  keys(): IterableIterator<K>;
}

/**
 * An entry is a slot in parallel arrays, which grow by half as entries come. The fields are for {@link Cache}, which reads them at each
 * hit; only the methods change them.
 */
export class Store<K, V> {
  readonly removals: Removals<K, V>;
  readonly #options: CacheOptions<K, V>;
  readonly #lowWatermark: number;
  max: number;
  maxBytes: number;

  index!: Index<K>;
  /** The same, where the policy is lru-cache. */
  lru: LruIndex<K> | undefined;
  policy!: MarkedPolicy;
  /** Those of the policy. */
  marks!: Uint8Array;
  step!: Uint8Array;
  /** By slot; undefined where it is free. */
  keys!: (K | undefined)[];
  values!: (V | undefined)[];
  /** Where the cache weighs. */
  weights: Float64Array | undefined;
  /** From the first entry on that expires. */
  expiry: Expiry | undefined;
  /** How long an entry lives after each read, where that is so. */
  ttls: Float64Array | undefined;
  bytes = 0;
  hits = 0;
  /** From the first time on that advice was asked for. Told of requests for watched slots. */
  advisor: Advisor | undefined;

  #free!: number[];
  /** Slots from here on were never in use. */
  #used = 0;
  #capacity = 0;
  #inserted = 0;
  /** The number of requests at which the policy ages. */
  #agesAt = 0;

  constructor(options: CacheOptions<K, V>) {
    const { max = never, maxBytes = never, lowWatermark = 0.9, name, onEvict } = options;
    this.#options = options;
    this.#lowWatermark = lowWatermark;
    this.max = max;
    this.maxBytes = maxBytes;
    this.removals = new Removals(name, onEvict);
    this.#begin();
  }

  insert(key: K, value: V, weight: number, now: number): number {
    this.#makeRoom(weight, now, 1);
    const slot = this.#free.pop() ?? this.#used++;
    if (slot === this.#capacity) this.#grow(Math.min(this.max, Math.ceil(slot * 1.5)));
    this.keys[slot] = key;
    this.values[slot] = value;
    this.index.set(key, slot);
    this.#addWeight(slot, weight);
    this.#age();
    const { policy, advisor } = this;
    const print = policy.usesFingerprints || advisor !== undefined ? fingerprint(key) : 0;
    policy.onInsert(slot, print);
    if (advisor?.wants(print) === true) {
      this.watch(slot);
      advisor.request(print);
    }
    return slot;
  }

  replace(slot: number, value: V, weight: number, now: number): void {
    const key = this.keys[slot] as K;
    const before = this.values[slot] as V;
    this.values[slot] = value;
    if (before !== value) this.removals.add(key, before, "replace");
    this.lru?.use(key);
    this.use(slot);
    if (this.weights === undefined) return;
    this.#addWeight(slot, -(this.weights[slot] as number));
    if (this.bytes + weight > this.maxBytes) {
      // Out of the policy meanwhile: it must not leave in favour of itself.
      this.policy.onRemove(slot);
      this.#makeRoom(weight, now, 0);
      this.policy.onInsert(slot, fingerprint(key));
      if (this.advisor?.wants(fingerprint(key)) === true) this.watch(slot);
    }
    this.#addWeight(slot, weight);
  }

  /** Lets the policy know that a slot was used. */
  use(slot: number): void {
    const mark = this.marks[slot] as number;
    this.marks[slot] = this.step[mark] as number;
    if (mark >= watched) this.#useWatched(slot);
  }

  /** From now on, uses of this slot are told to policy and advisor. */
  watch(slot: number): void {
    this.marks[slot] = (this.marks[slot] as number) | watched;
  }

  remove(slot: number, cause: EvictionCause): void {
    const key = this.keys[slot] as K;
    this.removals.add(key, this.values[slot] as V, cause);
    this.index.delete(key);
    this.policy.onRemove(slot);
    this.keys[slot] = undefined;
    this.values[slot] = undefined;
    this.expiry?.remove(slot);
    if (this.weights !== undefined) this.#addWeight(slot, -(this.weights[slot] as number));
    this.#free.push(slot);
  }

  /** Removes entries until there are no more than that, those that have expired before all others. */
  reduce(entries: number, bytes: number, now: number, cause: EvictionCause): void {
    if (this.index.size <= entries && this.bytes <= bytes) return;
    this.expiry?.advance(now);
    while (this.index.size > entries || this.bytes > bytes) this.#evict(cause);
  }

  /** Removes what has expired, up to so many. Returns whether there is more. */
  sweep(now: number, atMost: number): boolean {
    const { expiry } = this;
    if (expiry === undefined) return false;
    expiry.advance(now);
    for (let left = atMost; left > 0; left--) {
      const slot = expiry.due();
      if (slot === -1) return false;
      this.remove(slot, "ttl");
    }
    return expiry.due() !== -1;
  }

  clear(): void {
    if (this.removals.isHeard) {
      for (const key of this.index.keys()) {
        this.removals.add(key, this.values[this.index.get(key) as number] as V, "invalidate");
      }
    } else this.removals.counts.invalidate += this.index.size;
    this.#begin();
  }

  /** Sets when a slot expires, and whether it does so after each read. */
  expire(slot: number, ttl: number, now: number): void {
    this.expiry ??= ttl === never ? undefined : new Expiry(this.#capacity, now);
    this.expiry?.set(slot, now + ttl);
    if (this.#options.sliding !== true || this.expiry === undefined) return;
    this.ttls ??= new Float64Array(this.#capacity);
    this.ttls[slot] = ttl;
  }

  /** Empty, with as little memory as at first. */
  #begin(): void {
    const { policy = "tlfu", maxBytes, weigh } = this.#options;
    this.lru = policy === "lru" ? new LruIndex<K>() : undefined;
    this.index = this.lru ?? new Map<K, number>();
    if (typeof policy === "object" && this.#capacity > 0) this.policy.clear();
    else this.policy = this.lru ?? makePolicy(policy as Exclude<typeof policy, "lru">);
    this.step = this.policy.step;
    this.keys = [];
    this.values = [];
    this.#used = 0;
    this.weights = maxBytes === undefined && weigh === undefined ? undefined : new Float64Array(0);
    this.expiry = undefined;
    this.ttls = undefined;
    this.bytes = 0;
    this.#free = [];
    this.#grow(Math.min(this.max, firstCapacity));
  }

  #grow(capacity: number): void {
    this.policy.grow(capacity);
    this.marks = this.policy.marks;
    this.keys = lengthened(this.keys, capacity);
    this.values = lengthened(this.values, capacity);
    this.expiry?.grow(capacity);
    if (this.weights !== undefined) this.weights = grown(this.weights, capacity);
    if (this.ttls !== undefined) this.ttls = grown(this.ttls, capacity);
    this.#capacity = capacity;
  }

  #makeRoom(weight: number, now: number, entries: 0 | 1): void {
    const { max, maxBytes } = this;
    const isLight = this.bytes + weight <= maxBytes;
    if (isLight && this.index.size + entries <= max) return;
    // What is heavier than the low watermark allows needs no more than its own room.
    const low = Math.floor(maxBytes * this.#lowWatermark);
    const bytes = (weight > low ? maxBytes : low) - weight;
    this.reduce(max - entries, isLight ? never : bytes, now, "size");
  }

  #evict(cause: EvictionCause): void {
    const expired = this.expiry?.due() ?? -1;
    if (expired !== -1) {
      this.remove(expired, "ttl");
      return;
    }
    const slot = this.policy.victim();
    this.policy.remember?.(slot, fingerprint(this.keys[slot]));
    this.remove(slot, cause);
  }

  #useWatched(slot: number): void {
    this.policy.onHit?.(slot);
    this.advisor?.request(fingerprint(this.keys[slot]));
  }

  #age(): void {
    const requests = this.hits + this.#inserted++;
    if (requests < this.#agesAt) return;
    this.#agesAt = requests + agingPeriod * Math.max(firstCapacity, this.index.size);
    this.policy.age?.();
  }

  #addWeight(slot: number, weight: number): void {
    if (this.weights === undefined) return;
    this.weights[slot] = (this.weights[slot] as number) + weight;
    this.bytes += weight;
  }
}

/** An array that grows by itself takes up to half more than it needs. */
function lengthened<T>(array: readonly T[], length: number): (T | undefined)[] {
  const copy = new Array<T | undefined>(length);
  for (let index = 0; index < array.length; index++) copy[index] = array[index];
  return copy;
}
