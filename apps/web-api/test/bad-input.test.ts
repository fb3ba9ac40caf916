import { afterAll, beforeAll, expect, test } from "vitest";
import { largestBody } from "../src/input.ts";
import { type AskOptions, type OpenApi, openApi } from "./open-api.ts";

let api: OpenApi;
beforeAll(async () => {
  api = await openApi();
  await api.ask("POST", "/licences", { body: { id: "Taken", name: "Taken", text: "x" } });
}, 60_000);
afterAll(() => api[Symbol.asyncDispose]());

interface Case extends AskOptions {
  readonly method?: string;
  readonly path?: string;
  readonly status: number;
  /** Place and name of each field that the problem must name. */
  readonly fields: readonly string[];
}

const post = { method: "POST", path: "/licences" };
const good = { id: "New", name: "New", text: "x" };
const ifMatch = { "if-match": "*" };

const cases: Readonly<Record<string, Case>> = {
  "malformed JSON": { ...post, body: '{"id": ', status: 400, fields: ["body "] },
  "no body": { ...post, headers: { "content-type": "application/json" }, status: 400, fields: ["body "] },
  "bytes that are not UTF-8": {
    ...post,
    body: "\u{1f4a9}",
    headers: { "content-type": "application/json; charset=latin1" },
    status: 415,
    fields: ["header content-type"],
  },
  "a number as a document": { ...post, body: 1, status: 422, fields: ["body "] },
  "null as a document": { ...post, body: "null", status: 422, fields: ["body "] },
  "missing fields": { ...post, body: {}, status: 422, fields: ["body id", "body name", "body text"] },
  "a wrong type": { ...post, body: { ...good, name: 7 }, status: 422, fields: ["body name"] },
  "null where a text belongs": { ...post, body: { ...good, text: null }, status: 422, fields: ["body text"] },
  "two wrong fields": {
    ...post,
    body: { ...good, policy: "maybe", osiApproved: "yes" },
    status: 422,
    fields: ["body osiApproved", "body policy"],
  },
  "an unknown field": { ...post, body: { ...good, stars: 5 }, status: 422, fields: ["body stars"] },
  "a prototype as a field": {
    ...post,
    body: '{"id":"New","name":"New","text":"x","__proto__":{"a":1}}',
    status: 422,
    fields: ["body __proto__"],
  },
  "half of a surrogate pair": {
    ...post,
    body: '{"id":"New","name":"a\\ud800","text":"\\udc00","notes":"\\ud83d"}',
    status: 422,
    fields: ["body name", "body notes", "body text"],
  },
  "an empty name": { ...post, body: { ...good, name: "  " }, status: 422, fields: ["body name"] },
  "a name that is too long": { ...post, body: { ...good, name: "n".repeat(301) }, status: 422, fields: ["body name"] },
  "a URL that is none": { ...post, body: { ...good, url: "nowhere" }, status: 422, fields: ["body url"] },
  "a URL that runs code": { ...post, body: { ...good, url: "javascript:alert(1)" }, status: 422, fields: ["body url"] },
  "an id with a slash": { ...post, body: { ...good, id: "a/b" }, status: 422, fields: ["body id"] },
  "an id that is taken": { ...post, body: { ...good, id: "tAkEn" }, status: 409, fields: ["body id"] },
  "deep nesting": { ...post, body: `${"[".repeat(50_000)}${"]".repeat(50_000)}`, status: 422, fields: ["body "] },
  "a form": {
    ...post,
    body: "id=New",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    status: 415,
    fields: ["header content-type"],
  },
  "a merge patch as a new licence": {
    ...post,
    body: good,
    headers: { "content-type": "application/merge-patch+json" },
    status: 415,
    fields: ["header content-type"],
  },
  "a body that is too large": {
    ...post,
    body: { ...good, text: "x".repeat(largestBody) },
    status: 413,
    fields: ["body "],
  },
  "a text that is too long": {
    ...post,
    body: { ...good, text: "x".repeat(300_001) },
    status: 422,
    fields: ["body text"],
  },
  "an unknown parameter": { path: "/licences?page=2", status: 400, fields: ["query page"] },
  "a parameter given twice": { path: "/licences?limit=2&limit=3", status: 400, fields: ["query limit"] },
  "a parameter called __proto__": { path: "/licences?__proto__=1", status: 400, fields: ["query __proto__"] },
  "a limit of zero": { path: "/licences?limit=0", status: 400, fields: ["query limit"] },
  "a limit in words": { path: "/licences?limit=ten", status: 400, fields: ["query limit"] },
  "a limit that is no integer": { path: "/licences?limit=1.5", status: 400, fields: ["query limit"] },
  "a flag that is none": { path: "/licences?osiApproved=1", status: 400, fields: ["query osiApproved"] },
  "an unknown policy and an unknown order": {
    path: "/licences?policy=x&sort=age",
    status: 400,
    fields: ["query policy", "query sort"],
  },
  "relevance without a search": { path: "/licences?sort=relevance", status: 400, fields: ["query sort"] },
  "a search that is too long": { path: `/licences?q=${"x".repeat(201)}`, status: 400, fields: ["query q"] },
  "a cursor that is none": { path: "/licences?cursor=abc", status: 400, fields: ["query cursor"] },
  "a cursor of JSON of another shape": {
    path: `/licences?cursor=${Buffer.from("[1,2]").toString("base64url")}`,
    status: 400,
    fields: ["query cursor"],
  },
  "an id that cannot be one": { path: "/licences/a%20b", status: 400, fields: ["path id"] },
  "an id that is not there": { path: "/licences/Nobody", status: 404, fields: ["path id"] },
  "no If-Match": { method: "DELETE", path: "/licences/Taken", status: 428, fields: ["header if-match"] },
  "a malformed If-Match": {
    method: "DELETE",
    path: "/licences/Taken",
    headers: { "if-match": "12" },
    status: 400,
    fields: ["header if-match"],
  },
  "a weak If-Match": {
    method: "DELETE",
    path: "/licences/Taken",
    headers: { "if-match": 'W/"1"' },
    status: 412,
    fields: ["header if-match"],
  },
  "a stale If-Match": {
    method: "DELETE",
    path: "/licences/Taken",
    headers: { "if-match": '"0", "99"' },
    status: 412,
    fields: ["header if-match"],
  },
  "an empty patch": {
    method: "PATCH",
    path: "/licences/Taken",
    headers: ifMatch,
    body: {},
    status: 422,
    fields: ["body "],
  },
  "a new id in a patch": {
    method: "PATCH",
    path: "/licences/Taken",
    headers: ifMatch,
    body: { id: "Other", notes: "" },
    status: 422,
    fields: ["body id"],
  },
  "a patch of what is not there": {
    method: "PATCH",
    path: "/licences/Nobody",
    headers: ifMatch,
    body: { notes: "" },
    status: 404,
    fields: ["path id"],
  },
  "a replacement without a text": {
    method: "PUT",
    path: "/licences/Taken",
    headers: ifMatch,
    body: { name: "T" },
    status: 422,
    fields: ["body text"],
  },
};

