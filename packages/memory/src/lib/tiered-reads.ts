// What callers of a cache in tiers get: from memory at once, or by a flight.
import { abortable, Context as Contexts } from "@proj/concurrency";
import { checkFunction } from "@proj/concurrency/options";
import type { Core, EntryState } from "./tiered-core.ts";
import type { TieredEntry } from "./tiered-entry.ts";
import { Flights, type Loader } from "./tiered-flights.ts";
import { type BatchLoad, type Load, runLoad } from "./tiered-load.ts";
import { Looks } from "./tiered-looks.ts";
import type { TieredReadOptions } from "./tiered-options.ts";

/** What memory has. */
interface Usable<V> {
  readonly entry: TieredEntry<V>;
  readonly state: EntryState;
}

export class Reads<V> {
  readonly flights: Flights<V>;
  readonly #core: Core<V>;
  readonly #looks: Looks<V>;

  constructor(core: Core<V>) {
    this.#core = core;
    this.flights = new Flights(core);
    this.#looks = new Looks(core);
  }

  /** `seen` is what memory has and does not give away without looking at it more closely. */
  async get(key: string, seen: TieredEntry<V> | undefined, options: TieredReadOptions = {}): Promise<V | undefined> {
    const core = this.#core;
    core.check("get a value", key);
    const usable = this.#usable(key, seen);
    if (usable !== undefined && this.#serves(usable.state, false)) {
      if (usable.state === "stale" && core.hasTiers) void core.background(this.#looks.look([key])); // the link is lost
      return usable.entry.value;
    }
    core.counts.misses++;
    if (!core.hasTiers) return undefined;
    return (await abortable(this.#looks.look([key]), options)).get(key);
  }

  load(
    key: string,
    load: Load<V>,
    seen: TieredEntry<V> | undefined,
    options: TieredReadOptions | undefined,
  ): V | undefined | Promise<V | undefined> {
    const core = this.#core;
    core.check("load a value", key);
    checkFunction("load a value", "load", load);
    const usable = this.#usable(key, seen);
    const loader = this.#loaderOf(load);
    if (usable !== undefined && this.#serves(usable.state, true)) {
      if (usable.state !== "fresh" && this.#isDue(usable.entry)) this.flights.refresh([key], loader);
      return usable.entry.value;
    }
    core.counts.misses++;
    const joining = this.flights.join(key, loader, options);
    return this.#canFallBack(usable) ? this.#orStale(key, joining, options) : joining;
  }

  async getMulti(
    keys: readonly string[],
    load: BatchLoad<V> | undefined,
    options: TieredReadOptions = {},
  ): Promise<Map<string, V>> {
    const core = this.#core;
    const values = new Map<string, V | undefined>();
    const missing: string[] = [];
    const old: string[] = [];
    for (const key of new Set(keys)) {
      core.check("get values", key);
      values.set(key, undefined); // in the order of the keys
      const usable = this.#usable(key, core.memory.get(key));
      if (usable === undefined || !this.#serves(usable.state, load !== undefined)) missing.push(key);
      else {
        values.set(key, usable.entry.value);
        if (usable.state !== "fresh" && this.#isDue(usable.entry)) old.push(key);
      }
    }
    core.counts.misses += missing.length;
    if (load !== undefined) {
      const loader = this.#batchLoaderOf(checkFunction("get values", "load", load));
      if (old.length > 0) this.flights.refresh(old, loader);
      if (missing.length > 0) {
        for (const [key, value] of await this.flights.joinAll(missing, loader, options)) values.set(key, value);
      }
    } else if (missing.length > 0 && core.hasTiers) {
      for (const [key, value] of await abortable(this.#looks.look(missing), options)) values.set(key, value);
    }
    return new Map([...values].filter((entry): entry is [string, V] => entry[1] !== undefined));
  }

  /** What memory has, unless it is of no use to anybody. */
  #usable(key: string, entry: TieredEntry<V> | undefined): Usable<V> | undefined {
    if (entry === undefined) return undefined;
    const { memory, settings } = this.#core;
    const state = this.#core.state(entry, settings.clock.now());
    if (state !== "dead") return { entry, state };
    if (memory.peek(key) === entry) memory.delete(key);
    return undefined;
  }

  /** Whether a caller gets it at once. */
  #serves(state: EntryState, canLoad: boolean): boolean {
    const { counts, settings, announcer } = this.#core;
    if (state === "fresh" || state === "eager") {
      counts.hits++;
      return true;
    }
    const serves = state === "stale" && (canLoad ? settings.whenStale === "serve" : announcer.isLost);
    if (serves) counts.staleHits++;
    return serves;
  }

  /** Whether to load it again now, as far as the last failure goes. */
  #isDue(entry: TieredEntry<V>): boolean {
    return entry.retryAt <= this.#core.settings.clock.now();
  }

  /** Whether something can be given when the load fails. */
  #canFallBack(usable: Usable<V> | undefined): boolean {
    if (this.#core.settings.staleFor === 0) return false;
    return usable !== undefined || (this.#core.settings.whenStale === "wait" && this.#core.hasTiers);
  }

  /** Gives what there was when the new value takes too long, or cannot be had. */
  async #orStale(
    key: string,
    joining: Promise<V | undefined>,
    { signal }: TieredReadOptions = {},
  ): Promise<V | undefined> {
    const { clock, softTimeout } = this.#core.settings;
    const isContext = signal !== undefined && "remaining" in signal;
    const context = isContext ? signal : Contexts.current();
    const { promise: isLate, resolve } = Promise.withResolvers<undefined>();
    // Before the caller's deadline, so that it gets something rather than nothing.
    const wait = Math.min(softTimeout, Math.max(0, context.remaining - 1));
    const timer = clock.setTimeout(() => resolve(undefined), wait);
    try {
      const first = await Promise.race([joining.then((value) => ({ value })), isLate]);
      if (first !== undefined) return first.value;
      const entry = this.#fallBack(key);
      if (entry === undefined) return await joining;
      void this.#core.background(joining.catch(() => {}));
      return entry.value;
    } catch (error) {
      const isGone = context.cancelled || (signal !== undefined && !isContext && signal.aborted);
      const entry = isGone ? undefined : this.#fallBack(key);
      if (entry === undefined) throw error;
      return entry.value;
    } finally {
      timer.clear();
    }
  }

  #fallBack(key: string): TieredEntry<V> | undefined {
    const usable = this.#usable(key, this.#core.memory.peek(key));
    if (usable?.state === "stale" || usable?.state === "doubtful") this.#core.counts.staleHits++;
    return usable?.entry;
  }

  #loaderOf(load: Load<V>): Loader<V> {
    const { clock, hardTimeout } = this.#core.settings;
    return async ([key = ""], context, stale) => {
      const loaded = await runLoad(load, { clock, context, hardTimeout, stale });
      return { ...loaded, result: new Map([[key, loaded.result]]) };
    };
  }

  #batchLoaderOf(load: BatchLoad<V>): Loader<V> {
    const { clock, hardTimeout } = this.#core.settings;
    return (keys, context) =>
      runLoad<V, ReadonlyMap<string, V>>((own) => load(keys, own), { clock, context, hardTimeout, stale: undefined });
  }
}
