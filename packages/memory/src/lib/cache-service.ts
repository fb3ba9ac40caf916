// What the services of a product need of a cache, for those who inject it.
import { describe } from "@proj/concurrency/options";
import type { TieredCache, TieredStats } from "./tiered.ts";
import type { BatchLoad } from "./tiered-load.ts";
import type { TieredEntryOptions, TieredReadOptions } from "./tiered-options.ts";

/** Whether a cache does what it should. */
export interface CacheHealth {
  /** `"degraded"`: it works, without a tier that is left alone, or without messages of other processes. */
  readonly status: "up" | "degraded";
  /** Names of tiers that are left alone, and `"bus"` if its link is lost. */
  readonly away: readonly string[];
}

/** A cache as its users see it, whatever is behind it. All methods return promises. */
export interface CacheService<V> {
  /** The value if it is fresh; `undefined` if there is none. */
  get(key: string, options?: TieredReadOptions): Promise<V | undefined>;
  /** Resolves when others can see it. */
  set(key: string, value: V, options?: TieredEntryOptions): Promise<void>;
  /** Resolves when others can see it. Keys that are not there do no harm. */
  delete(key: string | readonly string[]): Promise<void>;
  /**
   * Deletes keys; resolves with how many. A pattern that ends with `*` stands for all keys that begin with what is before
   * it, another one for the key itself, none for all keys. A star elsewhere is refused: it would need a look at all keys.
   */
  clear(pattern?: string): Promise<number>;
  /** Those that are there, with one question to each tier; with `load` the others as well. */
  getMulti(keys: readonly string[], load?: BatchLoad<V>, options?: TieredReadOptions): Promise<Map<string, V>>;
  /** How it is now, without asking anybody. */
  health(): CacheHealth;
  /** What it has done since it was made. */
  stats(): TieredStats;
}

/**
 * Makes a {@link CacheService} of a {@link TieredCache}, which stays in the hands of who made it.
 *
 * @example
 * ```ts
 * import { cacheService, tiered } from "@proj/memory";
 *
 * await using users = tiered<string>({ fresh: 60_000 });
 * const service = cacheService(users);
 * await service.set("user:1", "Ada");
 * console.log(await service.get("user:1"), service.health().status); // prints: Ada up
 * console.log(await service.clear("user:*")); // prints: 1
 * ```
 */
export function cacheService<V>(cache: TieredCache<V>): CacheService<V> {
  return {
    get: async (key, options) => cache.get(key, options),
    set: (key, value, options) => cache.set(key, value, options),
    delete: (key) => cache.delete(key),
    clear: async (pattern = "*") => {
      if (typeof pattern !== "string" || pattern.slice(0, -1).includes("*")) {
        throw new TypeError(
          `Cannot clear a cache: pattern must be a key, or a prefix and a star, got ${describe(pattern)}`,
        );
      }
      if (pattern.endsWith("*")) return cache.clear(pattern.slice(0, -1));
      const had = (await cache.get(pattern)) !== undefined;
      await cache.delete(pattern);
      return had ? 1 : 0;
    },
    getMulti: (keys, load, options) => cache.getMulti(keys, load, options),
    health: () => {
      const { tiers, bus } = cache.stats();
      const away = tiers.filter(({ state }) => state !== "closed").map(({ name }) => name);
      if (bus?.isLost) away.push("bus");
      return { status: away.length === 0 ? "up" : "degraded", away };
    },
    stats: () => cache.stats(),
  };
}
