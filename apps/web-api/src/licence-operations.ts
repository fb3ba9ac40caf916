// The operations on licences.
import { FastResponse } from "@proj/http3";
import { HttpProblem } from "@proj/http3/router";
import { decodeCursor, encodeCursor, type Position } from "./cursor.ts";
import { refusal } from "./input.ts";
import { LicenceExistsError, type LicenceStore, type Revised } from "./licence-store.ts";
import { type Operation, operation } from "./operation.ts";
import { entityTag, isNotModified, requireMatch } from "./preconditions.ts";
import {
  type LicenceFields,
  type LicencePage,
  type ListQuery,
  licencePageSchema,
  licencePatchSchema,
  licencePathSchema,
  licenceReplacementSchema,
  licenceSchema,
  listQuerySchema,
  newLicenceSchema,
} from "./schemas.ts";

const etag = { etag: "Names this state of the licence, for `If-Match` and `If-None-Match`." };

/** The operations on a register. */
export function licenceOperations(store: LicenceStore): readonly Operation[] {
  return [
    operation({
      id: "listLicences",
      method: "GET",
      path: "/licences",
      summary: "List, filter and search licences",
      querySchema: listQuerySchema,
      answers: {
        200: {
          description: "One page of licences",
          schema: licencePageSchema,
          headers: { link: 'The next page, as `<url>; rel="next"`; missing on the last one.' },
        },
      },
      problems: [400],
      handle: ({ request, query }) => list(store, request.url, query),
    }),
    operation({
      id: "getLicence",
      method: "GET",
      path: "/licences/:id",
      summary: "Read a licence with its text",
      pathSchema: licencePathSchema,
      answers: {
        200: { description: "The licence", schema: licenceSchema, headers: etag },
        304: { description: "The licence is still as in `If-None-Match`", headers: etag },
      },
      problems: [400, 404],
      handle({ request, path }) {
        const found = store.get(path.id) ?? unknownLicence(path.id);
        const tag = entityTag(found.revision);
        if (!isNotModified(request, tag)) return show(found);
        return new FastResponse(null, { status: 304, headers: { etag: tag, "cache-control": "no-cache" } });
      },
    }),
    operation({
      id: "addLicence",
      method: "POST",
      path: "/licences",
      summary: "Add a licence of your own",
      bodySchema: newLicenceSchema,
      answers: {
        201: {
          description: "The licence as it was added",
          schema: licenceSchema,
          headers: { ...etag, location: "Where it can be read." },
        },
      },
      problems: [400, 409, 413, 415, 422, 503, 507],
      handle({ body }) {
        try {
          const added = store.create(body);
          return show(added, 201, { location: `/licences/${encodeURIComponent(added.licence.id)}` });
        } catch (error) {
          if (!(error instanceof LicenceExistsError)) throw error;
          throw refusal(409, [{ in: "body", field: "id", message: "is taken", received: error.id }]);
        }
      },
    }),
    operation({
      id: "replaceLicence",
      method: "PUT",
      path: "/licences/:id",
      summary: "Replace all fields of a licence; of those of the SPDX list, policy and notes",
      pathSchema: licencePathSchema,
      bodySchema: licenceReplacementSchema,
      needsIfMatch: true,
      answers: { 200: { description: "The licence as it is now", schema: licenceSchema, headers: etag } },
      problems: [400, 404, 412, 413, 415, 422, 428, 503, 507],
      handle({ path, body, ifMatch }) {
        const updated = store.update(path.id, (current) => {
          requireMatch(ifMatch, current.revision);
          return guardList(current, body);
        });
        return show(updated ?? unknownLicence(path.id));
      },
    }),
    operation({
      id: "changeLicence",
      method: "PATCH",
      path: "/licences/:id",
      summary: "Change some fields of a licence; of those of the SPDX list, policy and notes",
      pathSchema: licencePathSchema,
      bodySchema: licencePatchSchema,
      bodyTypes: ["application/merge-patch+json", "application/json"],
      needsIfMatch: true,
      answers: { 200: { description: "The licence as it is now", schema: licenceSchema, headers: etag } },
      problems: [400, 404, 412, 413, 415, 422, 428, 503, 507],
      handle({ path, body, ifMatch }) {
        const updated = store.update(path.id, (current) => {
          requireMatch(ifMatch, current.revision);
          const given = Object.entries(body).filter(([, value]) => value !== undefined);
          return guardList(current, { ...current.licence, ...Object.fromEntries(given) });
        });
        return show(updated ?? unknownLicence(path.id));
      },
    }),
    operation({
      id: "deleteLicence",
      method: "DELETE",
      path: "/licences/:id",
      summary: "Delete a licence that was added here",
      pathSchema: licencePathSchema,
      needsIfMatch: true,
      answers: { 204: { description: "The licence is gone" } },
      problems: [400, 404, 409, 412, 428, 503, 507],
      handle({ path, ifMatch }) {
        const deleted = store.delete(path.id, ({ licence, revision }) => {
          requireMatch(ifMatch, revision);
          if (licence.custom) return;
          throw refusal(409, [{ in: "path", field: "id", message: "belongs to the SPDX list", received: licence.id }]);
        });
        if (!deleted) unknownLicence(path.id);
        return new FastResponse(null, { status: 204 });
      },
    }),
  ];
}

