// A tier on the disk of this machine: what a process that was restarted need not load again.
import { setImmediate } from "node:timers/promises";
import { abortable, ClosedError } from "@proj/concurrency";
import { register } from "@proj/concurrency/inspect";
import { SqliteTierBatch, weightOf } from "./sqlite-tier-batch.ts";
import { checksum, type Row } from "./sqlite-tier-file.ts";
import type { SqliteTier, SqliteTierOptions, SqliteTierStats } from "./sqlite-tier-options.ts";
import { checkSqliteTierOptions, type SqliteTierSettings } from "./sqlite-tier-settings.ts";
import { SqliteTierStore } from "./sqlite-tier-store.ts";
import type { Sealed, TierOptions } from "./tier.ts";
import { isStorable, storablePrefix } from "./tier-key.ts";

/**
 * A {@link Tier} in one file, on `node:sqlite`. Reads are synchronous and cost some 10 microseconds; they see everything
 * that was set before. New entries are written in batches; replacing and deleting reaches the file before the call
 * returns, so that a process that is killed does not come back with what it has deleted.
 *
 * **Never wrong**: each value is checked when it is read; a damaged one is a miss, a damaged file is moved aside and
 * replaced. After a power cut (Linux) it starts empty. **Bounded**: the oldest entries that were not read lately go when
 * `maxBytes` is nearly reached, a few at a time, as do those whose time is over.
 *
 * Several processes of one machine may share the file: each sees what another has set at most `flushAfter` later, with
 * `flushEvery: 1` at once. When the file cannot be written to (a full disk, another process that blocks it), `set` and
 * `delete` throw, and what may be out of date reads as missing. Not for a file system of the network.
 *
 * @throws TypeError or RangeError for options that are none · Error if the path is a database of something else, or
 * cannot be written to
 * @example
 * ```ts
 * import { rmSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { sqliteTier } from "@proj/memory/sqlite";
 *
 * const folder = join(tmpdir(), `cache-${process.pid}`);
 * const tier = sqliteTier({ path: join(folder, "users.db"), maxBytes: 64 * 2 ** 20 });
 * tier.set("ada", { bytes: Buffer.from("Ada"), expiresAt: Date.now() + 60_000 });
 * const found = await tier.get("ada");
 * console.log(String(found?.bytes)); // prints: Ada
 * await tier.close();
 * rmSync(folder, { recursive: true });
 * ```
 */
export function sqliteTier(options: SqliteTierOptions): SqliteTier {
  const tier = new DiskTier(checkSqliteTierOptions("create a SQLite tier", options));
  if (options.name !== undefined) register("sqlite-tier", options.name, tier, (it) => ({ ...it.stats() }));
  return tier;
}

/** Rows that one step of a long deletion takes at most. */
const slice = 500;

class DiskTier implements SqliteTier {
  readonly name: string;
  readonly #settings: SqliteTierSettings;
  readonly #store: SqliteTierStore;
  readonly #batch: SqliteTierBatch;
  #timer: { clear(): void } | undefined;
  #closed: Promise<void> | undefined;
  #hits = 0;
  #misses = 0;
  #refused = 0;

  constructor(settings: SqliteTierSettings) {
    this.name = settings.name;
    this.#settings = settings;
    this.#batch = new SqliteTierBatch(settings.flushEvery, Math.min(512 * 1_024, settings.maxBytes / 8));
    this.#store = new SqliteTierStore(settings, this.#batch);
  }

  get(key: string): Sealed | undefined {
    this.#checkOpen();
    const found = this.#find(key);
    if (found === undefined) this.#misses++;
    else this.#hits++;
    return found;
  }

  getMany(keys: readonly string[]): readonly (Sealed | undefined)[] {
    this.#checkOpen();
    return keys.length < 4
      ? keys.map((key) => this.get(key))
      : this.#store.view(() => keys.map((key) => this.get(key)));
  }

  set(key: string, { bytes, expiresAt }: Sealed): void {
    this.#checkOpen();
    if (!isStorable(key)) return;
    const isTooLarge = weightOf(key, bytes) > this.#settings.maxBytes / 8;
    if (isTooLarge) this.#refused++;
    if (isTooLarge || this.#isOver(expiresAt)) {
      this.#batch.delete(key);
      this.#store.delete([key]);
      return;
    }
    this.#batch.set(key, { bytes: Buffer.from(bytes), expiresAt });
    if (this.#batch.isFull || this.#store.mayHave(key)) this.flush();
    else this.#timer ??= this.#settings.clock.setTimeout(this.#onTimer, this.#settings.flushAfter);
  }

  delete(keys: readonly string[]): void | Promise<void> {
    this.#checkOpen();
    for (const key of keys) this.#batch.delete(key);
    if (keys.length > slice) return this.#deleteMany(keys);
    this.#store.delete(keys);
  }

  clear(prefix: string, { signal }: TierOptions = {}): Promise<number> {
    const cleared = this.#clear(prefix);
    return signal === undefined ? cleared : abortable(cleared, { signal });
  }

  flush(): void {
    this.#checkOpen();
    this.#timer?.clear();
    this.#timer = undefined;
    this.#store.writeBatch();
  }

  stats(): SqliteTierStats {
    const [hits, misses, refused] = [this.#hits, this.#misses, this.#refused];
    return { ...this.#store.stats(), pending: this.#batch.size, hits, misses, refused };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #find(key: string): Sealed | undefined {
    const pending = this.#batch.size > 0 ? this.#batch.get(key) : undefined;
    if (pending !== undefined) {
      return this.#isOver(pending.expiresAt) ? undefined : { ...pending, bytes: Buffer.from(pending.bytes) };
    }
    const row = this.#store.get(key);
    if (row === undefined || !isWhole(key, row)) {
      if (row !== undefined) this.#store.drop(key);
      return undefined;
    }
    const [id, expires, , value] = row;
    const expiresAt = expires ?? Number.POSITIVE_INFINITY;
    if (this.#isOver(expiresAt)) return undefined;
    this.#store.wasRead(id);
    return { bytes: value, expiresAt };
  }

  #isOver(expiresAt: number): boolean {
    return expiresAt !== Number.POSITIVE_INFINITY && expiresAt <= this.#settings.clock.wall();
  }

  async #deleteMany(keys: readonly string[]): Promise<void> {
    const lastId = this.#store.lastId(); // what is set while this goes on stays
    for (let at = 0; at < keys.length; at += slice) {
      if (at > 0) await setImmediate();
      this.#store.delete(keys.slice(at, at + slice), lastId);
    }
  }

  async #clear(prefix: string): Promise<number> {
    this.flush();
    using clearing = this.#store.beginClear(storablePrefix(prefix));
    let cleared = 0;
    for (;;) {
      const some = clearing.next();
      if (some === 0) return cleared;
      cleared += some;
      await setImmediate();
      this.#checkOpen();
    }
  }

  async #close(): Promise<void> {
    try {
      this.flush();
    } finally {
      this.#closed = Promise.resolve(); // what follows is done before anybody else can call
      this.#store.close();
    }
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    try {
      this.#store.writeBatch();
    } catch {
      // It has been told, and what it means for readers is known.
    }
  };

  #checkOpen(): void {
    if (this.#closed !== undefined) throw new ClosedError(this.name);
  }
}

function isWhole(key: string, row: Row): row is readonly [number, number | null, number, Uint8Array] {
  const [, expires, sum, value] = row;
  return value instanceof Uint8Array && checksum(key, expires, value) === sum;
}
