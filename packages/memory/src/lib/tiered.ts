// A cache in memory with tiers below it: one load for all who miss, and no value that is older than the last write.
import { register } from "@proj/concurrency/inspect";
import { checkCount, checkFunction, describe } from "@proj/concurrency/options";
import type { Cache } from "./cache.ts";
import { type CoarseClock, coarseClock } from "./cache-clock.ts";
import type { CacheStats } from "./cache-options.ts";
import type { MaybePromise } from "./tier.ts";
import { Core } from "./tiered-core.ts";
import { hasSameTags, type TieredEntry } from "./tiered-entry.ts";
import type { TieredCounts } from "./tiered-events.ts";
import type { TierStats } from "./tiered-link.ts";
import type { BatchLoad, LoadContext } from "./tiered-load.ts";
import {
  type TieredEntryOptions,
  type TieredOptions,
  type TieredReadOptions,
  tieredSettings,
} from "./tiered-options.ts";
import { Reads } from "./tiered-reads.ts";
import { type WarmOptions, type WarmReport, warm } from "./tiered-warm.ts";
import { Writes } from "./tiered-writes.ts";

/** How a {@link TieredCache} has done since it was made. */
export interface TieredStats extends Readonly<TieredCounts> {
  /** The memory. */
  readonly l1: CacheStats;
  /** Those below the memory, from the top. */
  readonly tiers: readonly TierStats[];
  /** Loads and looks into the tiers that are under way. */
  readonly flights: number;
  /** `undefined` where there is no bus. */
  readonly bus: { readonly isLost: boolean; readonly pending: number; readonly failures: number } | undefined;
}

const action = "create a tiered cache";

/**
 * Makes a {@link TieredCache}.
 *
 * @throws TypeError or RangeError for options that are none
 * @example
 * ```ts
 * import { tiered } from "@proj/memory";
 *
 * await using users = tiered<{ readonly name: string }>({ fresh: 60_000, staleFor: 600_000 });
 * let queries = 0;
 * const load = async () => ({ name: `Ada, by query ${++queries}` });
 * const all = await Promise.all(Array.from({ length: 1_000 }, () => users.getOrLoad("user:1", load)));
 * console.log(new Set(all).size, queries); // prints: 1 1
 * console.log(users.get("user:1")); // prints: { name: 'Ada, by query 1' }
 * ```
 */
export function tiered<V>(options: TieredOptions<V>): TieredCache<V> {
  if (options === null || typeof options !== "object") {
    throw new TypeError(`Cannot ${action}: options must be an object, got ${describe(options)}`);
  }
  return new TieredCache<V>(options);
}

/**
 * A cache in the memory of this process with tiers below, made by {@link tiered}: a disk, a Redis, both or none.
 *
 * **Reads**: a fresh value in memory is returned at once, not as a promise. Otherwise the tiers are asked one after the
 * other, for no longer than `softTimeout` together, and what is found comes into those above, where it lives no longer
 * than below. All who want a key at the same time share one flight: a caller that aborts leaves it alone, and when the
 * last one has left, the load is cancelled.
 *
 * **Writes** are in memory and seen by this process at once, and by others when the promise resolves. It also resolves
 * when a tier or the bus is away: the newest write of each key is kept and made when it is back.
 *
 * **Coherence**: a load that began before a write, a deletion or the invalidation of a tag of its value is given to those
 * who waited for it, and stored nowhere; whoever comes after that gets a new one. While the link of the bus is lost, and
 * for what was read before that, memory is not believed: values are looked up below, or given only where `staleFor`
 * allows. Without a bus, writes of other processes are seen when a value is no longer fresh.
 *
 * Values are not copied: who changes one that it got changes it for all in this process.
 *
 * @example
 * ```ts
 * import { type TieredCache, tiered } from "@proj/memory";
 *
 * function nameOf(users: TieredCache<string>, id: number): Promise<string> | string {
 *   return users.getOrLoad(`user:${id}`, async (context) => {
 *     context.tag("users");
 *     return `Ada ${id}`;
 *   }) as Promise<string> | string;
 * }
 *
 * await using users = tiered<string>({ fresh: 60_000 });
 * console.log(await nameOf(users, 7), users.get("user:7")); // prints: Ada 7 Ada 7
 * await users.invalidateTag("users");
 * console.log(await users.get("user:7")); // prints: undefined
 * ```
 */
