// Flights: for one key or for several, one process at a time looks into the tiers, loads, and stores.
import { type Context, Context as Contexts, type Singleflight, singleflight } from "@proj/concurrency";
import type { Core } from "./tiered-core.ts";
import type { TieredEntry } from "./tiered-entry.ts";
import { tellTiered } from "./tiered-events.ts";
import type { Fill } from "./tiered-fills.ts";
import { release, takeTurn } from "./tiered-lease.ts";
import type { Loaded } from "./tiered-load.ts";
import type { TieredReadOptions } from "./tiered-options.ts";
import type { Found } from "./tiered-stack.ts";

/** What came of a flight for one key. */
export interface Landed<V> {
  readonly value: V | undefined;
  /** When it became older than an invalidation, see {@link Fill.seq}; 0 if it did not. */
  readonly invalidAt: number;
}

/** What a flight brings, by key. */
export type Landing<V> = ReadonlyMap<string, Landed<V>>;

/** Loads the values of some keys. */
export type Loader<V> = (
  keys: readonly string[],
  context: Context,
  stale: V | undefined,
) => Promise<Loaded<ReadonlyMap<string, V | undefined>>>;

/** Stands for a flight in the tables. */
interface Flight {
  runs: number;
  /** `"reload"` does not look into the tiers, as was just done; `"refresh"` takes nothing from there that is old. */
  readonly kind: "miss" | "refresh" | "reload";
  /** What stood for the look into the tiers, where that was done before. */
  readonly token?: object;
}

/** What one run of a flight works with. */
interface Run<V> {
  readonly kind: Flight["kind"];
  readonly loader: Loader<V>;
  readonly context: Context;
  /** Stands for the load, for tiers that ask: see {@link TierOptions.fill}. */
  readonly token: object;
  readonly landing: Map<string, Landed<V>>;
  /** Keys of which a stale value is given, and which are to be loaded. */
  readonly stale: Set<string>;
}

export class Flights<V> {
  readonly #core: Core<V>;
  readonly #air: Singleflight<Flight, Landing<V>> = singleflight();
  readonly #byKey = new Map<string, Flight>();

