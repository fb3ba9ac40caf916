// The register: licences in SQLite, found by id, by page and by full-text search, and changed one revision at a time.
import type { DatabaseSync, SQLInputValue, SQLOutputValue } from "node:sqlite";
import { type Clock, systemClock } from "@proj/concurrency";
import type { Position } from "./cursor.ts";
import { inTransaction } from "./database.ts";
import type { Licence, LicenceFields, LicencePage, LicenceSummary, NewLicence, Policy } from "./schemas.ts";
import { toSearchQuery } from "./search-query.ts";

/** A licence and the revision it is in; each write makes a new one. */
export interface Revised {
  readonly licence: Licence;
  readonly revision: number;
}

/** Which licences, in which order, from where on. */
export interface ListOptions {
  readonly search?: string | undefined;
  readonly policy?: Policy | undefined;
  readonly osiApproved?: boolean | undefined;
  readonly custom?: boolean | undefined;
  readonly sort: "id" | "name" | "updatedAt" | "relevance";
  readonly descending: boolean;
  readonly limit: number;
  /** Go on behind this one. */
  readonly after?: Position | undefined;
}

export interface ListResult {
  readonly items: LicencePage["items"];
  readonly total: number;
  /** Where the next page starts; undefined when this is the last one. */
  readonly next: Position | undefined;
}

/** The id of a new licence is taken. */
export class LicenceExistsError extends Error {
  override readonly name = "LicenceExistsError";
  readonly code = "ERR_LICENCE_EXISTS";
  readonly id: string;

  constructor(id: string) {
    super(`Cannot add the licence: the id ${id} is taken`);
    this.id = id;
  }
}

type Row = Record<string, SQLOutputValue>;

const summary = "id, name, url, osiApproved, custom, policy, notes, createdAt, updatedAt";

/** An exact id comes first; below it, a word in the id weighs more than one in the name, the notes or the text. */
const rank = "bm25(search, 10, 5, 2, 1) - 1000 * (search.id = :exactId COLLATE NOCASE)";

/** Marks around matches, that no text for people holds. */
const matchStart = "\u0001";
const matchEnd = "\u0002";

export class LicenceStore {
  readonly #database: DatabaseSync;
  readonly #clock: Clock;

  constructor(database: DatabaseSync, { clock = systemClock }: { readonly clock?: Clock | undefined } = {}) {
    this.#database = database;
    this.#clock = clock;
  }

  get(id: string): Revised | undefined {
    const row = this.#database.prepare(`SELECT ${summary}, text, revision FROM licences WHERE id = ?`).get(id);
    return row && { licence: { ...toSummary(row), text: row["text"] as string }, revision: row["revision"] as number };
  }

  /** Throws a `LicenceExistsError` when the id is taken, in whatever letter case. */
  create({ id, name, url, osiApproved, policy, notes, text }: NewLicence): Revised {
    return inTransaction(this.#database, () => {
      if (this.#database.prepare("SELECT 1 FROM licences WHERE id = ?").get(id)) throw new LicenceExistsError(id);
      const now = this.#now();
      this.#database
        .prepare(
          `INSERT INTO licences (id, name, url, osiApproved, custom, policy, notes, text, revision, createdAt, updatedAt)
           VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)`,
        )
        .run(id, name, url, osiApproved ? 1 : 0, policy, notes, text, this.#nextRevision(), now, now);
      return this.#reread(id);
    });
  }

  /**
   * Replaces the fields of a licence by what `change` makes of the current state, which nobody else can alter meanwhile.
   * What `change` throws undoes all and is thrown on. Undefined when there is no such licence.
   */
  update(id: string, change: (current: Revised) => LicenceFields): Revised | undefined {
    return inTransaction(this.#database, () => {
      const current = this.get(id);
      if (current === undefined) return undefined;
      const { name, url, osiApproved, policy, notes, text } = change(current);
      this.#database
        .prepare(
          `UPDATE licences SET name = ?, url = ?, osiApproved = ?, policy = ?, notes = ?, text = ?, revision = ?, updatedAt = ?
           WHERE id = ?`,
        )
        .run(name, url, osiApproved ? 1 : 0, policy, notes, text, this.#nextRevision(), this.#now(), id);
      return this.#reread(id);
    });
  }

  /** Deletes a licence unless `check` throws, which undoes all and is thrown on. False when there is no such licence. */
  delete(id: string, check: (current: Revised) => void): boolean {
    return inTransaction(this.#database, () => {
      const current = this.get(id);
      if (current === undefined) return false;
      check(current);
      this.#database.prepare("DELETE FROM licences WHERE id = ?").run(id);
      return true;
    });
  }