export class TieredCache<V> implements AsyncDisposable {
  readonly #core: Core<V>;
  readonly #memory: Cache<string, TieredEntry<V>>;
  readonly #coarse: CoarseClock;
  readonly #reads: Reads<V>;
  readonly #writes: Writes<V>;
  readonly #listing: Disposable | undefined;
  #closing: Promise<void> | undefined;

  /** For {@link tiered}. */
  constructor(options: TieredOptions<V>) {
    const settings = tieredSettings(action, options);
    this.#core = new Core(settings, action);
    this.#memory = this.#core.memory;
    this.#coarse = coarseClock(settings.clock);
    this.#reads = new Reads(this.#core);
    this.#writes = new Writes(this.#core);
    if (settings.name !== undefined) {
      this.#listing = register("tiered-cache", settings.name, this, (cache) => ({ ...cache.stats() }));
    }
  }

  /** The value if it is fresh, at once if memory has it; `undefined` if there is none. */
  get(key: string, options?: TieredReadOptions): MaybePromise<V | undefined> {
    const entry = this.#memory.get(key);
    if (entry !== undefined && this.#isGood(entry)) {
      this.#core.counts.hits++;
      return entry.value;
    }
    return this.#reads.get(key, entry, options);
  }

  /**
   * The value, at once if memory has a fresh one (or a stale one, with `whenStale: "serve"`); else from the tiers; else what
   * `load` makes, which is stored. Of several `load` functions for a key at the same time one is called. It runs in a
   * context that ends when nobody waits any longer; a load in the background ends only by `hardTimeout`.
   *
   * What it rejects with is passed on and not remembered, but where a stale value can take its place. `undefined` means
   * that there is nothing; say `return context.notFound(ms)` to remember it.
   *
   * @throws TypeError for arguments that are none, ClosedError after `close()`
   * @example
   * ```ts
   * import { tiered } from "@proj/memory";
   *
   * await using pages = tiered<string>({ fresh: 60_000 });
   * const page = await pages.getOrLoad("/about", async (context) => {
   *   context.tag("author:ada");
   *   context.ttl(5_000);
   *   return "About Ada"; // or: (await fetch(url, { signal: context.signal })).text()
   * });
   * console.log(page, pages.get("/about")); // prints: About Ada About Ada
   * await pages.invalidateTag("author:ada");
   * console.log(await pages.get("/about")); // prints: undefined
   * ```
   */
  getOrLoad<R extends V | undefined = V>(
    key: string,
    load: (context: LoadContext<V>) => R | PromiseLike<R>,
    options?: TieredReadOptions,
  ): MaybePromise<V | Extract<R, undefined>> {
    const entry = this.#memory.get(key);
    if (entry !== undefined && this.#isGood(entry)) {
      this.#core.counts.hits++;
      return entry.value as V | Extract<R, undefined>; // undefined only where a load could say so
    }
    try {
      return this.#reads.load(key, load, entry, options) as MaybePromise<V | Extract<R, undefined>>; // as above
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * The values of those keys that have one, in the order of the keys. Asks each tier once for all that is missing, and
   * calls `load` once for what no tier has. No lease is taken.
   *
   * @example
   * ```ts
   * import { tiered } from "@proj/memory";
   *
   * await using users = tiered<string>({ fresh: 60_000 });
   * const load = async (ids: readonly string[]) => new Map(ids.map((id) => [id, `user ${id}`]));
   * console.log(await users.getMulti(["1", "2"], load)); // prints: Map(2) { '1' => 'user 1', '2' => 'user 2' }
   * ```
   */
  getMulti(keys: readonly string[], load?: BatchLoad<V>, options?: TieredReadOptions): Promise<Map<string, V>> {
    return this.#reads.getMulti(keys, load, options);
  }

  /** Stores a value everywhere. Rejects if the codec cannot write it; then nothing has changed. */
  set(key: string, value: V, options: TieredEntryOptions = {}): Promise<void> {
    return this.#writes.set(key, value, options);
  }

  /** Deletes keys everywhere. */
  delete(keys: string | readonly string[]): Promise<void> {
    return this.#writes.delete(typeof keys === "string" ? [keys] : keys);
  }

  /**
   * Says that values are no longer fresh: the next caller loads. Until then this process may give the stale value where
   * `staleFor` allows; everywhere else the keys are deleted.
   */
  expire(keys: string | readonly string[]): Promise<void> {
    return this.#writes.expire(typeof keys === "string" ? [keys] : keys);
  }

  /** Makes all values with one of these tags disappear, wherever they are: costs one small write per tag. */
  invalidateTag(...tags: string[]): Promise<void> {
    return this.#writes.tag(tags, true);
  }

  /** The same, but that they may be given as stale values where `staleFor` allows. */
  expireTag(...tags: string[]): Promise<void> {
    return this.#writes.tag(tags, false);
  }

  /**
   * Deletes all keys with a prefix, or all. They are gone at once for this process; the promise resolves, with how many
   * they were, when the tiers have deleted them in slices. A `RegExp` is only matched with the keys in memory of this
   * process: tiers and other processes keep theirs.
   */
  clear(match: string | RegExp = ""): Promise<number> {
    return this.#writes.clear(match);
  }

  /**
   * Loads keys ahead, a few at a time; those that a tier has are only brought into memory. A load that fails is counted
   * and does not stop the others.
   *
   * @example
   * ```ts
   * import { tiered } from "@proj/memory";
   *
   * await using users = tiered<string>({ fresh: 60_000 });
   * const report = await users.warm(["1", "2", "3"], async (id) => `user ${id}`, { concurrency: 2 });
   * console.log(report); // prints: { done: 3, failed: 0 }
   * ```
   */
  async warm(
    keys: Iterable<string> | AsyncIterable<string>,
    load: (key: string, context: LoadContext<V>) => V | PromiseLike<V>,
    options: WarmOptions = {},
  ): Promise<WarmReport> {
    checkFunction("warm a cache", "load", load);
    checkCount("warm a cache", "concurrency", options.concurrency ?? 8, 1);
    return warm(
      keys,
      async (key) => void (await this.getOrLoad(key, (context) => load(key, context), options)),
      options,
    );
  }

  /** What the cache and its tiers have done since it was made. */
  stats(): TieredStats {
    const { counts, memory, stack, announcer, settings } = this.#core;
    return {
      ...counts,
      l1: memory.stats(),
      tiers: stack.links.map((link) => link.stats()),
      flights: this.#reads.flights.size,
      bus:
        settings.bus === undefined
          ? undefined
          : { isLost: announcer.isLost, pending: announcer.pending, failures: announcer.failures },
    };
  }

  /**
   * Waits for what goes on in the background, tries once more to make writes that wait for a tier, and closes the tiers.
   * Whatever is called afterwards rejects with a ClosedError.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const core = this.#core;
    core.isClosed = true;
    core.memory.clear(); // so that no hit goes by the check
    await core.drain();
    await core.announcer.close();
    await Promise.all(core.stack.links.map((link) => link.close()));
    await core.drain();
    core.memory[Symbol.dispose]();
    this.#listing?.[Symbol.dispose]();
  }

  /** Whether it can be given without a second thought. */
  #isGood(entry: TieredEntry<V>): boolean {
    if (entry.epoch !== this.#core.epoch || this.#coarse.read() >= entry.refreshAt) return false;
    return entry.tags === undefined || hasSameTags(entry.tags);
  }
}