  constructor(core: Core<V>) {
    this.#core = core;
    core.onInvalidated((matches, keys) => {
      // Who comes after an invalidation must not get what was read before it.
      for (const key of keys ?? this.#byKey.keys()) if (keys !== undefined || matches(key)) this.#byKey.delete(key);
    });
  }

  /** Those in the air. */
  get size(): number {
    return this.#air.size;
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  /** Joins the flight of a key, or starts one. */
  async join(key: string, loader: Loader<V>, options: TieredReadOptions | undefined): Promise<V | undefined> {
    for (;;) {
      const joinedAt = this.#core.fills.seq;
      this.#core.check("load a value", key);
      const flight = this.#byKey.get(key) ?? { runs: 0, kind: "miss" };
      const landing = await this.#run(flight, [key], loader, options);
      const landed = landing.get(key);
      // A tag was invalidated before this caller came: only the end of the load tells that the value has it.
      if (landed !== undefined && !isOlder(landed, joinedAt)) return landed.value;
    }
  }

  /** The same for several keys: one flight for those that have none. */
  async joinAll(
    keys: readonly string[],
    loader: Loader<V>,
    options: TieredReadOptions | undefined,
  ): Promise<(readonly [string, V | undefined])[]> {
    const joinedAt = this.#core.fills.seq;
    const free = keys.filter((key) => !this.#byKey.has(key));
    const busy = keys.filter((key) => this.#byKey.has(key));
    const joinOne = async (key: string) => [key, await this.join(key, loader, options)] as const;
    const flying = free.length === 0 ? noLanding : this.#run({ runs: 0, kind: "miss" }, free, loader, options);
    const [landing, ...joined] = await Promise.all([flying, ...busy.map(joinOne)]);
    const landed = free.map(async (key) => {
      const one = landing.get(key) as Landed<V> | undefined;
      return one === undefined || isOlder(one, joinedAt) ? await joinOne(key) : ([key, one.value] as const);
    });
    return [...joined, ...(await Promise.all(landed))];
  }

  /** Loads in the background, unless that is being done. */
  refresh(keys: readonly string[], loader: Loader<V>, before?: Required<Pick<Flight, "token">>): void {
    const core = this.#core;
    const due = keys.filter((key) => !this.#byKey.has(key));
    if (core.isClosed || due.length === 0) return;
    core.counts.refreshes++;
    // Detached: it goes on when the caller that has set it off is gone, and after that caller's deadline.
    const running = this.#run({ runs: 0, kind: before === undefined ? "refresh" : "reload", ...before }, due, loader, {
      signal: Contexts.detach(),
    });
    const { clock, retryAfter } = core.settings;
    const done = running.then(undefined, () => {
      for (const key of due) {
        const entry = core.memory.peek(key);
        if (entry !== undefined) entry.retryAt = clock.now() + retryAfter;
      }
    });
    void core.background(done);
  }

  #run(
    flight: Flight,
    keys: readonly string[],
    loader: Loader<V>,
    options: TieredReadOptions | undefined,
  ): Promise<Landing<V>> {
    return this.#air.run(flight, (context) => this.#fly(flight, keys, loader, context), options);
  }

  async #fly(flight: Flight, keys: readonly string[], loader: Loader<V>, context: Context): Promise<Landing<V>> {
    const { fills } = this.#core;
    const run = ++flight.runs; // one that all have left may be followed by another one of the same name
    for (const key of keys) this.#byKey.set(key, flight);
    const held = keys.map((key) => fills.begin(key));
    const token = flight.token ?? held[0] ?? flight;
    const work: Run<V> = { kind: flight.kind, loader, context, token, landing: new Map(), stale: new Set() };
    try {
      const missing = flight.kind === "reload" ? held : await this.#takeFromBelow(work, held);
      if (missing.length > 0) await this.#loadInTurn(work, missing);
      return work.landing;
    } finally {
      for (const fill of held) fills.end(fill);
      for (const key of keys) {
        if (this.#byKey.get(key) === flight && flight.runs === run) this.#byKey.delete(key);
      }
      if (work.stale.size > 0) this.refresh([...work.stale], loader, { token });
    }
  }

  /** Takes what the tiers have; returns what is to be loaded. */
  async #takeFromBelow(work: Run<V>, held: readonly Fill[]): Promise<readonly Fill[]> {
    const core = this.#core;
    if (!core.hasTiers) return held;
    const keys = held.map(({ key }) => key);
    const { found, isComplete } = await core.stack.read(keys, work.token);
    return held.filter((fill) => {
      const below = found.get(fill.key);
      const use = below === undefined ? "none" : this.#useOf(work, below);
      if (isComplete && use !== "fresh") this.#forgetDoubtful(fill.key);
      if (below === undefined) return true;
      if (use !== "none") core.adopt(fill, below, work.token);
      if (use === "none" || use === "keep") return true;
      if (use === "stale") {
        work.stale.add(fill.key);
        core.counts.staleHits++;
      }
      work.landing.set(fill.key, { value: below.entry.value, invalidAt: core.invalidatedAt(fill, below.entry.tags) });
      return false;
    });
  }

  /** Whether what was found will do, will do for now, or is to be kept for those who cannot wait for a better one. */
  #useOf({ kind }: Run<V>, { isFresh, entry }: Found<V>): "fresh" | "stale" | "keep" | "none" {
    const { clock, whenStale } = this.#core.settings;
    if (isFresh && (kind === "miss" || clock.now() < entry.refreshAt)) return "fresh";
    if (kind !== "miss") return "none";
    return whenStale === "serve" ? "stale" : "keep";
  }

  /** The tiers do not know of what memory has from before messages were lost. */
  #forgetDoubtful(key: string): void {
    const { memory, settings } = this.#core;
    const entry = memory.peek(key);
    if (entry !== undefined && this.#core.state(entry, settings.clock.now()) === "doubtful") memory.delete(key);
  }