test.each(Object.entries(cases))("%s is refused with a problem that names the field", async (_name, given) => {
  const { method = "GET", path = "/licences", status, fields, ...options } = given;
  const before = await api.ask("GET", "/licences/Taken");

  const answer = await api.ask(method, path, options);

  expect(answer.status).toBe(status);
  const named = answer.json.errors.map(({ in: place, field }) => `${place} ${field}`);
  expect(named.sort()).toEqual(fields);
  expect((await api.ask("GET", "/licences/Taken")).json).toEqual(before.json);
});

test("bytes that are not UTF-8 are refused", async () => {
  const request = new Request("https://api.test/licences", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: new Uint8Array([0x22, 0xff, 0x22]),
  });
  const context = { context: { cancelled: false }, protocol: "h2" };
  const response = await api.app.router.fetch(request, context as never); // all that the app reads of it
  expect([response.status, await response.json()]).toMatchObject([400, { errors: [{ in: "body" }] }]);
});

test("a cursor of another list is refused", async () => {
  await api.ask("POST", "/licences", { body: { id: "Second", name: "Second", text: "x" } });
  const { json } = await api.ask("GET", "/licences?limit=1&sort=name");
  expect((await api.ask("GET", `/licences?limit=1&sort=name&cursor=${json.next}`)).status).toBe(200);
  const foreign = await api.ask("GET", `/licences?limit=1&sort=-name&cursor=${json.next}`);
  expect(foreign.json.errors[0]).toMatchObject({ in: "query", field: "cursor" });
});

test("a method that a path does not know is answered 405 with those it knows", async () => {
  const { status, headers } = await api.ask("POST", "/licences/Taken", { body: good });
  expect([status, headers.get("allow")]).toEqual([405, "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"]);
});

test.each([
  '"',
  '""',
  "'",
  "*",
  "a*",
  "^a",
  "a AND",
  "OR",
  "NOT a",
  "NEAR(a b, 2)",
  "id:x",
  "{id name}: x",
  "-x",
  "+",
  "(",
  ")",
  "a\u0000b",
  "\u0001x\u0002",
  "\ud800",
  "é",
  "日本",
  "a;DROP TABLE licences",
  "\\",
  "%",
  "_",
])("the search %j is text and never syntax", async (text) => {
  const { status } = await api.ask("GET", `/licences?${new URLSearchParams({ q: text })}`);
  expect(status).toBe(200);
});

test("a flood of wrong fields is told by its first ones", async () => {
  const flood = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`f${index}`, 1]));
  const { status, json, text } = await api.ask("POST", "/licences", { body: { ...good, ...flood } });

  expect(status).toBe(422);
  expect(json.errors).toHaveLength(20);
  expect(json.detail).toContain("and 49980 more");
  expect(text.length).toBeLessThan(10_000);
});
