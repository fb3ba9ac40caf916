import { Context } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Exchange } from "./exchange.ts";
import { IdleWatch } from "./idle-watch.ts";
import { asRequest, LazyRequest, platformRequest } from "./lazy-request.ts";

interface Sent {
  readonly method: string;
  readonly chunks: readonly string[] | undefined;
  readonly headers: readonly string[];
}

/** The request as handlers get it, and how often its body was asked for. */
function receive({ method, chunks, headers }: Sent): { request: Request; bodies: () => number } {
  let bodies = 0;
  const exchange = {
    method,
    headers,
    scheme: "https",
    authority: "example.org",
    target: "/path?query",
    hasBody: chunks !== undefined,
    async *body() {
      bodies++;
      for (const chunk of chunks ?? []) yield Buffer.from(chunk);
    },
  } as Partial<Exchange> as Exchange; // the rest is for answers
  const limits = { maxBodySize: 1_000, idle: new IdleWatch(1_000, new TestClock()) };
  return { request: asRequest(new LazyRequest(exchange, limits, Context.derive())), bodies: () => bodies };
}

/** The same request made by the platform. */
function platformTwin({ method, chunks, headers }: Sent): Request {
  const bodyless = chunks === undefined || method === "GET" || method === "HEAD";
  const pairs = headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1] ?? ""] as [string, string]] : []));
  return new Request("https://example.org/path?query", {
    method,
    headers: pairs,
    ...(bodyless ? {} : { body: Buffer.from(chunks.join("")) }),
  });
}

const sent = fc.record<Sent>({
  method: fc.constantFrom("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"),
  chunks: fc.constantFrom(undefined, [], ["{}"], ['{"a":', '"☃"}'], ["not json"], ["\ufeff1"]),
  headers: fc.constantFrom(
    [],
    ["content-type", "application/json", "x-a", "1"],
    ["content-type", "application/x-www-form-urlencoded"],
  ),
});
const steps = fc.array(
  fc.constantFrom("text", "json", "bytes", "arrayBuffer", "blob", "formData", "clone", "body", "bodyUsed" as const),
  { minLength: 1, maxLength: 4 },
);

test("a request shows what the platform's would show, in whatever order it is read", async () => {
  await fc.assert(
    fc.asyncProperty(sent, steps, async (message, order) => {
      const ours = receive(message).request;
      const platform = platformTwin(message);
      for (const key of plainFields) expect([key, ours[key]]).toEqual([key, platform[key]]);
      expect([...ours.headers]).toEqual([...platform.headers].filter(([name]) => given(message, name)));
      for (const step of order) {
        expect([step, await outcome(ours, step)]).toEqual([step, await outcome(platform, step)]);
      }
    }),
  );
});

const plainFields = [
  "method",
  "url",
  "bodyUsed",
  "cache",
  "credentials",
  "destination",
  "duplex",
  "integrity",
  "keepalive",
  "mode",
  "redirect",
  "referrer",
  "referrerPolicy",
] as const;

/** The platform makes up a content-type for some bodies; a client either sent one or did not. */
function given({ headers }: Sent, name: string): boolean {
  return headers.includes(name);
}

type Step = typeof steps extends fc.Arbitrary<(infer T)[]> ? T : never;

async function outcome(request: Request, step: Step): Promise<unknown> {
  try {
    if (step === "bodyUsed") return request.bodyUsed;
    if (step === "body") return request.body === null ? null : { locked: request.body.locked };
    if (step === "clone") return await request.clone().text();
    const value = await request[step]();
    if (value instanceof Blob) return [value.type, await value.text()];
    return value instanceof FormData ? [...value] : value;
  } catch (error) {
    return (error as Error).constructor.name;
  }
}

test("nothing of the body is asked for until somebody reads it", async () => {
  const { request, bodies } = receive({ method: "POST", chunks: ["a"], headers: [] });
  void [request.method, request.url, request.headers, request.body, request.bodyUsed];
  expect(bodies()).toBe(0);

  expect(await request.text()).toBe("a");
  expect(bodies()).toBe(1);
});

test("cancelling the body stream asks for nothing more", async () => {
  let returned = false;
  const exchange = {
    method: "POST",
    headers: [],
    hasBody: true,
    async *body() {
      try {
        for (;;) yield Buffer.from("x");
      } finally {
        returned = true;
      }
    },
  } as Partial<Exchange> as Exchange; // the rest is for answers
  const limits = { maxBodySize: 1_000, idle: new IdleWatch(1_000, new TestClock()) };
  const reader = new LazyRequest(exchange, limits, Context.derive()).body?.getReader();
  await reader?.read();

  await reader?.cancel();

  await expect.poll(() => returned).toBe(true);
});

test("the signal is the one of the context", () => {
  const context = Context.derive();
  const exchange = { method: "GET", headers: [] } as Partial<Exchange> as Exchange; // the rest is not read
  const limits = { maxBodySize: 0, idle: new IdleWatch(0, new TestClock()) };
  const request = asRequest(new LazyRequest(exchange, limits, context));

  context.cancel(new Error("gone"));

  expect(request.signal.reason).toEqual(new Error("gone"));
});

test("platformRequest() takes the body along, and leaves other requests alone", async () => {
  const { request } = receive({ method: "POST", chunks: ["a", "b"], headers: ["x-a", "1"] });
  const platform = platformRequest(request);

  const copy = new Request(platform);
  expect([copy.url, copy.headers.get("x-a"), await copy.text()]).toEqual(["https://example.org/path?query", "1", "ab"]);
  expect(request.bodyUsed).toBe(true);
  expect(() => platformRequest(request)).toThrow(TypeError);
  expect(platformRequest(platform)).toBe(platform);
});

test("a request can be printed", () => {
  const { request } = receive({ method: "GET", chunks: undefined, headers: [] });
  expect(request).toBeInstanceOf(Request);
  expect(String(request)).toBe("[object Request]");
});