  async #loadInTurn(work: Run<V>, held: readonly Fill[]): Promise<void> {
    const { lease, clock, softTimeout: timeout } = this.#core.settings;
    const [only] = held;
    if (lease === undefined || held.length > 1 || only === undefined) {
      await this.#load(work, held);
      return;
    }
    const look = async () => ((await this.#takeFromBelow(work, held)).length === 0 ? true : undefined);
    const turn = await takeTurn(only.key, lease, look, { clock, timeout, context: work.context });
    if (turn.kind === "found") return;
    try {
      const { stored } = await this.#load(work, held);
      // Not before the tiers have it: the others look there when it is their turn.
      void this.#core.background(stored.finally(() => release(turn.lease)));
    } catch (error) {
      release(turn.lease);
      throw error;
    }
  }

  /** Loads and stores; resolves when memory has it. */
  async #load(work: Run<V>, held: readonly Fill[]): Promise<{ readonly stored: Promise<unknown> }> {
    const { core, first } = { core: this.#core, first: held[0] as Fill }; // there is one
    const loaded = await this.#callLoader(work, held);
    const claim = loaded.tags.length === 0 ? undefined : await core.tags.claim(loaded.tags, first);
    const { fresh, negative } = core.settings;
    const storing = held.map(async (fill) => {
      const value = loaded.result.get(fill.key);
      const invalidAt = claim?.invalidAt || core.invalidatedAt(fill, claim?.seen);
      work.landing.set(fill.key, { value, invalidAt });
      if (invalidAt !== 0) {
        core.counts.cancelledFills++;
        tellTiered(() => ({ kind: "fill-cancelled", cache: core.settings.name, key: fill.key, error: undefined }));
        return undefined;
      }
      if (loaded.isSkipped) return undefined;
      const isNothing = value === undefined;
      const ttl = isNothing ? (loaded.nothingFor ?? negative) : (loaded.ttl ?? fresh);
      return this.#store(work, fill.key, core.entry(value, { ttl, tags: claim?.seen, isNothing }));
    });
    return { stored: core.background(Promise.all(storing)) };
  }

  #store(work: Run<V>, key: string, entry: TieredEntry<V> | undefined): Promise<unknown> | undefined {
    const core = this.#core;
    if (entry !== undefined) {
      core.keep(key, entry);
      const sealed = core.hasTiers ? core.trySeal(key, entry) : undefined;
      return sealed && core.fillTiers(key, sealed, work.token);
    }
    // There was something, and there is nothing to take its place.
    if (!core.memory.delete(key) || !core.hasTiers) return undefined;
    return core.background(Promise.all(core.stack.links.map((link) => link.remove([key]))));
  }

  async #callLoader(work: Run<V>, held: readonly Fill[]): ReturnType<Loader<V>> {
    const { counts, memory, settings } = this.#core;
    const { clock, name } = settings;
    const keys = held.map(({ key }) => key);
    const [key = ""] = keys;
    const startedAt = clock.now();
    const old = memory.peek(key);
    counts.loads++;
    let failure: { readonly error: unknown } | undefined;
    try {
      return await work.loader(keys, work.context, old?.value);
    } catch (error) {
      counts.loadFailures++;
      failure = { error };
      throw error;
    } finally {
      const durationMs = clock.now() - startedAt;
      counts.loadMs += durationMs;
      const kind = failure === undefined ? "load-finished" : "load-failed";
      tellTiered(() => ({ kind, cache: name, key, keys: keys.length, durationMs, error: failure?.error }));
    }
  }
}

const noLanding: Landing<never> = new Map();

/** Whether it was read before an invalidation that had happened when the caller came. */
function isOlder({ invalidAt }: Landed<unknown>, joinedAt: number): boolean {
  return invalidAt !== 0 && invalidAt <= joinedAt;
}
