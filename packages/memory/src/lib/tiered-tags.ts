// Tags are numbers that grow: an entry is good as long as its tags have the numbers that they had when it was made.
import type { Clock } from "@proj/concurrency";
import type { Sealed } from "./tier.ts";
import type { TagSeen } from "./tiered-entry.ts";
import type { Fill } from "./tiered-fills.ts";
import type { TierLink } from "./tiered-link.ts";
import { readWire, writeWire } from "./tiered-wire.ts";

/** What is known of a tag. Entries hold it, so that a hit compares two numbers. */
export interface TagRecord {
  readonly name: string;
  /** 0 as long as it is not known. */
  version: number;
  /** The last version that came of an invalidation; those that came of an expiry leave stale values usable. */
  hard: number;
  /** Of the messages of other processes when the version was last looked up. */
  epoch: number;
  /** {@link Fills.seq} when it last changed. */
  changedAt: number;
  /** Whether the version was read from a tier: then it is not known here when exactly it changed. */
  isLearned: boolean;
  /** The version that this process gave it when there was none; another process may have done so at the same time. */
  first: number;
}

/** What tags need of their cache. */
export interface TagSettings {
  readonly clock: Clock;
  readonly random: () => number;
  /** The tiers; the last one is asked first, as it has the most readers. */
  readonly links: readonly TierLink[];
  /** Whether other processes tell of their invalidations. */
  readonly isTold: boolean;
  readonly timeout: number;
  epoch(): number;
  /** Counts invalidations of all kinds. */
  nextSeq(): number;
  /** Those that entries in memory hold. */
  used(): ReadonlySet<TagRecord>;
  /** {@link Fill.seq} of the fill that began first. */
  oldest(): number;
}

/** Tags for a new value. */
export interface Claim {
  readonly seen: readonly TagSeen[];
  /** When the value became older than its tags, see {@link Fill.seq}; 0 if it did not. */
  readonly invalidAt: number;
}

/** How long tiers keep the version of a tag, in milliseconds: entries without it are not used, so this is safe. */
const kept = 400 * 86_400_000;
/** Versions begin with the time in milliseconds, so that they grow even where a store has forgotten them. */
const perMs = 1_024;
const prefix = "#tag:";

export class Tags {
  readonly #settings: TagSettings;
  readonly #records = new Map<string, TagRecord>();
  #sweepAt = 1_024;

  constructor(settings: TagSettings) {
    this.#settings = settings;
  }

  get size(): number {
    return this.#records.size;
  }

