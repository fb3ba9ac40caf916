import { afterAll, beforeAll, expect, test } from "vitest";
import { type OpenApi, openApi } from "./open-api.ts";

let api: OpenApi;
beforeAll(async () => {
  api = await openApi({ seeded: true });
}, 60_000);
afterAll(() => api[Symbol.asyncDispose]());

const merge = { "content-type": "application/merge-patch+json" };

async function add(id: string): Promise<string> {
  const { status, headers } = await api.ask("POST", "/licences", {
    body: { id, name: `Licence ${id}`, text: "Do good." },
  });
  expect(status).toBe(201);
  return headers.get("etag") as string; // promised, and checked by ask()
}

test("the register starts with the whole SPDX list", async () => {
  const { json } = await api.ask("GET", "/licences?limit=1&custom=false");
  expect(json.total).toBe(727);
  const { json: mit } = await api.ask("GET", "/licences/MIT");
  expect(mit).toMatchObject({ id: "MIT", name: "MIT License", osiApproved: true, custom: false, policy: "unset" });
  expect(mit.text).toContain("without restriction");
});

test("an id is found in any letter case", async () => {
  expect((await api.ask("GET", "/licences/apache-2.0")).json.id).toBe("Apache-2.0");
});

test("a licence is answered 304 to who has its state, and in full to others", async () => {
  const { headers } = await api.ask("GET", "/licences/MIT");
  const etag = headers.get("etag") ?? "";

  for (const condition of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
    const { status, text } = await api.ask("GET", "/licences/MIT", { headers: { "if-none-match": condition } });
    expect([condition, status, text]).toEqual([condition, 304, ""]);
  }
  expect((await api.ask("GET", "/licences/MIT", { headers: { "if-none-match": '"other"' } })).status).toBe(200);
});

test("an added licence is read, replaced, changed and deleted, each from the state last seen", async () => {
  const first = await add("LicenseRef-Life-1.0");
  const read = await api.ask("GET", "/licences/LicenseRef-Life-1.0");
  expect(read.json).toMatchObject({ custom: true, policy: "unset", notes: "", url: null, osiApproved: false });

  const replaced = await api.ask("PUT", "/licences/LicenseRef-Life-1.0", {
    headers: { "if-match": first },
    body: { name: "Life", text: "Be kind.", policy: "approved", url: "https://life.test/1.0" },
  });
  expect(replaced.json).toMatchObject({
    name: "Life",
    text: "Be kind.",
    policy: "approved",
    url: "https://life.test/1.0",
  });
  expect(replaced.headers.get("etag")).not.toBe(first);

  const changed = await api.ask("PATCH", "/licences/LicenseRef-Life-1.0", {
    headers: { ...merge, "if-match": replaced.headers.get("etag") ?? "" },
    body: { notes: "Ask legal", url: null },
  });
  expect(changed.json).toMatchObject({ name: "Life", policy: "approved", notes: "Ask legal", url: null });

  const stale = await api.ask("DELETE", "/licences/LicenseRef-Life-1.0", { headers: { "if-match": first } });
  expect([stale.status, stale.headers.get("etag")]).toEqual([412, changed.headers.get("etag")]);
  const gone = await api.ask("DELETE", "/licences/LicenseRef-Life-1.0", { headers: { "if-match": "*" } });
  expect(gone.status).toBe(204);
  expect((await api.ask("GET", "/licences/LicenseRef-Life-1.0")).status).toBe(404);
});

test("a new licence says where it is", async () => {
  const { status, headers, json } = await api.ask("POST", "/licences", {
    body: { id: "LicenseRef-a+b", name: "Plus", text: "x" },
  });
  expect([status, headers.get("location")]).toEqual([201, "/licences/LicenseRef-a%2Bb"]);
  expect((await api.ask("GET", headers.get("location") ?? "")).json).toEqual(json);
});

test("a licence that was deleted and added again has a state of its own", async () => {
  const before = await add("LicenseRef-Twice");
  await api.ask("DELETE", "/licences/LicenseRef-Twice", { headers: { "if-match": before } });
  expect(await add("LicenseRef-Twice")).not.toBe(before);
});

test("of the SPDX list, policy and notes can be changed and nothing else", async () => {
  const marked = await api.ask("PATCH", "/licences/GPL-3.0-only", {
    headers: { ...merge, "if-match": "*" },
    body: { policy: "review", notes: "Talk to legal" },
  });
  expect(marked.json).toMatchObject({ policy: "review", notes: "Talk to legal", custom: false });

  const renamed = await api.ask("PATCH", "/licences/GPL-3.0-only", {
    headers: { ...merge, "if-match": "*" },
    body: { name: "Mine", text: "All mine" },
  });
  expect([renamed.status, renamed.json.errors.map(({ field }) => field)]).toEqual([422, ["name", "text"]]);
  expect((await api.ask("DELETE", "/licences/GPL-3.0-only", { headers: { "if-match": "*" } })).status).toBe(409);
});

test("the list is filtered and sorted", async () => {
  await api.ask("PATCH", "/licences/AGPL-3.0-only", {
    headers: { ...merge, "if-match": "*" },
    body: { policy: "denied" },
  });

  const denied = await api.ask("GET", "/licences?policy=denied");
  expect(denied.json.items.map(({ id }) => id)).toEqual(["AGPL-3.0-only"]);
  const newest = await api.ask("GET", "/licences?sort=-updatedAt&limit=1&custom=false");
  expect(newest.json.items[0]?.id).toBe("AGPL-3.0-only");
  const names = (await api.ask("GET", "/licences?sort=-name&limit=100&osiApproved=true")).json.items;
  expect(names.every(({ osiApproved }) => osiApproved)).toBe(true);
  const lower = names.map(({ name }) => name.toLowerCase());
  expect(lower).toEqual([...lower].sort().reverse());
});

