// Opaque cursors: where a page ended, and for which query.
import { createHash } from "node:crypto";
import { z } from "zod";

/** The last licence of a page: its place in the order, by sort key and id. */
export interface Position {
  readonly key: string | number;
  readonly id: string;
}

const cursorSchema = z.tuple([z.string(), z.union([z.string(), z.number()]), z.string()]);

/** `query` is any text that is the same for all pages of one list, and differs between lists. */
export function encodeCursor(query: string, { key, id }: Position): string {
  return Buffer.from(JSON.stringify([fingerprint(query), key, id])).toString("base64url");
}

/** The position, or `"malformed"`, or `"foreign"` for a cursor of another query. */
export function decodeCursor(query: string, cursor: string): Position | "malformed" | "foreign" {
  const parsed = cursorSchema.safeParse(parseJson(Buffer.from(cursor, "base64url").toString()));
  if (!parsed.success) return "malformed";
  const [origin, key, id] = parsed.data;
  return origin === fingerprint(query) ? { key, id } : "foreign";
}

function fingerprint(query: string): string {
  return createHash("sha256").update(query).digest("base64url").slice(0, 8);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
