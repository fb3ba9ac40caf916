// Records of idempotent calls in a SQLite file, which the processes of one machine share and a crash does not end.
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type Clock, QueueFullError, systemClock } from "@proj/concurrency";
import { checkCount, checkOneOf, describe } from "@proj/concurrency/options";
import type { IdempotencyClaim, IdempotencyState, IdempotencyStore } from "./idempotency-store.ts";

/** What can be set on a {@link sqliteIdempotency}. */
export interface SqliteIdempotencyOptions {
  /** Of the table, which is made if there is none. Letters, digits and underscores. Default: `"idempotency"`. */
  readonly table?: string | undefined;
  /**
   * How many records there may be. For one more, the outcomes that were kept first are forgotten before their time; when
   * all are of runs that go on, the call is refused with a `QueueFullError`. Default: 1,000,000.
   */
  readonly max?: number | undefined;
  /**
   * What a record survives: `"power"`, a loss of power, for the price of waiting for the disk at each step; or
   * `"process"`, any end of the process. Only for a file that is opened here. Default: `"power"`.
   */
  readonly durability?: "power" | "process" | undefined;
  /** Milliseconds to wait, with a blocked event loop, while another process writes. Default: 1,000. */
  readonly timeout?: number | undefined;
  /** Its `wall()` measures leases: that of all processes with the same file must agree. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** The records of one file. */
export interface SqliteIdempotency extends IdempotencyStore, Disposable {
  begin(key: string, claim: IdempotencyClaim): IdempotencyState;
  renew(key: string, owner: string, lease: number): boolean;
  complete(key: string, owner: string, outcome: string, ttl: number): boolean;
  abandon(key: string, owner: string): boolean;
  /** How many records there are, expired ones that were not dropped yet included. */
  count(): number;
  /** Closes the file if it was opened here; a database that was passed stays open. */
  close(): void;
}

/**
 * Keeps records in a SQLite file, by its path, or in a database that is open already. Every step is a transaction of its
 * own; so do not call it within one of yours on the same connection.
 *
 * @throws TypeError or RangeError for options that are none · whatever SQLite throws
 * @example
 * ```ts
 * import { idempotencyGuard } from "@proj/resilience";
 * import { sqliteIdempotency } from "@proj/resilience/sqlite";
 *
 * using store = sqliteIdempotency(":memory:"); // or a path
 * const guard = idempotencyGuard({ store });
 * const pay = () => guard.run("order-1", () => ({ receipt: 4711 }));
 * console.log(await pay(), await pay(), store.count()); // prints: { receipt: 4711 } { receipt: 4711 } 1
 * ```
 */
export function sqliteIdempotency(
  database: string | DatabaseSync,
  options: SqliteIdempotencyOptions = {},
): SqliteIdempotency {
  const {
    table = "idempotency",
    max = 1_000_000,
    durability = "power",
    timeout = 1_000,
    clock = systemClock,
  } = options;
  if (typeof table !== "string" || !/^[a-z_]\w*$/i.test(table)) {
    throw new TypeError(`Cannot ${action}: table must be a name, got ${describe(table)}`);
  }
  checkCount(action, "max", max, 1);
  checkOneOf(action, "durability", durability, ["power", "process"]);
  checkCount(action, "timeout", timeout, 0);
  if (typeof database !== "string") return new SqliteStore(database, false, table, max, clock);
  const opened = new DatabaseSync(database, { timeout });
  try {
    opened.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${durability === "power" ? "FULL" : "NORMAL"}`);
    return new SqliteStore(opened, true, table, max, clock);
  } catch (error) {
    opened.close();
    throw error;
  }
}

const action = "create a sqliteIdempotency";

interface Row {
  readonly owner: string;
  readonly fence: number;
  readonly fingerprint: string;
  readonly outcome: string | null;
  readonly lease_ends: number;
}

class SqliteStore implements SqliteIdempotency {
  readonly #database: DatabaseSync;
  readonly #isOwn: boolean;
  readonly #max: number;
  readonly #clock: Clock;
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: DatabaseSync, isOwn: boolean, table: string, max: number, clock: Clock) {
    this.#database = database;
    this.#isOwn = isOwn;
    this.#max = max;
    this.#clock = clock;
    database.exec(schemaOf(table));
    this.#statements = prepare(database, table);
  }

  begin(key: string, claim: IdempotencyClaim): IdempotencyState {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const state = this.#begin(key, claim);
      this.#database.exec("COMMIT");
      return state;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  renew(key: string, owner: string, lease: number): boolean {
    const now = this.#clock.wall();
    return this.#statements.renew.run(now + lease, now + lease, shield(key), shield(owner), now).changes === 1;
  }

  complete(key: string, owner: string, outcome: string, ttl: number): boolean {
    const now = this.#clock.wall();
    if (this.#statements.complete.run(shield(outcome), now + ttl, now, shield(key), shield(owner), now).changes === 1)
      return true;
    return this.#find(key, now)?.owner === shield(owner); // completed before
  }

  abandon(key: string, owner: string): boolean {
    return this.#statements.abandon.run(shield(key), shield(owner), this.#clock.wall()).changes === 1;
  }

  count(): number {
    return (this.#statements.count.get() as { records: number }).records;
  }

  close(): void {
    if (this.#isOwn && this.#database.isOpen) this.#database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #find(key: string, now: number): Row | undefined {
    return this.#statements.find.get(shield(key), now) as Row | undefined; // as the statement selects it
  }

  #begin(key: string, claim: IdempotencyClaim): IdempotencyState {
    const now = this.#clock.wall();
    const { fingerprint, lease, ttl } = claim;
    const row = this.#find(key, now);
    if (row !== undefined) {
      const { outcome, fence } = row;
      const owner = unshield(row.owner);
      const known = { owner, fingerprint: unshield(row.fingerprint) };
      if (outcome !== null) return { state: "completed", outcome: unshield(outcome), fingerprint: known.fingerprint };
      if (owner === claim.owner) {
        this.renew(key, owner, lease);
        return { state: "begun", fence };
      }
      if (now < row.lease_ends) return { state: "running", ...known };
      if (owner !== claim.takeOver) return { state: "crashed", ...known };
    }
    this.#statements.remove.run(shield(key));
    this.#makeRoom(now);
    const { fence } = this.#statements.fence.get() as { fence: number };
    this.#statements.start.run(
      shield(key),
      shield(claim.owner),
      fence,
      shield(fingerprint),
      ttl,
      now + lease,
      now + lease + ttl,
    );
    return { state: "begun", fence };
  }

  /** A hundred at a time, more than come: so the table holds little that has expired, and no call takes long. */
  #makeRoom(now: number): void {
    this.#statements.expire.run(now);
    if (this.count() < this.#max) return;
    if (this.#statements.evict.run().changes > 0) return;
    throw new QueueFullError("a record of an idempotent call", this.#max);
  }
}

/** Without NUL, at which Node 24 ends the texts that it reads. */
function shield(text: string): string {
  if (!text.includes("\0") && !text.includes(mark)) return text;
  return text.replaceAll(mark, `${mark}1`).replaceAll("\0", `${mark}0`);
}

function unshield(text: string): string {
  return text.includes(mark) ? text.replaceAll(`${mark}0`, "\0").replaceAll(`${mark}1`, mark) : text;
}

const mark = "\u001b";

function schemaOf(table: string): string {
  return `
    CREATE TABLE IF NOT EXISTS ${table} (
      key TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, fence INTEGER NOT NULL, fingerprint TEXT NOT NULL, outcome TEXT,
      ttl INTEGER NOT NULL, lease_ends REAL NOT NULL, expires REAL NOT NULL, completed REAL
    );
    CREATE INDEX IF NOT EXISTS ${table}_expires ON ${table} (expires);
    CREATE INDEX IF NOT EXISTS ${table}_completed ON ${table} (completed) WHERE completed IS NOT NULL;
    CREATE TABLE IF NOT EXISTS ${table}_totals (
      id INTEGER PRIMARY KEY CHECK (id = 1), fence INTEGER NOT NULL, records INTEGER NOT NULL
    );
    INSERT OR IGNORE INTO ${table}_totals VALUES (1, 0, 0);
    CREATE TRIGGER IF NOT EXISTS ${table}_added AFTER INSERT ON ${table}
      BEGIN UPDATE ${table}_totals SET records = records + 1; END;
    CREATE TRIGGER IF NOT EXISTS ${table}_removed AFTER DELETE ON ${table}
      BEGIN UPDATE ${table}_totals SET records = records - 1; END;
  `;
}

function prepare(database: DatabaseSync, table: string) {
  const statement = (text: string): StatementSync => database.prepare(text);
  const isLive = "key = ? AND owner = ? AND outcome IS NULL AND expires > ?";
  return {
    find: statement(
      `SELECT owner, fence, fingerprint, outcome, lease_ends FROM ${table} WHERE key = ? AND expires > ?`,
    ),
    fence: statement(`UPDATE ${table}_totals SET fence = fence + 1 RETURNING fence`),
    start: statement(`
      INSERT INTO ${table} (key, owner, fence, fingerprint, ttl, lease_ends, expires)
      VALUES (?, ?, ?, ?, ?, ?, ?)`),
    renew: statement(`UPDATE ${table} SET lease_ends = ?, expires = ? + ttl WHERE ${isLive}`),
    complete: statement(`UPDATE ${table} SET outcome = ?, expires = ?, completed = ? WHERE ${isLive}`),
    abandon: statement(`DELETE FROM ${table} WHERE ${isLive}`),
    expire: statement(`
      DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${table} WHERE expires <= ? ORDER BY expires LIMIT 100)`),
    count: statement(`SELECT records FROM ${table}_totals`),
    remove: statement(`DELETE FROM ${table} WHERE key = ?`),
    evict: statement(`
      DELETE FROM ${table} WHERE rowid IN
        (SELECT rowid FROM ${table} WHERE completed IS NOT NULL ORDER BY completed LIMIT 100)`),
  };
}
