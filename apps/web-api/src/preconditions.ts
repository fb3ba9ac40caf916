// Entity tags and the conditions that clients put on them (RFC 9110 section 13).
import { HttpProblem } from "@proj/http3/router";
import { refusal } from "./input.ts";

/** Which states of a resource a write may start from. */
export type IfMatch = "*" | readonly string[];

/** The strong entity tag of a revision. */
export function entityTag(revision: number): string {
  return `"${revision}"`;
}

/** Reads If-Match. Throws a 428 problem where it is missing and a 400 problem where it is malformed. */
export function readIfMatch(request: Request): IfMatch {
  const header = request.headers.get("if-match");
  if (header === null) {
    const message = "is required: send the ETag of the state you have seen, or *";
    throw refusal(428, [{ in: "header", field: "if-match", message }]);
  }
  const tags = header.trim() === "*" ? "*" : readTags(header);
  if (tags !== undefined) return tags;
  throw refusal(400, [
    { in: "header", field: "if-match", message: 'expected entity tags such as "12"', received: header },
  ]);
}

/** Throws a 412 problem unless the condition allows a write to this revision. */
export function requireMatch(condition: IfMatch, revision: number): void {
  const current = entityTag(revision);
  if (condition === "*" || condition.includes(current)) return;
  throw new HttpProblem(
    {
      status: 412,
      detail: `The licence has changed since you read it: it is at ${current} now`,
      errors: [{ in: "header", field: "if-match", message: "is stale", received: condition.join(", ") }],
    },
    { headers: { etag: current } },
  );
}

/** Whether the client has this state already. A malformed condition is none. */
export function isNotModified(request: Request, tag: string): boolean {
  const header = request.headers.get("if-none-match");
  if (header === null) return false;
  if (header.trim() === "*") return true;
  return readTags(header)?.some((given) => given.replace(/^W\//, "") === tag) ?? false;
}

/** The tags of a list; undefined where it is malformed. */
function readTags(header: string): readonly string[] | undefined {
  const tag = /\s*((?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)/y;
  const tags: string[] = [];
  while (tag.lastIndex < header.length) {
    const found = tag.exec(header)?.[1];
    if (found === undefined) return undefined;
    tags.push(found);
  }
  return tags.length === 0 ? undefined : tags;
}