  /**
   * One page. Pages by id, name or time are stable: whatever is written between two pages, a licence that stays where it
   * is comes exactly once. Pages by relevance go on behind the last licence, where it ranks by then.
   */
  list(options: ListOptions): ListResult {
    const search = options.search === undefined ? undefined : toSearchQuery(options.search);
    if (options.search !== undefined && search === undefined) return { items: [], total: 0, next: undefined };
    const source = search === undefined ? "licences" : `found JOIN licences USING (seq)`;
    const found =
      search === undefined
        ? ""
        : `WITH found AS MATERIALIZED
      (SELECT rowid AS seq, ${rank} AS rank FROM search WHERE search MATCH :search)`;
    const scope: Record<string, SQLInputValue> =
      search === undefined ? {} : { search, exactId: options.search?.trim() ?? "" };

    const where: string[] = [];
    for (const field of ["policy", "osiApproved", "custom"] as const) {
      const value = options[field];
      if (value === undefined) continue;
      where.push(`${field} = :${field}`);
      scope[field] = typeof value === "boolean" ? Number(value) : value;
    }
    const count = this.#database.prepare(`${found} SELECT count(*) AS total FROM ${source} ${whereClause(where)}`);
    const total = count.get(scope)?.["total"] as number;

    const key = options.sort === "relevance" ? "rank" : options.sort;
    const order = options.descending ? "DESC" : "ASC";
    if (options.after !== undefined) {
      const start =
        key === "rank" ? `coalesce((SELECT rank FROM ${source} WHERE id = :afterId), :afterKey)` : ":afterKey";
      where.push(
        key === "id"
          ? `id ${options.descending ? "<" : ">"} :afterId`
          : `(${key}, id) ${options.descending ? "<" : ">"} (${start}, :afterId)`,
      );
      scope["afterId"] = options.after.id;
      if (key !== "id") scope["afterKey"] = options.after.key;
    }
    const rows = this.#database
      .prepare(
        `${found} SELECT seq, ${summary}, ${key} AS key FROM ${source} ${whereClause(where)}
         ORDER BY ${key} ${order}, id ${order} LIMIT :limit`,
      )
      .all({ ...scope, limit: options.limit + 1 }); // one more tells whether there is a next page
    const page = rows.slice(0, options.limit);
    const last = page.at(-1);
    const snippets = search === undefined ? undefined : this.#snippets(search, page);
    return {
      items: page.map((row) => {
        const snippet = snippets?.get(row["seq"]);
        return { ...toSummary(row), ...(snippet && { snippet }) };
      }),
      total,
      next:
        rows.length > page.length && last
          ? { key: last["key"] as string | number, id: last["id"] as string }
          : undefined,
    };
  }

  /** Throws when the database cannot be read. */
  check(): void {
    this.#database.prepare("SELECT 1 FROM licences LIMIT 1").get();
  }

  /** From the texts, and of the licences of a page only: it takes reading them. */
  #snippets(
    search: string,
    page: readonly Row[],
  ): Map<SQLOutputValue | undefined, LicencePage["items"][number]["snippet"]> {
    const rows = this.#database
      .prepare(
        `SELECT rowid AS seq, snippet(search, 3, :start, :end, '…', 24) AS snippet
         FROM search WHERE search MATCH :search AND rowid IN (SELECT value FROM json_each(:seqs))`,
      )
      .all({ search, start: matchStart, end: matchEnd, seqs: JSON.stringify(page.map((row) => row["seq"])) });
    return new Map(rows.map((row) => [row["seq"], toPieces(row["snippet"] as string)]));
  }

  #nextRevision(): number {
    const row = this.#database.prepare("UPDATE revision SET value = value + 1 RETURNING value").get();
    return row?.["value"] as number; // the table always has its one row
  }

  #reread(id: string): Revised {
    return this.get(id) as Revised; // written in this transaction
  }

  #now(): string {
    return new Date(this.#clock.wall()).toISOString();
  }
}

function whereClause(conditions: readonly string[]): string {
  return conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
}

/** The columns are those of the strict table, so each has its type. */
function toSummary(row: Row): LicenceSummary {
  return {
    id: row["id"] as string,
    name: row["name"] as string,
    url: row["url"] as string | null,
    osiApproved: row["osiApproved"] === 1,
    custom: row["custom"] === 1,
    policy: row["policy"] as Policy,
    notes: row["notes"] as string,
    createdAt: row["createdAt"] as string,
    updatedAt: row["updatedAt"] as string,
  };
}

function toPieces(snippet: string): { text: string; match: boolean }[] {
  return snippet
    .split(matchStart)
    .flatMap((part, index) => {
      const [inside = "", ...outside] = index === 0 ? ["", part] : part.split(matchEnd);
      return [
        { text: inside, match: true },
        { text: outside.join(""), match: false },
      ];
    })
    .filter(({ text }) => text !== "");
}
