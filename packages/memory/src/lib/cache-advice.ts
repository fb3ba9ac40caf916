// What a cache would do with more or less room: small copies of it, to which a sample of its keys is shown.
import { fingerprint } from "./cache-hash.ts";
import type { PolicyName } from "./cache-policy.ts";
import { Store } from "./cache-store.ts";

/** What other capacities would do, see {@link Cache.advise}. */
export interface CapacityAdvice {
  /** Requests that the answer rests on, since the first call. Below some 10,000, it is a guess. */
  readonly sampled: number;
  /** From the smallest to the largest; that of `factor` 1 is the cache as it is. */
  readonly capacities: readonly {
    /** Of the capacity that the cache has. */
    readonly factor: number;
    /** The entries that this makes. */
    readonly entries: number;
    /** Hits among reads of what is there, and entries that came. */
    readonly hitRatio: number;
  }[];
}

const factors = [0.25, 0.5, 0.75, 1, 1.5, 2, 4];
/** Entries that the copy of the same size has at least, if the cache has them. */
const sampleSize = 1_024;

/**
 * Scaled-down simulation (Waldspurger and others, "Cache Modeling and Optimization using Miniature Simulations", 2017): a
 * cache with one in n keys and one in n places does about what the whole cache does.
 */
export class Advisor {
  readonly #capacity: number;
  readonly #oneIn: number;
  readonly #copies: readonly Store<number, true>[];
  #sampled = 0;

  constructor(capacity: number, policy: PolicyName) {
    this.#capacity = capacity;
    this.#oneIn = Math.max(1, Math.floor(capacity / sampleSize));
    this.#copies = factors.map(
      (factor) => new Store({ max: Math.max(1, Math.round((capacity * factor) / this.#oneIn)), policy }),
    );
  }

  /** Whether a key is in the sample. */
  wants(print: number): boolean {
    // The bits are mixed once more: those of a copy's own fingerprints must not be the same for all.
    return print !== 0 && (Math.imul(print, 0x9e3779b1) >>> 0) % this.#oneIn === 0;
  }

  /** An entry that was there before. */
  begin(print: number): void {
    for (const copy of this.#copies) if (copy.index.get(print) === undefined) copy.insert(print, true, 0, 0);
  }

  /** An entry of the sample came, or was read. */
  request(print: number): void {
    this.#sampled++;
    for (const copy of this.#copies) {
      const slot = copy.lru === undefined ? copy.index.get(print) : copy.lru.use(print);
      if (slot === undefined) copy.insert(print, true, 0, 0);
      else {
        copy.use(slot);
        copy.hits++;
      }
    }
  }

  report(): CapacityAdvice {
    const capacities = factors.map((factor, at) => ({
      factor,
      entries: Math.max(1, Math.round(this.#capacity * factor)),
      hitRatio: this.#sampled === 0 ? 0 : (this.#copies[at] as Store<number, true>).hits / this.#sampled,
    }));
    return { sampled: this.#sampled, capacities };
  }
}

/** Shows an advisor all that is in a cache. */
export function beginAdvice<K>(advisor: Advisor, keys: Iterable<K>, watch: (key: K) => void): void {
  for (const key of keys) {
    const print = fingerprint(key);
    if (!advisor.wants(print)) continue;
    advisor.begin(print);
    watch(key);
  }
}
