// The tiers below the memory, one after the other.
import type { Clock } from "@proj/concurrency";
import type { Codec, Sealed } from "./tier.ts";
import { type TagSeen, TieredEntry, tagsOf } from "./tiered-entry.ts";
import type { TierLink } from "./tiered-link.ts";
import type { Tags } from "./tiered-tags.ts";
import { readWire, type Wire, writeWire } from "./tiered-wire.ts";

/** What was found below. */
export interface Found<V> {
  readonly entry: TieredEntry<V>;
  readonly sealed: Sealed;
  /** Which tier had it, from 0. */
  readonly level: number;
  /** If not, it may be given only while another value is fetched. */
  readonly isFresh: boolean;
}

/** What the tiers say about some keys. */
export interface StackAnswer<V> {
  readonly found: ReadonlyMap<string, Found<V>>;
  /** Whether all tiers that were asked answered: if not, a key that is not found may be there. */
  readonly isComplete: boolean;
}

/** What a stack needs of its cache. */
export interface StackSettings<V> {
  readonly clock: Clock;
  readonly links: readonly TierLink[];
  readonly tags: Tags;
  readonly codec: Codec<V>;
  /** For all tiers together, in milliseconds. */
  readonly timeout: number;
  epoch(): number;
  refreshAt(freshUntil: number, life: number): number;
  onRefused(tier: string, key: string): void;
}

export class Stack<V> {
  readonly links: readonly TierLink[];
  readonly #settings: StackSettings<V>;

  constructor(settings: StackSettings<V>) {
    this.links = settings.links;
    this.#settings = settings;
  }

  /** Asks each tier once, for those keys that the ones above have nothing fresh of. */
  async read(keys: readonly string[], fill?: object): Promise<StackAnswer<V>> {
    const { clock, timeout } = this.#settings;
    const deadline = clock.now() + timeout;
    const found = new Map<string, Found<V>>();
    let missing = keys;
    let isComplete = true;
    // While messages are lost, only the last tier is believed: those above may be of this machine alone.
    const first = Number.isNaN(this.#settings.epoch()) ? this.links.length - 1 : 0;
    for (const [level, link] of this.links.entries()) {
      if (level < first) continue;
      const answer = await link.read(missing, Math.max(0, deadline - clock.now()), fill);
      if (answer === undefined) {
        isComplete = false;
        continue;
      }
      await this.#open(missing, answer, level, found);
      missing = missing.filter((key) => found.get(key)?.isFresh !== true);
      link.counts.hits += answer.length - missing.length;
      link.counts.misses += missing.length;
      if (missing.length === 0) break;
    }
    return { found, isComplete };
  }

  /** @throws what the codec throws */
  encode(value: V): Uint8Array {
    return this.#settings.codec.encode(value);
  }

  /** As a tier keeps it, with a payload that {@link encode} has made. */
  seal(entry: TieredEntry<V>, payload: Uint8Array): Sealed {
    const { clock, codec } = this.#settings;
    const toWall = clock.wall() - clock.now();
    const header = {
      kind: entry.isNothing ? ("nothing" as const) : ("value" as const),
      codec: codec.id,
      stamp: entry.stamp,
      freshUntil: entry.freshUntil + toWall,
      tags: entry.tags?.map(({ record, version }) => [record.name, version] as const) ?? [],
    };
    return { bytes: writeWire(header, payload), expiresAt: entry.staleUntil + toWall };
  }

  /** Takes out of an answer what can be used and is better than what was found above. */
  async #open(
    keys: readonly string[],
    answer: readonly (Sealed | undefined)[],
    level: number,
    found: Map<string, Found<V>>,
  ): Promise<void> {
    const wires = answer.map((sealed, index) => this.#readWire(sealed, keys[index] as string, level));
    if (wires.some((wire) => wire !== undefined && wire.tags.length > 0)) await this.#lookUp(wires);
    for (const [index, wire] of wires.entries()) {
      const sealed = answer[index];
      if (wire === undefined || sealed === undefined) continue;
      const key = keys[index] as string; // in bounds
      const here = this.#openOne(key, wire, sealed, level);
      const above = found.get(key);
      if (here !== undefined && (above === undefined || above.entry.freshUntil < here.entry.freshUntil)) {
        found.set(key, here);
      }
    }
  }

  async #lookUp(wires: readonly (Wire | undefined)[]): Promise<void> {
    const { tags } = this.#settings;
    const names = new Set(wires.flatMap((wire) => wire?.tags.map(([name]) => name) ?? []));
    await tags.look([...names]);
    // An entry that knows of a newer version than this process: a message has been lost, or is on its way.
    const behind = new Set<string>();
    for (const wire of wires) {
      for (const [name, version] of wire?.tags ?? []) if (version > (tags.known(name)?.version ?? 0)) behind.add(name);
    }
    if (behind.size > 0) await tags.look([...behind], true);
  }

  #readWire(sealed: Sealed | undefined, key: string, level: number): Wire | undefined {
    if (sealed === undefined) return undefined;
    const { codec } = this.#settings;
    const wire = readWire(sealed.bytes);
    if (wire !== undefined && wire.kind !== "tag" && (wire.kind === "nothing" || wire.codec === codec.id)) return wire;
    this.#refuse(key, level);
    return undefined;
  }

  #openOne(key: string, wire: Wire, sealed: Sealed, level: number): Found<V> | undefined {
    const { clock, codec, tags, epoch, refreshAt } = this.#settings;
    const seen: TagSeen[] | undefined = wire.tags.length === 0 ? undefined : [];
    for (const [name, version] of wire.tags) {
      const record = tags.known(name);
      if (record === undefined || record.version < version) return undefined; // nobody can say what has happened to it
      seen?.push({ record, version });
    }
    const state = tagsOf({ tags: seen });
    if (state === "invalid") return undefined;
    let value: V | undefined;
    try {
      if (wire.kind === "value") value = codec.decode(wire.payload);
    } catch {
      this.#refuse(key, level);
      return undefined;
    }
    const now = clock.now();
    const toNow = now - clock.wall();
    const freshUntil = Math.min(wire.freshUntil, sealed.expiresAt) + toNow; // no longer than the tier below
    const entry = new TieredEntry<V>({
      value,
      isNothing: wire.kind === "nothing",
      freshUntil,
      staleUntil: sealed.expiresAt + toNow,
      refreshAt: refreshAt(freshUntil, wire.freshUntil - wire.stamp),
      epoch: epoch(),
      stamp: wire.stamp,
      tags: seen,
    });
    return { entry, sealed, level, isFresh: freshUntil > now && state === "same" };
  }

  #refuse(key: string, level: number): void {
    const link = this.links[level];
    if (link === undefined) return;
    link.counts.refused++;
    this.#settings.onRefused(link.name, key);
  }
}