function list(store: LicenceStore, url: string, { cursor, limit = 20, ...query }: ListQuery): Response {
  const { q, sort = q === undefined ? "id" : "relevance", ...filters } = query;
  if (sort === "relevance" && q === undefined) {
    throw refusal(400, [
      { in: "query", field: "sort", message: "relevance needs a search: give q too", received: sort },
    ]);
  }
  const descending = sort.startsWith("-");
  // The enum of the schema has no other values behind the sign.
  const key = sort.replace("-", "") as "id" | "name" | "updatedAt" | "relevance";
  const scope = JSON.stringify([sort, q, filters.policy, filters.osiApproved, filters.custom]);
  const after = cursor === undefined ? undefined : readCursor(scope, cursor);
  const { items, total, next } = store.list({ ...filters, search: q, sort: key, descending, limit, after });
  if (next === undefined) return respond({ items, total, next: null } satisfies LicencePage);
  const target = new URL(url);
  target.searchParams.set("cursor", encodeCursor(scope, next));
  const page: LicencePage = { items, total, next: target.searchParams.get("cursor") };
  return respond(page, 200, { link: `<${target.pathname}${target.search}>; rel="next"` });
}

function readCursor(scope: string, cursor: string): Position {
  const position = decodeCursor(scope, cursor);
  if (typeof position === "object") return position;
  const message =
    position === "malformed" ? "is not a cursor of this API" : "belongs to a list with other filters, search or order";
  throw refusal(400, [{ in: "query", field: "cursor", message, received: cursor }]);
}

/** What the SPDX list says stays as it says it: throws a 422 problem for other fields than policy and notes. */
function guardList({ licence }: Revised, fields: LicenceFields): LicenceFields {
  if (licence.custom) return fields;
  const fixed = (["name", "url", "osiApproved", "text"] as const).filter((field) => fields[field] !== licence[field]);
  if (fixed.length === 0) return fields;
  throw refusal(
    422,
    fixed.map((field) => ({ in: "body", field, message: "belongs to the SPDX list and cannot be changed" })),
  );
}

function unknownLicence(id: string): never {
  throw new HttpProblem({
    status: 404,
    detail: `There is no licence ${id}`,
    errors: [{ in: "path", field: "id", message: "is not in the register", received: id }],
  });
}

function show({ licence, revision }: Revised, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return respond(licence, status, { ...headers, etag: entityTag(revision) });
}

/** Caches keep it, and ask each time whether it is still true. */
function respond(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  const body = Buffer.from(JSON.stringify(value));
  const length = String(body.byteLength);
  return new FastResponse(body, {
    status,
    headers: { "content-type": "application/json", "content-length": length, "cache-control": "no-cache", ...headers },
  });
}