  /** Looks up the versions of tags that are not known for sure, or of all. Resolves with whether all are now. */
  async look(names: readonly string[], isForced = false): Promise<boolean> {
    const { links, timeout, epoch } = this.#settings;
    const unsure = isForced ? names : names.filter((name) => !this.#isSure(this.#records.get(name)));
    if (unsure.length === 0) return true;
    const since = epoch();
    const before = unsure.map((name) => this.#records.get(name)?.version ?? 0);
    for (const link of links.toReversed()) {
      const found = await link.read(
        unsure.map((name) => prefix + name),
        timeout,
      );
      if (found === undefined) continue;
      for (const [index, name] of unsure.entries()) this.#learn(name, found[index], since, before[index]);
      return true;
    }
    return false;
  }

  /** What is known of a tag; `undefined` if nothing is. Call {@link look} before. */
  known(name: string): TagRecord | undefined {
    const record = this.#records.get(name);
    return record === undefined || record.version === 0 ? undefined : record;
  }

  /**
   * The tags for a new value, with a version for those that have none, and whether one has changed since it was begun. A
   * value that is written, not loaded, is as new as any version from before.
   */
  async claim(names: readonly string[], fill: Pick<Fill, "seq" | "wall">, isWritten = false): Promise<Claim> {
    if (this.#settings.links.length > 0) await this.look(names);
    let invalidAt = 0;
    const seen = names.map((name) => {
      const record = this.#record(name);
      // As of when the value was begun: an invalidation that is on its way here has a higher version.
      if (record.version === 0) this.#begin(record, Math.floor(fill.wall) * perMs);
      if (record.changedAt > fill.seq) invalidAt = Math.max(invalidAt, record.changedAt);
      // Of what happened elsewhere before it was known here, only the time is known.
      else if (!isWritten && record.isLearned && timeOf(record.version) >= Math.floor(fill.wall)) {
        invalidAt = Math.max(invalidAt, this.#settings.nextSeq());
      }
      return { record, version: record.version };
    });
    return { seen, invalidAt };
  }

  /** Gives tags their next version: invalidated ones an even one, expired ones an odd one. Returns them all. */
  bump(names: readonly string[], isHard: boolean): Record<string, number> {
    const versions: [string, number][] = names.map((name) => {
      const record = this.#record(name);
      const version = this.#after(record.version, isHard);
      this.#take(record, version, isHard ? version : record.hard);
      record.changedAt = this.#settings.nextSeq();
      return [name, version];
    });
    return Object.fromEntries(versions);
  }

  /** Writes the versions to all tiers. */
  async store(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.#write(this.#record(name))));
  }

  /** Another process has given a tag this version. */
  told(name: string, version: number): void {
    if (!Number.isSafeInteger(version)) return;
    const record = this.#record(name);
    if (version <= record.version) return;
    const isFirst = record.version !== 0 && record.version === record.first;
    this.#take(record, version, version % 2 === 0 ? version : record.hard);
    record.changedAt = this.#settings.nextSeq();
    record.epoch = this.#settings.epoch();
    if (isFirst) void this.#write(record); // our first version may have been written over this one
  }

  #isSure(record: TagRecord | undefined): boolean {
    if (record === undefined || record.version === 0) return false;
    return this.#settings.links.length === 0 || (this.#settings.isTold && record.epoch === this.#settings.epoch());
  }

  #learn(name: string, found: Sealed | undefined, epoch: number, before: number | undefined): void {
    const record = this.#record(name);
    const wire = found === undefined ? undefined : readWire(found.bytes);
    // No version in the store means that nobody can say what happened to entries: they get a new one with the next fill.
    if (wire?.kind === "tag") this.#take(record, wire.stamp, wire.freshUntil, true);
    else if (record.version !== 0 && record.version === before) this.#begin(record, this.#after(record.version)); // whoever holds the old one is out
    record.epoch = epoch;
  }

  #take(record: TagRecord, version: number, hard: number, isLearned = false): void {
    if (version <= record.version) return;
    record.isLearned = isLearned;
    record.version = version;
    record.hard = Math.max(record.hard, hard);
  }

  /** Gives a version to a tag of which the tiers know none. */
  #begin(record: TagRecord, version: number): void {
    record.version = version;
    record.hard = version;
    record.first = version;
    record.isLearned = false;
    void this.#write(record);
  }

  #record(name: string): TagRecord {
    let record = this.#records.get(name);
    if (record === undefined) {
      if (this.#records.size >= this.#sweepAt) this.#sweep();
      record = { name, version: 0, hard: 0, epoch: Number.NaN, changedAt: 0, isLearned: false, first: 0 };
      this.#records.set(name, record);
    }
    return record;
  }

  /** Forgets tags that no entry has. */
  #sweep(): void {
    const used = this.#settings.used();
    const oldest = this.#settings.oldest(); // what is being loaded may still get tags that have changed since
    for (const [name, record] of this.#records) {
      if (!used.has(record) && record.changedAt <= oldest) this.#records.delete(name);
    }
    this.#sweepAt = Math.max(1_024, this.#records.size * 2);
  }

  #after(version: number, isHard = true): number {
    const { clock, random } = this.#settings;
    const least = Math.max(version + 1, Math.floor(clock.wall()) * perMs + 2 + Math.floor(random() * (perMs - 3)));
    return least % 2 === (isHard ? 0 : 1) ? least : least + 1;
  }

  async #write({ name, version, hard }: TagRecord): Promise<void> {
    const { links, clock } = this.#settings;
    if (links.length === 0) return;
    const bytes = writeWire({ kind: "tag", codec: 0, stamp: version, freshUntil: hard, tags: [] });
    const sealed = { bytes, expiresAt: clock.wall() + kept };
    await Promise.all(links.map((link) => link.write(prefix + name, sealed)));
  }
}

/** When a version was given, in milliseconds since the Unix epoch. */
export function timeOf(version: number): number {
  return Math.floor(version / perMs);
}
