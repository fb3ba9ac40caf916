// The SQLite file: opened, brought to the newest schema, and its failures told apart.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ConfigError } from "./config.ts";
import { migrations } from "./migrations.ts";

/** Name of the file in the data folder; SQLite keeps its log in two files beside it. */
export const databaseFile = "licences.sqlite";

/**
 * Opens the database of a data folder, which is made where it is missing.
 *
 * An acknowledged write survives the loss of power: `synchronous = FULL` waits for the disk at each commit, which costs
 * about a millisecond and is paid by writes only. The write-ahead log makes a crash at any point harmless.
 */
export function openDatabase(folder: string): DatabaseSync {
  mkdirSync(folder, { recursive: true });
  const database = new DatabaseSync(join(folder, databaseFile));
  try {
    database.exec("PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    migrate(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Runs `task` in one transaction that is undone when it throws. The lock is taken at once, so reads in it are current. */
export function inTransaction<T>(database: DatabaseSync, task: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = task();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK"); // some failures, like a full disk, may have ended it already
    throw error;
  }
}

/**
 * From now on waits a tenth of a second for other processes at most. While SQLite waits nothing else runs here, so that is
 * for the start, when another process may be filling the same database.
 */
export function waitBriefly(database: DatabaseSync): void {
  database.exec("PRAGMA busy_timeout = 100");
}

/** Whether another process kept the database locked for longer than we wait. Nothing was changed then. */
export function isBusy(error: unknown): boolean {
  const { code, errcode } = (error ?? {}) as { code?: unknown; errcode?: unknown }; // unknown fields, compared only
  return code === "ERR_SQLITE_ERROR" && typeof errcode === "number" && (errcode & 0xff) === 5; // SQLITE_BUSY and its kinds
}

/** Whether SQLite found no room for a write. Nothing of the write is kept then, and reads go on. */
export function isDiskFull(error: unknown): boolean {
  const { code, errcode } = (error ?? {}) as { code?: unknown; errcode?: unknown }; // unknown fields, compared only
  return code === "ERR_SQLITE_ERROR" && fullCodes.has(errcode);
}

// SQLITE_FULL, and SQLITE_IOERR_SHMSIZE: the index of the write-ahead log could not grow.
const fullCodes = new Set<unknown>([13, 4874]);

function migrate(database: DatabaseSync): void {
  if (schemaVersion(database) === migrations.length) return; // without a write: it must work on a full disk too
  inTransaction(database, () => {
    const version = schemaVersion(database); // another process may have been faster
    if (version > migrations.length) {
      throw new ConfigError(
        "the data folder",
        `is of a newer program: its schema version is ${version}, this one knows ${migrations.length}. Start that program, or choose another folder with --data`,
      );
    }
    for (const step of migrations.slice(version)) database.exec(step);
    database.exec(`PRAGMA user_version = ${migrations.length}`);
  });
}

function schemaVersion(database: DatabaseSync): number {
  const row = database.prepare("PRAGMA user_version").get() as { user_version: number }; // always there, 0 at first
  return row.user_version;
}
