// A cache that never keeps a large object alive by itself for long: few are held, the rest only as long as others do.
import { register } from "@proj/concurrency/inspect";
import { checkCount, checkRatio, describe } from "@proj/concurrency/options";

/** What can be set on a {@link WeakCache}. */
export interface WeakCacheOptions {
  /** How many values are held strongly, those used last. Default: 64. */
  readonly strong?: number | undefined;
  /** With a name it is listed by `components()` of `@proj/concurrency/inspect`. */
  readonly name?: string | undefined;
}

/** How a {@link WeakCache} has done. */
export interface WeakCacheStats {
  /** Keys, those whose value may have been collected included. */
  readonly entries: number;
  /** Of these, the ones that are held strongly. */
  readonly strong: number;
  /** Calls of `get` that found a value. */
  readonly hits: number;
  /** Calls of `get` that found none, or one that was collected. */
  readonly misses: number;
  /** Values that were found to be collected. */
  readonly collected: number;
}

/**
 * Remembers objects under keys without keeping them alive: the `strong` ones that were used last are held, all others are
 * found for as long as somebody else holds them. So the same key gives the same object as long as it exists. Nothing is
 * collected before the job ends in which it was read: in a loop without an `await`, all of it stays.
 *
 * For few, large, shared objects alone. A weak reference costs 4 to 6 times as much as a strong one, and the collector
 * more; for everything else use `Cache`.
 *
 * @throws RangeError for a number that is none
 * @example
 * ```ts
 * import { WeakCache } from "@proj/memory";
 *
 * const images = new WeakCache<string, { readonly pixels: Uint8Array }>({ strong: 8 });
 * images.set("cat", { pixels: new Uint8Array(1_000_000) });
 * console.log(images.get("cat")?.pixels.length); // prints: 1000000
 * ```
 */
export class WeakCache<K, V extends object> {
  readonly #strongMax: number;
  readonly #strong = new Map<K, V>(); // used last comes last
  readonly #weak = new Map<K, WeakRef<V>>();
  readonly #registry = new FinalizationRegistry<{ readonly key: K; readonly reference: WeakRef<V> }>(
    ({ key, reference }) => {
      if (this.#weak.get(key) !== reference) return; // the key has another value by now
      this.#weak.delete(key);
      this.#collected++;
    },
  );
  #hits = 0;
  #misses = 0;
  #collected = 0;

  constructor(options: WeakCacheOptions = {}) {
    this.#strongMax = checkCount("create a WeakCache", "strong", options.strong ?? 64, 0);
    if (options.name !== undefined) register("weak-cache", options.name, this, (cache) => ({ ...cache.stats() }));
  }

  /** The value, which is held strongly again; `undefined` if there is none or it was collected. */
  get(key: K): V | undefined {
    const value = this.#strong.get(key) ?? this.#deref(key);
    if (value === undefined) {
      this.#misses++;
      return undefined;
    }
    this.#hits++;
    this.#hold(key, value);
    return value;
  }

  /** Remembers a value, instead of what the key had. @throws TypeError for what is no object */
  set(key: K, value: V): this {
    if ((typeof value !== "object" || value === null) && typeof value !== "function") {
      throw new TypeError(`Cannot set a value: it must be an object, got ${describe(value)}`);
    }
    const before = this.#weak.get(key);
    const known = before?.deref();
    if (known !== value) {
      if (before !== undefined) this.#registry.unregister(before);
      const reference = new WeakRef(value);
      this.#weak.set(key, reference);
      this.#registry.register(value, { key, reference }, reference);
    }
    this.#hold(key, value);
    return this;
  }

  /** Whether there is a value. Does not count as a use. */
  has(key: K): boolean {
    return this.#deref(key) !== undefined;
  }

  /** Forgets a key. Returns whether it had a value. */
  delete(key: K): boolean {
    const reference = this.#weak.get(key);
    if (reference === undefined) return false;
    const had = reference.deref() !== undefined;
    this.#registry.unregister(reference);
    this.#weak.delete(key);
    this.#strong.delete(key);
    return had;
  }

  /** Forgets everything. */
  clear(): void {
    for (const reference of this.#weak.values()) this.#registry.unregister(reference);
    this.#weak.clear();
    this.#strong.clear();
  }

  /** Lets go of about this share of the values that it holds, least used first, and returns how many they were. */
  shrink(fraction: number): number {
    let count = Math.ceil(this.#strong.size * checkRatio("shrink a weak cache", "fraction", fraction));
    const before = this.#strong.size;
    for (const key of this.#strong.keys()) {
      if (count-- <= 0) break;
      this.#strong.delete(key);
    }
    return before - this.#strong.size;
  }

  /** Counts since the cache was made, and what it holds now. */
  stats(): WeakCacheStats {
    return {
      entries: this.#weak.size,
      strong: this.#strong.size,
      hits: this.#hits,
      misses: this.#misses,
      collected: this.#collected,
    };
  }

  /** Forgets what was collected: the registry may tell of it late, or never. */
  #deref(key: K): V | undefined {
    const reference = this.#weak.get(key);
    const value = reference?.deref();
    if (reference !== undefined && value === undefined) {
      this.#registry.unregister(reference);
      this.#weak.delete(key);
      this.#collected++;
    }
    return value;
  }

  #hold(key: K, value: V): void {
    if (this.#strongMax === 0) return;
    this.#strong.delete(key);
    this.#strong.set(key, value);
    if (this.#strong.size <= this.#strongMax) return;
    const oldest = this.#strong.keys().next();
    if (!oldest.done) this.#strong.delete(oldest.value);
  }
}