test("a list is walked by its Link header until there is none", async () => {
  const seen = new Set<string>();
  let target: string | undefined = "/licences?custom=false&limit=100&sort=name";
  let pages = 0;
  while (target !== undefined) {
    const { json, headers } = await api.ask("GET", target);
    for (const { id } of json.items) seen.add(id);
    target = /^<(.+)>; rel="next"$/.exec(headers.get("link") ?? "")?.[1];
    pages++;
  }
  expect([pages, seen.size]).toEqual([8, 727]);
});

test("a search finds the id first, then words in names and texts, and marks them in a passage", async () => {
  const { json } = await api.ask("GET", "/licences?q=mit&limit=5");
  expect(json.items[0]?.id).toBe("MIT");

  const phrase = await api.ask("GET", "/licences?q=patent+litigation+institut&limit=3");
  expect(phrase.json.total).toBeGreaterThan(0);
  const marked = phrase.json.items[0]?.snippet?.filter(({ match }) => match);
  expect(marked?.length).toBeGreaterThan(0);
});

test("a search follows what is written", async () => {
  const etag = await add("LicenseRef-Zebra");
  const find = async () => (await api.ask("GET", "/licences?q=quaggaword")).json.total;
  expect(await find()).toBe(0);
  await api.ask("PATCH", "/licences/LicenseRef-Zebra", {
    headers: { ...merge, "if-match": etag },
    body: { text: "quaggaword" },
  });
  expect(await find()).toBe(1);
  await api.ask("DELETE", "/licences/LicenseRef-Zebra", { headers: { "if-match": "*" } });
  expect(await find()).toBe(0);
});

test("of many changes from the same state one wins, and the others learn that they are late", async () => {
  const etag = await add("LicenseRef-Race");
  const statuses = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const body = { notes: `writer ${index}` };
      return (await api.ask("PATCH", "/licences/LicenseRef-Race", { headers: { ...merge, "if-match": etag }, body }))
        .status;
    }),
  );
  expect(statuses.filter((status) => status === 200)).toHaveLength(1);
  expect(statuses.filter((status) => status === 412)).toHaveLength(19);
});

test("no counter is lost when all writers follow If-Match", async () => {
  await add("LicenseRef-Count");
  const increment = async (): Promise<void> => {
    for (;;) {
      const { json, headers } = await api.ask("GET", "/licences/LicenseRef-Count");
      const body = { notes: String(Number(json.notes) + 1) };
      const condition = { ...merge, "if-match": headers.get("etag") ?? "" };
      if ((await api.ask("PATCH", "/licences/LicenseRef-Count", { headers: condition, body })).status === 200) return;
    }
  };
  await Promise.all(Array.from({ length: 12 }, increment));
  expect((await api.ask("GET", "/licences/LicenseRef-Count")).json.notes).toBe("12");
});

test("readiness follows the state of the app, and health does not", async () => {
  for (const [state, status] of [
    ["starting", 503],
    ["draining", 503],
    ["ready", 200],
  ] as const) {
    api.readiness.state = state;
    expect((await api.ask("GET", "/readyz")).status).toBe(status);
    expect((await api.ask("GET", "/healthz")).status).toBe(200);
  }
});

test("each request is one line of the log, with the id that the answer carries", async () => {
  api.log.length = 0;
  const { headers, text } = await api.ask("GET", "/licences/MIT", { headers: { "x-request-id": "from-the-client" } });
  const lines = api.log.map((line) => JSON.parse(line));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    level: "info",
    requestId: "from-the-client",
    method: "GET",
    path: "/licences/MIT",
    status: 200,
    protocol: "h2",
    bytes: Buffer.byteLength(text),
  });
  expect(headers.get("x-request-id")).toBe("from-the-client");
  const other = await api.ask("GET", "/licences/MIT", { headers: { "x-request-id": "not an id\u00e9" } });
  expect(other.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
});

test("pages are served with a policy that keeps foreign code out", async () => {
  for (const path of ["/", "/docs"]) {
    const { status, headers, text } = await api.ask("GET", path);
    expect(status).toBe(200);
    expect(headers.get("content-security-policy")).toContain("default-src 'self'");
    for (const [, asset] of text.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)) {
      expect((await api.ask("GET", asset ?? "")).status).toBe(200);
    }
    expect(text).not.toMatch(/<script>|\s(style|on\w+)=/);
  }
});

test("a failure that nobody foresaw is logged whole and answered without internals", async () => {
  await using broken = await openApi();
  broken.database.close();

  const { status, json, text } = await broken.ask("GET", "/licences/MIT", {
    headers: { "x-request-id": "find-me" },
  });

  expect([status, json.detail, json.requestId]).toEqual([500, "The server failed to answer this request", "find-me"]);
  expect(text).not.toMatch(/database|\.ts/);
  expect(JSON.parse(broken.log[0] ?? "")).toMatchObject({
    level: "error",
    requestId: "find-me",
    error: expect.stringContaining("database is not open"),
  });
  expect((await broken.ask("GET", "/readyz")).json).toEqual({ status: "failed" });
});
