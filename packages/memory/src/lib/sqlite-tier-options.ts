// What can be set on a disk tier, and what it tells of itself.
import type { Clock } from "@proj/concurrency";
import type { SqliteTierReset } from "./sqlite-tier-open.ts";
import type { Tier } from "./tier.ts";

/** What can be set on a {@link sqliteTier}. */
export interface SqliteTierOptions {
  /** The file. It and its folder are created; beside it there are `-wal` and `-shm` while it is open. */
  readonly path: string;
  /**
   * Bytes that the file may take, at least 256 KiB. Its log, `-wal`, comes on top: some 1 to 2 MiB. A value above an
   * eighth of it is refused.
   */
  readonly maxBytes: number;
  /** Down to which share of `maxBytes` the oldest entries go when it is nearly reached. Default: 0.9. */
  readonly lowWatermark?: number | undefined;
  /** So many new entries are written together; 1 writes each at once. Default: 50. */
  readonly flushEvery?: number | undefined;
  /** Milliseconds after which new entries are written, however few. Default: 20. */
  readonly flushAfter?: number | undefined;
  /** Milliseconds between looks for entries whose time is over. Default: 1,000. */
  readonly sweepEvery?: number | undefined;
  /** Milliseconds that a call may block this process while another one writes to the file. Default: 100. */
  readonly busyTimeout?: number | undefined;
  /** With a name it is listed by `components()` of `@proj/concurrency/inspect`. Default: `"sqlite"`, not listed. */
  readonly name?: string | undefined;
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** How a disk tier has done since it was opened. */
export interface SqliteTierStats {
  /** What the entries take in the file, with all that belongs to them. */
  readonly bytes: number;
  /** What the file may take. */
  readonly maxBytes: number;
  /** Set, and not in the file yet. */
  readonly pending: number;
  /** Reads that found a value. */
  readonly hits: number;
  /** Reads that found none. */
  readonly misses: number;
  /** Written to the file. */
  readonly written: number;
  /** Deleted to make room. */
  readonly evicted: number;
  /** Deleted as their time was over. */
  readonly expired: number;
  /** Not taken: too large. */
  readonly refused: number;
  /** Lost, as the file could not be written to. */
  readonly dropped: number;
  /** Found to have another checksum than their value. */
  readonly damaged: number;
  /** How often the file had to be replaced. */
  readonly resets: number;
}

/** A {@link Tier} in a file. */
export interface SqliteTier extends Tier, AsyncDisposable {
  /** Writes what is pending now. @throws what SQLite fails with; then it is lost. */
  flush(): void;
  /** Counts and sizes of now; cheap. */
  stats(): SqliteTierStats;
  /** Writes what is pending, and closes the file. */
  close(): Promise<void>;
}

/** What a disk tier publishes on `proj:memory:event`. */
export type SqliteTierEvent =
  | ({ readonly kind: "sqlite-tier-reset"; readonly name: string; readonly path: string } & SqliteTierReset)
  | {
      readonly kind: "sqlite-tier-write-failed";
      readonly name: string;
      readonly path: string;
      readonly error: unknown;
      /** How many new entries are lost. */
      readonly dropped: number;
    }
  /** The value of a key was not what had been written; it is deleted. */
  | { readonly kind: "sqlite-tier-damaged-entry"; readonly name: string; readonly path: string; readonly key: string };
