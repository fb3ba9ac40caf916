// Keeps the file of a disk tier right: what could not be written is hidden, what makes no sense is replaced.
import { listening, tell } from "./events.ts";
import type { SqliteTierBatch } from "./sqlite-tier-batch.ts";
import { SqliteTierDoubt } from "./sqlite-tier-doubt.ts";
import { isDamage, isFull } from "./sqlite-tier-failure.ts";
import { pageBytes, type Row, type SqliteTierFile } from "./sqlite-tier-file.ts";
import {
  isReplaced,
  type OpenSettings,
  openSqliteTierFile,
  type SqliteTierReset,
  setAside,
} from "./sqlite-tier-open.ts";
import type { SqliteTierStats } from "./sqlite-tier-options.ts";
import type { SqliteTierSettings } from "./sqlite-tier-settings.ts";
import { SqliteTierUpkeep } from "./sqlite-tier-upkeep.ts";
import { isStorable } from "./tier-key.ts";

/** Milliseconds without a further try when the file could not be written to: each may block for `busyTimeout`. */
const pause = 1_000;

/** So many entries are remembered as read until they are moved to the end of the line. */
const mostRead = 256;

const anyId = Number.MAX_SAFE_INTEGER;

/** A deletion of all that begins with a prefix, in steps. Hidden from readers from the start. */
export interface Clearing extends Disposable {
  /** Deletes some more, and tells how many; 0 when nothing is left. */
  next(): number;
}

interface Hidden {
  readonly prefix: string;
  readonly lastId: number;
}

export class SqliteTierStore {
  readonly #settings: SqliteTierSettings;
  readonly #open: OpenSettings;
  readonly #batch: SqliteTierBatch;
  readonly #doubt = new SqliteTierDoubt();
  readonly #hidden = new Set<Hidden>();
  readonly #read = new Set<number>();
  readonly #upkeep: SqliteTierUpkeep;
  #file: SqliteTierFile | undefined;
  #failure: { readonly error: unknown; readonly until: number } | undefined;
  #written = 0;
  #dropped = 0;
  #damaged = 0;
  #resets = 0;

  constructor(settings: SqliteTierSettings, batch: SqliteTierBatch) {
    this.#settings = settings;
    this.#open = { ...settings, onReset: (reset) => this.#onReset(reset) };
    this.#batch = batch;
    this.#file = openSqliteTierFile(this.#open);
    this.#upkeep = new SqliteTierUpkeep(settings, (work) => this.#maintain(work));
    this.#upkeep.look(this.#file);
  }

