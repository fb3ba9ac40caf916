// The file of a disk tier: one table, in the order in which it will be forgotten, and the statements on it.
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { endOfPrefix } from "./tier-key.ts";

/** Bytes of a page of the file: the unit of its growth. */
export const pageBytes = 4_096;

/**
 * The lowest `id` is forgotten first: what is written, or read when it has come half way, gets the highest. So rows lie
 * in the file in the order in which they go, and their pages become free one after the other.
 */
export const schema = `
  CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    expires INTEGER,
    sum INTEGER NOT NULL,
    value BLOB NOT NULL
  );
  CREATE INDEX IF NOT EXISTS entry_expires ON entry (expires) WHERE expires IS NOT NULL;
  CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
`;

/** A row as it is, right or wrong. */
export type Row = readonly [id: number, expires: number | null, sum: number, value: unknown];

export class SqliteTierFile {
  readonly #db: DatabaseSync;
  /** Tells this file from one that has taken its place; `undefined` where that cannot be told. */
  readonly inode: number | undefined;
  readonly #get: StatementSync;
  readonly #has: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #touch: StatementSync;
  readonly #ends: StatementSync;
  readonly #pages: StatementSync;
  readonly #free: StatementSync;
  readonly #evict: StatementSync;
  readonly #expire: StatementSync;
  readonly #clear: StatementSync;
  readonly #clearRest: StatementSync;

  constructor(db: DatabaseSync, inode: number | undefined) {
    const lookUp = (sql: string): StatementSync => {
      const statement = db.prepare(sql);
      statement.setReturnArrays(true);
      return statement;
    };
    this.#db = db;
    this.inode = inode;
    this.#get = lookUp("SELECT id, expires, sum, value FROM entry WHERE key = ?");
    this.#has = lookUp("SELECT 1 FROM entry WHERE key = ?");
    this.#put = db.prepare("INSERT OR REPLACE INTO entry (key, expires, sum, value) VALUES (?, ?, ?, ?)");
    this.#delete = db.prepare("DELETE FROM entry WHERE key = ? AND id <= ?");
    this.#touch = db.prepare("UPDATE entry SET id = (SELECT max(id) + 1 FROM entry) WHERE id = ?");
    this.#ends = lookUp("SELECT (SELECT min(id) FROM entry), (SELECT max(id) FROM entry)");
    this.#pages = lookUp("PRAGMA page_count");
    this.#free = lookUp("PRAGMA freelist_count");
    const slice = (where: string): StatementSync =>
      db.prepare(`DELETE FROM entry WHERE id IN (SELECT id FROM entry ${where} LIMIT ?)`);
    this.#evict = slice("ORDER BY id");
    this.#expire = slice("WHERE expires <= ?");
    this.#clear = slice("WHERE key >= ? AND key < ? AND id <= ?");
    this.#clearRest = slice("WHERE key >= ? AND id <= ?");
  }

  get(key: string): Row | undefined {
    return this.#get.get(key) as Row | undefined;
  }

  has(key: string): boolean {
    return this.#has.get(key) !== undefined;
  }

  put(key: string, expires: number | null, value: Uint8Array): void {
    this.#put.run(key, expires, checksum(key, expires, value), value);
  }

  delete(key: string, lastId: number): void {
    this.#delete.run(key, lastId);
  }

  /** Makes a row the last one to be forgotten. */
  touch(id: number): void {
    this.#touch.run(id);
  }

  /** The lowest and the highest id; zeros without rows. */
  ends(): readonly [number, number] {
    const [first, last] = this.#ends.get() as unknown as [number | null, number | null];
    return [first ?? 0, last ?? 0];
  }

  /** What the pages in use take. The others are used again before the file grows. */
  usedBytes(): number {
    return (this.#number(this.#pages) - this.#number(this.#free)) * pageBytes;
  }

  /** What the file takes. */
  fileBytes(): number {
    return this.#number(this.#pages) * pageBytes;
  }

  /** Gives so many free pages back to the disk, and keeps the file from growing again above `maxBytes`. */
  truncate(pages: number, maxBytes: number): void {
    this.#db.exec(`PRAGMA incremental_vacuum(${pages}); PRAGMA max_page_count = ${Math.floor(maxBytes / pageBytes)}`);
  }

  /** Deletes so many of the rows that go first, and tells how many they were. */
  evict(limit: number): number {
    return Number(this.#evict.run(limit).changes);
  }

  /** Deletes so many rows whose time is over. */
  expire(now: number, limit: number): number {
    return Number(this.#expire.run(Math.floor(now), limit).changes);
  }

  /** Deletes so many rows with keys that begin with `prefix` and ids up to `lastId`. */
  clear(prefix: string, lastId: number, limit: number): number {
    const end = endOfPrefix(prefix);
    const { changes } =
      end === undefined ? this.#clearRest.run(prefix, lastId, limit) : this.#clear.run(prefix, end, lastId, limit);
    return Number(changes);
  }

  /** All or nothing. */
  write(changes: () => void): void {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      changes();
      this.#db.exec("COMMIT");
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK"); // else SQLite has done so
      throw error;
    }
  }

  /** One view of the file for several reads, until `end`. */
  begin(): void {
    this.#db.exec("BEGIN");
  }

  end(): void {
    if (this.#db.isOpen && this.#db.isTransaction) this.#db.exec("COMMIT");
  }

  /** Moves what it can from the log to its place, after a failure: the log may be what cannot grow. Never throws. */
  tidy(): void {
    try {
      this.#db.exec("PRAGMA wal_checkpoint(PASSIVE)");
    } catch {
      // It is tried again after the next failure.
    }
  }

  close(): void {
    this.#db.close();
  }

  /** Writes everything to the disk itself, and closes: what a machine that stops after that finds is whole. */
  closeForGood(): void {
    try {
      this.#db.exec("PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(TRUNCATE)");
    } finally {
      this.#db.close();
    }
  }

  #number(pragma: StatementSync): number {
    return (pragma.get() as unknown as [number])[0];
  }
}

/** Over all that a row says, its key included: an index that leads to the wrong row is found out, too. */
export function checksum(key: string, expires: number | null, value: Uint8Array): number {
  return crc32(value, crc32(`${expires} ${key}`));
}
