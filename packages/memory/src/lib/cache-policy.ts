// What decides who leaves a cache first.

/** The policies that there are, see {@link CacheOptions.policy}. */
export type PolicyName = "tlfu" | "lru" | "clock" | "fifo" | "lfu";

/**
 * A policy of your own. It sees slots, which are small numbers, and never keys or values: it cannot leak them. A slot is
 * in use from `onInsert` to `onRemove`, and used again for another entry after that.
 */
export interface EvictionPolicy {
  /** An entry has come. `fingerprint` is 32 bits of its key, to know it again; 0 if it is neither text nor number. */
  onInsert(slot: number, fingerprint: number): void;
  /** An entry was read or written again. */
  onHit(slot: number): void;
  /** An entry has gone, for whatever reason. */
  onRemove(slot: number): void;
  /** Tells which slot in use to empty. Called only when there is one; `onRemove` follows. */
  victim(): number;
  /** From now on, slots are below `capacity`. Called first of all, when the cache grows, and after all was cleared. */
  grow(capacity: number): void;
}

/**
 * A policy of which hits do not call anything: what it knows of a slot is in one byte, and a hit replaces that byte by
 * what `step` has for it.
 */
export interface MarkedPolicy {
  readonly marks: Uint8Array;
  /** For each byte, the next one. The highest bit stays: it is the cache's. */
  readonly step: Uint8Array;
  /** Whether it looks at fingerprints: making one costs as much as a hit. */
  readonly usesFingerprints: boolean;
  onInsert(slot: number, fingerprint: number): void;
  onRemove(slot: number): void;
  victim(): number;
  grow(capacity: number): void;
  clear(): void;
  /** Called for hits on slots with {@link watched}. */
  onHit?(slot: number): void;
  /** Called for a victim, before `onRemove`. */
  remember?(slot: number, fingerprint: number): void;
  /** Called every {@link agingPeriod} times as many requests as there are entries: what was then counts half. */
  age?(): void;
}

/** The bit of a mark that makes hits known one by one. */
export const watched = 128;
/** Requests for each entry until counters are halved: ten times fewer cost half of what counting gains. */
export const agingPeriod = 10;

/** A table for {@link MarkedPolicy.step} of a function of the lower 7 bits. */
export function stepTable(step: (mark: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, mark) => step(mark & 127) | (mark & watched));
}