  get(key: string): Row | undefined {
    if (this.#doubt.hides(key) || !isStorable(key)) return undefined;
    try {
      const row = this.#file?.get(key);
      return row !== undefined && this.#hidden.size > 0 && this.#isHidden(key, row[0]) ? undefined : row;
    } catch (error) {
      return this.#orReplace(error);
    }
  }

  /** Calls `reads` with one view of the file, which spares each of them some work. */
  view<T>(reads: () => T): T {
    const file = this.#file;
    if (file === undefined || this.#doubt.isTotal) return reads();
    try {
      file.begin();
    } catch (error) {
      this.#orReplace(error);
      return reads();
    }
    try {
      return reads();
    } finally {
      file.end();
    }
  }

  /** Whether the file may have something for this key that a process that starts now would read. */
  mayHave(key: string): boolean {
    try {
      return this.#file === undefined || this.#failure !== undefined || this.#file.has(key);
    } catch (error) {
      this.#orReplace(error);
      return true;
    }
  }

  lastId(): number {
    return this.#file?.ends()[1] ?? anyId;
  }

  /** Notes that an entry is of use, if it is one of those that go next. */
  wasRead(id: number): void {
    if (this.#upkeep.isOld(id) && this.#hidden.size === 0 && this.#read.size < mostRead) this.#read.add(id);
  }

  /** Deletes an entry whose value is not what was written. */
  drop(key: string): void {
    this.#damaged++;
    const { name, path } = this.#settings;
    if (listening()) tell({ kind: "sqlite-tier-damaged-entry", name, path, key });
    try {
      this.delete([key]);
    } catch {
      // It is hidden.
    }
  }

  delete(keys: readonly string[], lastId = anyId): void {
    const known = keys.filter((key) => isStorable(key) && this.mayHave(key));
    if (known.length === 0) return;
    this.#write(known, (file) => {
      for (const key of known) file.delete(key, lastId);
    });
  }

  /** Writes what is pending. If that fails, it is lost, and what it was to replace is hidden. */
  writeBatch(): void {
    if (this.#batch.size === 0) return;
    const entries = [...this.#batch.entries];
    const { bytes } = this.#batch;
    this.#batch.clear();
    const keys = entries.map(([key]) => key);
    this.#write(keys, (file) => {
      this.#upkeep.makeRoom(file, bytes);
      for (const [key, value] of entries) {
        file.put(key, Number.isFinite(value.expiresAt) ? Math.floor(value.expiresAt) : null, value.bytes);
      }
      for (const id of this.#read) file.touch(id);
    });
    this.#read.clear();
    this.#written += entries.length;
  }

  beginClear(prefix: string): Clearing {
    const hidden = { prefix, lastId: this.lastId() };
    this.#hidden.add(hidden);
    this.#read.clear(); // a row that moves would not be seen as one of those that go
    return {
      next: () => this.#clearSome(hidden),
      [Symbol.dispose]: () => void this.#hidden.delete(hidden),
    };
  }

  stats(): Omit<SqliteTierStats, "pending" | "hits" | "misses" | "refused"> {
    const [written, dropped, damaged, resets] = [this.#written, this.#dropped, this.#damaged, this.#resets];
    const { evicted, expired } = this.#upkeep;
    return {
      bytes: this.#file?.usedBytes() ?? 0,
      maxBytes: this.#settings.maxBytes,
      written,
      evicted,
      expired,
      dropped,
      damaged,
      resets,
    };
  }

  close(): void {
    this.#upkeep.stop();
    this.#file?.closeForGood();
    this.#file = undefined;
  }

  #clearSome({ prefix, lastId }: Hidden): number {
    try {
      return this.#upkeep.timed((limit) => this.#fileToWrite().clear(prefix, lastId, limit));
    } catch (error) {
      this.#doubt.addAll(); // half cleared, and no telling which half
      this.#failed(error, 0);
      return 0;
    }
  }

  /** One step of what is done in the background. */
  #maintain<T>(work: (file: SqliteTierFile) => T): T | undefined {
    try {
      return work(this.#fileToWrite());
    } catch (error) {
      try {
        this.#failed(error, 0);
      } catch {
        // It has been told. What is done in the background can wait.
      }
      return undefined;
    }
  }

  /** Makes changes to entries that must not be read any more as they were, whether this succeeds or not. */
  #write(keys: readonly string[], changes: (file: SqliteTierFile) => void): void {
    try {
      const file = this.#fileToWrite();
      file.write(() => {
        for (const key of this.#doubt.keys) file.delete(key, anyId);
        changes(file);
      });
      this.#doubt.settle();
      this.#failure = undefined;
      this.#upkeep.look(file);
    } catch (error) {
      for (const key of keys) this.#doubt.add(key);
      this.#dropped += keys.length;
      this.#failed(error, keys.length);
    }
  }

  /** The file, if it makes sense to try and write to it now. */
  #fileToWrite(): SqliteTierFile {
    const { clock, path } = this.#settings;
    if (this.#failure !== undefined && clock.now() < this.#failure.until) {
      throw new Error(`Cannot write to ${path}: it failed less than ${pause} ms ago`, { cause: this.#failure.error });
    }
    const file = this.#file;
    if (file !== undefined && isReplaced(path, file)) {
      this.#letGo(); // another process has found it damaged
    } else if (file !== undefined && this.#doubt.isTotal) {
      this.#letGo();
      setAside(this.#open, file.inode, { reason: "out-of-date", error: undefined });
      this.#doubt.settle();
    }
    this.#file ??= openSqliteTierFile(this.#open);
    return this.#file;
  }

  /** Throws, unless an empty file is a remedy. */
  #failed(error: unknown, dropped: number): void {
    const { clock, name, path } = this.#settings;
    const isRemedied = (isDamage(error) || this.#isFullOfNothing(error)) && this.#replace(error);
    if (isRemedied) return;
    this.#file?.tidy();
    if (this.#failure === undefined || clock.now() >= this.#failure.until) {
      this.#failure = { error, until: clock.now() + pause };
      if (listening()) tell({ kind: "sqlite-tier-write-failed", name, path, error, dropped });
    }
    throw error;
  }

  /** Room was made, and there is none: the file does not know its own size. A full disk stops one that is smaller. */
  #isFullOfNothing(error: unknown): boolean {
    try {
      return isFull(error) && (this.#file?.fileBytes() ?? 0) >= this.#settings.maxBytes - 16 * pageBytes;
    } catch {
      return true;
    }
  }

  #orReplace(error: unknown): undefined {
    if (!isDamage(error)) throw error;
    this.#replace(error);
    return undefined;
  }

  /** Puts an empty file in the place of a damaged one. Returns whether that has succeeded. */
  #replace(error: unknown): boolean {
    const file = this.#file;
    if (file === undefined) return false;
    this.#letGo();
    try {
      setAside(this.#open, file.inode, { reason: "damaged", error });
      this.#file = openSqliteTierFile(this.#open);
      this.#doubt.settle();
      return true;
    } catch {
      return false; // no file for now: all are misses; the next write tries again
    }
  }

  #letGo(): void {
    const file = this.#file;
    this.#file = undefined;
    this.#read.clear();
    try {
      file?.close();
    } catch {
      // It was damaged.
    }
  }

  #isHidden(key: string, id: number): boolean {
    for (const { prefix, lastId } of this.#hidden) if (id <= lastId && key.startsWith(prefix)) return true;
    return false;
  }

  #onReset(reset: SqliteTierReset): void {
    this.#resets++;
    const { name, path } = this.#settings;
    if (listening()) tell({ kind: "sqlite-tier-reset", name, path, ...reset });
  }
}
