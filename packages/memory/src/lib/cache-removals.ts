// Counts what leaves a cache, and tells of it when the cache is in order again.
import type { EvictionCause } from "./cache-options.ts";
import { listening, tell } from "./events.ts";

/** Told on the diagnostics channel `proj:memory:event` of each entry that leaves a {@link Cache}. */
export interface CacheEvent {
  /** What has happened. */
  readonly kind: "cache-evicted";
  /** The cache's; `undefined` if it has none. */
  readonly name: string | undefined;
  /** That of the entry. */
  readonly key: unknown;
  /** Why it left. */
  readonly cause: EvictionCause;
}

/** What has left and was not told yet. */
export class Removals<K, V> {
  readonly counts: Record<EvictionCause, number> = {
    size: 0,
    ttl: 0,
    pressure: 0,
    invalidate: 0,
    replace: 0,
    delete: 0,
  };
  readonly #onEvict: ((key: K, value: V, cause: EvictionCause) => void) | undefined;
  readonly #name: string | undefined;
  #waiting: { readonly key: K; readonly value: V; readonly cause: EvictionCause }[] = [];
  #isTelling = false;

  constructor(name: string | undefined, onEvict: ((key: K, value: V, cause: EvictionCause) => void) | undefined) {
    this.#name = name;
    this.#onEvict = onEvict;
  }

  /** Whether anybody wants to know more than the counts. */
  get isHeard(): boolean {
    return this.#onEvict !== undefined || listening();
  }

  add(key: K, value: V, cause: EvictionCause): void {
    this.counts[cause]++;
    if (this.isHeard) this.#waiting.push({ key, value, cause });
  }

  /** To be called at the end of whatever removes. What is told may use the cache: that is told in its turn. */
  tell(): void {
    if (this.#waiting.length === 0 || this.#isTelling) return;
    this.#isTelling = true;
    for (let told = this.#waiting; told.length > 0; told = this.#waiting) {
      this.#waiting = [];
      for (const { key, value, cause } of told) {
        if (listening()) tell({ kind: "cache-evicted", name: this.#name, key, cause });
        try {
          this.#onEvict?.(key, value, cause);
        } catch (error) {
          process.nextTick(() => {
            throw error; // an observer's failure is its own
          });
        }
      }
    }
    this.#isTelling = false;
  }
}
