// Keeps the file of a disk tier within its bounds: a few rows at a time, so that nobody waits for it.
import type { Timer } from "@proj/concurrency";
import { pageBytes, type SqliteTierFile } from "./sqlite-tier-file.ts";
import type { SqliteTierSettings } from "./sqlite-tier-settings.ts";

/** Rows that one step deletes: as many as take about a millisecond. */
const [fewest, most] = [16, 500];
const [quick, slow] = [1, 2];

/** Pages that one step gives back to the disk. */
const pagesPerStep = 256;

export type Maintain = <T>(work: (file: SqliteTierFile) => T) => T | undefined;

export class SqliteTierUpkeep {
  evicted = 0;
  expired = 0;
  readonly #settings: SqliteTierSettings;
  readonly #maintain: Maintain;
  /** Above it, entries are deleted: before there is no room left for those that come meanwhile. */
  readonly #high: number;
  readonly #low: number;
  #limit = 128;
  #oldest = 0;
  #sweep: Timer;
  #eviction: Timer | undefined;

  constructor(settings: SqliteTierSettings, maintain: Maintain) {
    this.#settings = settings;
    this.#maintain = maintain;
    this.#low = settings.maxBytes * settings.lowWatermark;
    this.#high = (this.#low + settings.maxBytes) / 2;
    this.#sweep = this.#schedule(this.#onSweep, settings.sweepEvery);
  }

  /** Whether an entry is in the half that goes first, when it may be soon. */
  isOld(id: number): boolean {
    return id < this.#oldest;
  }

  /** Looks whether there is something to do, after a write. */
  look(file: SqliteTierFile): void {
    const used = file.usedBytes();
    if (used < this.#settings.maxBytes / 2) {
      this.#oldest = 0;
    } else {
      const [first, last] = file.ends();
      this.#oldest = (first + last) / 2;
    }
    if (used > this.#high) this.#eviction ??= this.#schedule(this.#onEviction, 1);
  }

  /** Deletes at once what stands in the way of so many bytes. */
  makeRoom(file: SqliteTierFile, bytes: number): void {
    const most = this.#settings.maxBytes - bytes - bytes / 4 - 8 * pageBytes;
    while (file.usedBytes() > most) {
      const some = file.evict(fewest);
      if (some === 0) return;
      this.evicted += some;
    }
  }

  /** Calls `step` with a number of rows that takes about as long as one may hold up a process. */
  timed(step: (limit: number) => number): number {
    const { clock } = this.#settings;
    const start = clock.now();
    const rows = step(this.#limit);
    const took = clock.now() - start;
    if (took > slow) this.#limit = Math.max(fewest, this.#limit >> 1);
    else if (took < quick && rows === this.#limit) this.#limit = Math.min(most, this.#limit * 2);
    return rows;
  }

  stop(): void {
    this.#sweep.clear();
    this.#eviction?.clear();
  }

  readonly #onEviction = (): void => {
    this.#eviction = undefined;
    this.#maintain((file) => {
      const some = this.timed((limit) => file.evict(limit));
      this.evicted += some;
      if (some > 0 && file.usedBytes() > this.#low) this.#eviction = this.#schedule(this.#onEviction, 1);
    });
  };

  readonly #onSweep = (): void => {
    let more = false;
    this.#maintain((file) => {
      const some = this.timed((limit) => file.expire(this.#settings.clock.wall(), limit));
      this.expired += some;
      const { maxBytes } = this.#settings;
      const tooLarge = file.fileBytes() > maxBytes;
      if (tooLarge) file.truncate(pagesPerStep, maxBytes);
      this.look(file);
      more = some >= fewest || (tooLarge && file.fileBytes() > file.usedBytes());
    });
    this.#sweep = this.#schedule(this.#onSweep, more ? 1 : this.#settings.sweepEvery);
  };

  /** Not before what is under way in this process has had its turn. */
  #schedule(work: () => void, after: number): Timer {
    return this.#settings.clock.setTimeout(work, after);
  }
}
