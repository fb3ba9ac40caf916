// What the errors of SQLite mean to a cache: whether the file is damaged, or only cannot be used right now.

/** The codes of SQLite that say that what is in the file makes no sense. */
const damage = new Set([
  1, // SQLITE_ERROR: a table that is not there
  7, // SQLITE_NOMEM: a length that nothing has
  11, // SQLITE_CORRUPT
  18, // SQLITE_TOOBIG
  19, // SQLITE_CONSTRAINT: an index that contradicts its table
  20, // SQLITE_MISMATCH
  26, // SQLITE_NOTADB
]);

/** SQLITE_IOERR with what can only come from the content: a short read, a corrupt file system. */
const damageOfReads = new Set([522, 8458]);

const full = 13;

/** Whether the file must be replaced. */
export function isDamage(error: unknown): boolean {
  const code = codeOf(error);
  return code !== undefined && (damage.has(code & 255) || damageOfReads.has(code));
}

/** Whether the file may not grow: its own bound, or that of the disk. */
export function isFull(error: unknown): boolean {
  const code = codeOf(error);
  return code !== undefined && (code & 255) === full;
}

function codeOf(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | undefined)?.errcode;
  return typeof code === "number" ? code : undefined;
}
