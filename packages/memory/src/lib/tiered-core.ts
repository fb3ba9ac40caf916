// What reads and writes of a cache in tiers share: its memory, what it knows of other processes, and the ways down.
import { ClosedError } from "@proj/concurrency";
import { describe } from "@proj/concurrency/options";
import { Cache } from "./cache.ts";
import { estimateBytes } from "./cache-weight.ts";
import type { Sealed } from "./tier.ts";
import { Announcer } from "./tiered-announcer.ts";
import { Coherence } from "./tiered-coherence.ts";
import { type TagSeen, TieredEntry, tagsOf } from "./tiered-entry.ts";
import { type TieredCounts, tellTiered } from "./tiered-events.ts";
import { type Canceller, type Fill, Fills } from "./tiered-fills.ts";
import { TierLink } from "./tiered-link.ts";
import type { TieredSettings } from "./tiered-options.ts";
import { type Found, Stack } from "./tiered-stack.ts";
import { Tags } from "./tiered-tags.ts";

/** How an entry in memory may be used. `"doubtful"`: only when the tiers below have nothing else to say. */
export type EntryState = "fresh" | "eager" | "stale" | "doubtful" | "dead";

/** What a value is stored with. */
export interface StoreOptions {
  readonly ttl: number;
  readonly tags: readonly TagSeen[] | undefined;
  readonly isNothing?: boolean;
}

export class Core<V> {
  readonly settings: TieredSettings<V>;
  readonly memory: Cache<string, TieredEntry<V>>;
  readonly fills: Fills;
  readonly tags: Tags;
  readonly stack: Stack<V>;
  readonly announcer: Announcer;
  readonly counts: TieredCounts = {
    hits: 0,
    staleHits: 0,
    misses: 0,
    loads: 0,
    loadFailures: 0,
    loadMs: 0,
    refreshes: 0,
    cancelledFills: 0,
    encodeFailures: 0,
    invalidations: 0,
  };
  /** Entries with another one are in doubt; not a number while messages of other processes are lost. */
  epoch = 0;
  isClosed = false;
  #lastStamp = 0;
  readonly #background = new Set<Promise<unknown>>();
  readonly #coherence: Coherence<V>;
  readonly #onInvalidated = new Set<(matches: (key: string) => boolean, keys?: readonly string[]) => void>();

  constructor(settings: TieredSettings<V>, action: string) {
    const { clock, random, softTimeout: timeout, breaker, maxPending, name } = settings;
    this.settings = settings;
    const { weigh, ...l1 } = settings.l1;
    this.memory = new Cache({
      ...l1,
      clock,
      weigh:
        l1.maxBytes === undefined
          ? undefined
          : ({ value }, key) => entryBytes + (weigh === undefined ? estimateBytes(key, value) : weigh(value, key)),
    });
    this.fills = new Fills(clock);
    this.#coherence = new Coherence(this);
    const epoch = () => this.epoch; // no number, and so never the same, while others may write without being heard
    const linkSettings = {
      clock,
      random,
      timeout,
      breaker,
      maxPending,
      epoch,
      onReplayed: (keys: readonly string[], prefixes: readonly string[]) => this.#coherence.replayed(keys, prefixes),
      onEvent: (kind: "tier-failed" | "breaker-opened" | "breaker-closed", tier: string, error?: unknown) =>
        tellTiered(() => ({ kind, cache: name, tier, error })),
    };
    const links = settings.tiers.map((tier) => new TierLink(tier, linkSettings, action));
    this.tags = new Tags({
      clock,
      random,
      links,
      isTold: settings.bus !== undefined,
      timeout,
      epoch: () => this.epoch,
      nextSeq: () => ++this.fills.seq,
      oldest: () => this.fills.oldest,
      used: () => this.#usedTags(),
    });
    this.stack = new Stack<V>({
      clock,
      links,
      tags: this.tags,
      codec: settings.codec,
      timeout,
      epoch: () => this.epoch,
      refreshAt: (freshUntil, life) => this.refreshAt(freshUntil, life),
      onRefused: (tier, key) => tellTiered(() => ({ kind: "payload-refused", cache: name, tier, key })),
    });
    this.announcer = new Announcer(settings.bus, {
      clock,
      timeout,
      maxPending,
      invalidated: (what) => this.#coherence.told(what),
      lost: () => this.#coherence.lost(),
      restored: () => this.#coherence.restored(),
      onEvent: (kind, error) => tellTiered(() => ({ kind, cache: name, error })),
    });
  }

  get hasTiers(): boolean {
    return this.stack.links.length > 0;
  }

  /** @throws ClosedError, or TypeError for what is no key */
  check(action: string, key: unknown): void {
    if (this.isClosed) throw new ClosedError("a tiered cache");
    if (typeof key !== "string") throw new TypeError(`Cannot ${action}: key must be a string, got ${describe(key)}`);
  }

  /** Calls back for each invalidation, from wherever it comes: what is under way for these keys is of before it. */
  onInvalidated(callback: (matches: (key: string) => boolean, keys?: readonly string[]) => void): void {
    this.#onInvalidated.add(callback);
  }

  state(entry: TieredEntry<V>, now: number): EntryState {
    const tags = tagsOf(entry);
    if (tags === "invalid" || now >= entry.staleUntil) return "dead";
    if (entry.epoch !== this.epoch) return this.#stateInDoubt(entry, now);
    if (tags === "expired" || now >= entry.freshUntil) return entry.staleUntil > entry.freshUntil ? "stale" : "dead";
    return now < entry.refreshAt ? "fresh" : "eager";
  }

  refreshAt(freshUntil: number, life: number): number {
    const { eagerAt } = this.settings;
    return eagerAt === 1 ? freshUntil : freshUntil - life * (1 - eagerAt);
  }

