// Opens the file of a disk tier, whatever it finds there: another file takes the place of one that makes no sense.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { isDamage } from "./sqlite-tier-failure.ts";
import { pageBytes, SqliteTierFile, schema } from "./sqlite-tier-file.ts";

/** What is needed to open the file. */
export interface OpenSettings {
  readonly path: string;
  readonly maxBytes: number;
  readonly busyTimeout: number;
  /** A file had to be replaced by an empty one. */
  readonly onReset: (reset: SqliteTierReset) => void;
}

/** Why an empty file has taken the place of the one before. */
export interface SqliteTierReset {
  /** It was damaged, or not of this version; its machine stopped while it was open; it could not be kept up to date. */
  readonly reason: "damaged" | "machine-stopped" | "out-of-date";
  /** Where the file is now; `undefined` if it was deleted. */
  readonly setAside: string | undefined;
  /** What was wrong with it. */
  readonly error: unknown;
}

/** In the header of the file: "proj". */
const applicationId = 0x70726f6a;
const version = 1;
const attempts = 3;

/**
 * @throws Error for a database of something else, and for a path at which no file can be written
 */
export function openSqliteTierFile(settings: OpenSettings): SqliteTierFile {
  mkdirSync(dirname(settings.path), { recursive: true });
  for (let attempt = 1; ; attempt++) {
    const inode = inodeOf(settings.path);
    try {
      return openOnce(settings);
    } catch (error) {
      if (!isDamage(error) || attempt === attempts) {
        throw new Error(`Cannot open ${settings.path}: ${(error as Error).message}`, { cause: error });
      }
      setAside(settings, inode, { reason: "damaged", error });
    }
  }
}

/** Whether another file has taken the place of this one. */
export function isReplaced(path: string, file: SqliteTierFile): boolean {
  return file.inode !== undefined && inodeOf(path) !== file.inode;
}

/** Moves a file away, unless another process has done so: then the file at this path is a new one. */
export function setAside(
  { path, onReset }: OpenSettings,
  inode: number | undefined,
  { reason, error }: Omit<SqliteTierReset, "setAside">,
): void {
  if (inodeOf(path) !== inode) return;
  // The log first: a new file must never meet that of an old one.
  for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
  const kept = reason === "damaged" ? `${path}.damaged` : undefined;
  if (kept === undefined) rmSync(path, { force: true });
  else if (existsSync(path)) renameSync(path, kept);
  onReset({ reason, setAside: kept, error });
}

function openOnce(settings: OpenSettings): SqliteTierFile {
  const { path, maxBytes, busyTimeout } = settings;
  const wasLeftOpen = existsSync(`${path}-wal`);
  const db = new DatabaseSync(path, { timeout: busyTimeout });
  try {
    db.exec(`PRAGMA page_size = ${pageBytes}; PRAGMA auto_vacuum = INCREMENTAL`); // heeded by a new file alone
    checkIdentity(db);
    // The log is short, so that no write has to copy much of it; what is in the file is checked as it is read.
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 250;
      PRAGMA journal_size_limit = 1048576; PRAGMA cache_size = -4096; PRAGMA cell_size_check = ON;
      PRAGMA max_page_count = ${Math.floor(maxBytes / pageBytes)}`);
    if (isNew(db)) create(db);
    if (wasLeftOpen && bootOf(db) !== thisBoot()) {
      db.close();
      setAside(settings, inodeOf(path), { reason: "machine-stopped", error: undefined });
      return openOnce(settings);
    }
    if (bootOf(db) !== thisBoot()) rememberBoot(db);
    return new SqliteTierFile(db, inodeOf(path));
  } catch (error) {
    if (db.isOpen) db.close();
    throw error;
  }
}

function checkIdentity(db: DatabaseSync): void {
  const { application_id: id } = db.prepare("PRAGMA application_id").get() as { application_id: number };
  const { user_version: found } = db.prepare("PRAGMA user_version").get() as { user_version: number };
  if (id === applicationId && found === version) return;
  if (id === applicationId) throw Object.assign(new Error(`it is of version ${found}`), { errcode: 26 }); // as damaged
  const { tables } = db.prepare("SELECT count(*) AS tables FROM sqlite_master").get() as { tables: number };
  if (tables > 0) throw new Error("it is a database of something else");
}

function isNew(db: DatabaseSync): boolean {
  const { application_id: id } = db.prepare("PRAGMA application_id").get() as { application_id: number };
  return id !== applicationId;
}

function create(db: DatabaseSync): void {
  db.exec(`BEGIN IMMEDIATE; ${schema}
    PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${version}; COMMIT`);
}

/*
 * Without waiting for the disk, what a killed process has written is safe, but a power cut can bring back pages of long
 * ago, with values in them that have been deleted since, or lose only some. So the file knows when its machine was
 * started: found open, and the machine started again meanwhile, it is worth nothing.
 */

function bootOf(db: DatabaseSync): string | undefined {
  const row = db.prepare("SELECT value FROM meta WHERE name = 'boot'").get() as { value: string } | undefined;
  return row?.value;
}

/** This one must be on the disk before anything that is written after it. */
function rememberBoot(db: DatabaseSync): void {
  db.exec("PRAGMA synchronous = FULL");
  db.prepare("INSERT OR REPLACE INTO meta (name, value) VALUES ('boot', ?)").run(thisBoot());
  db.exec("PRAGMA synchronous = OFF");
}

let boot: string | undefined;

/** Different after each start of the machine; always the same where the system does not tell. */
function thisBoot(): string {
  if (boot === undefined) {
    try {
      boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    } catch {
      boot = "unknown";
    }
  }
  return boot;
}

function inodeOf(path: string): number | undefined {
  const inode = statSync(path, { throwIfNoEntry: false })?.ino;
  return inode === 0 ? undefined : inode;
}