  /** A new entry; `undefined` if it would not live. */
  entry(value: V | undefined, { ttl, tags, isNothing = false }: StoreOptions): TieredEntry<V> | undefined {
    if (!(ttl > 0)) return undefined;
    const { clock, staleFor } = this.settings;
    const now = clock.now();
    return new TieredEntry({
      value,
      isNothing,
      freshUntil: now + ttl,
      staleUntil: now + ttl + staleFor,
      refreshAt: this.refreshAt(now + ttl, ttl),
      epoch: this.epoch,
      stamp: this.#stamp(),
      tags: tags === undefined || tags.length === 0 ? undefined : tags,
    });
  }

  keep(key: string, entry: TieredEntry<V>): void {
    if (this.isClosed) return;
    const ttl = Math.max(0, entry.staleUntil - this.settings.clock.now());
    if (ttl > 0) this.memory.set(key, entry, { ttl });
  }

  /** What was found below comes into memory and the tiers above, unless it is no longer wanted. */
  adopt(fill: Fill, { entry, sealed, level }: Found<V>, token: object): void {
    if (fill.cancelledAt !== 0) {
      this.counts.cancelledFills++;
      return;
    }
    this.keep(fill.key, entry);
    if (level > 0) void this.fillTiers(fill.key, sealed, token, level);
  }

  /** Writes what was found or loaded to the first tiers, in the background; resolves when that is done. */
  fillTiers(key: string, sealed: Sealed, token: object, levels = this.stack.links.length): Promise<void> {
    const fill = this.fills.begin(key); // in the same turn as the one before is still good
    return this.background(this.#fillTiers(fill, sealed, token, levels));
  }

  /** As a tier keeps it, if the codec can write it. */
  trySeal(key: string, entry: TieredEntry<V>): Sealed | undefined {
    try {
      const payload = entry.isNothing ? nothing : this.stack.encode(entry.value as V); // it is a value
      return this.stack.seal(entry, payload);
    } catch (error) {
      this.counts.encodeFailures++;
      tellTiered(() => ({ kind: "encode-failed", cache: this.settings.name, key, error }));
      return undefined;
    }
  }

  /** When what it stands for was invalidated, see {@link Fill.seq}; 0 if it was not. */
  invalidatedAt(fill: Fill, tags: readonly TagSeen[] | undefined): number {
    if (fill.cancelledAt !== 0) return fill.cancelledAt;
    let at = 0;
    for (const { record } of tags ?? []) if (record.changedAt > fill.seq) at = Math.max(at, record.changedAt);
    return at;
  }

  /** Forgets keys here: nothing that is under way may bring back what they were. */
  drop(keys: readonly string[], by: Canceller): string[] {
    const doubtful: string[] = [];
    for (const key of keys) {
      if (this.fills.cancel(key, by)) doubtful.push(key);
      this.memory.delete(key);
    }
    for (const callback of this.#onInvalidated) callback((key) => keys.includes(key), keys);
    this.counts.invalidations += keys.length;
    return doubtful;
  }

  /** The same for a prefix or an expression; tells how many were in memory. */
  dropWhere(match: string | RegExp, by: Canceller): { readonly count: number; readonly doubtful: string[] } {
    const matches = (key: string) => {
      if (typeof match === "string") return key.startsWith(match);
      match.lastIndex = 0;
      return match.test(key);
    };
    const doubtful = this.fills.cancelWhere(matches, by);
    const count = this.memory.clear(match);
    for (const callback of this.#onInvalidated) callback(matches);
    this.counts.invalidations++;
    return { count, doubtful };
  }

  /** Nobody joins what is under way any longer. */
  detachAll(): void {
    for (const callback of this.#onInvalidated) callback(() => true);
  }

  /** Goes on in the background; {@link drain} waits for it. */
  background<T>(work: Promise<T>): Promise<T> {
    this.#background.add(work);
    const forget = () => this.#background.delete(work);
    work.then(forget, forget);
    return work;
  }

  async drain(): Promise<void> {
    while (this.#background.size > 0) await Promise.allSettled(this.#background);
  }

  #stateInDoubt(entry: TieredEntry<V>, now: number): EntryState {
    if (!this.hasTiers && !this.announcer.isLost) return "dead"; // nobody can say
    if (!this.announcer.isLost) return "doubtful";
    const freshUntil = Math.min(entry.freshUntil, this.#coherence.lostAt);
    if (now < freshUntil + (entry.staleUntil - entry.freshUntil)) return "stale";
    return this.hasTiers ? "doubtful" : "dead";
  }

  async #fillTiers(fill: Fill, sealed: Sealed, token: object, levels: number): Promise<void> {
    const links = this.stack.links.slice(0, levels);
    const since = this.epoch;
    try {
      await Promise.all(links.map((link) => link.write(fill.key, sealed, token)));
    } finally {
      this.fills.end(fill, !fill.isRemote && !fill.isLocal);
    }
    // Somebody wrote or deleted the key meanwhile, and nobody knows which came last; or did and could not say so.
    if (fill.isRemote) await this.#coherence.repair([fill.key]);
    else if (since !== this.epoch) await this.#coherence.doubt(fill.key, links);
  }

  /** Grows with each call, also within a millisecond. */
  #stamp(): number {
    this.#lastStamp = Math.max(this.settings.clock.wall(), this.#lastStamp + 2 ** -10);
    return this.#lastStamp;
  }

  #usedTags(): ReadonlySet<TagSeen["record"]> {
    const used = new Set<TagSeen["record"]>();
    for (const entry of this.memory.values()) for (const { record } of entry.tags ?? []) used.add(record);
    return used;
  }
}

const nothing = new Uint8Array(0);

/** What an entry takes beside its value. */
const entryBytes = 88;
