import { Readable } from "node:stream";
import * as fc from "fast-check";
import { expect, expectTypeOf, test } from "vitest";
import { FastResponse } from "./fast-response.ts";
import type { Handler } from "./handler.ts";

const bodies = fc.constantFrom<string | null | undefined>("", "hello", "naïve ☃", null, undefined);
const headers = fc.constantFrom({}, { "content-type": "text/css" }, { "X-A": "1" });
const methods = fc.constantFrom("text", "bytes", "blob", "clone" as const);

test("FastResponse shows what a platform Response shows", async () => {
  await fc.assert(
    fc.asyncProperty(
      bodies,
      fc.constantFrom(200, 201, 404, 599),
      headers,
      methods,
      async (body, status, init, method) => {
        const ours: Response = new FastResponse(body, { status, headers: init });
        const platform = new Response(body, { status, headers: init });

        expect([...ours.headers]).toEqual([...platform.headers]);
        for (const key of ["status", "ok", "type", "url", "redirected", "statusText", "bodyUsed"] as const) {
          expect(ours[key]).toBe(platform[key]);
        }
        expect(ours.body === null).toBe(platform.body === null);
        expect(await outcome(ours, method)).toEqual(await outcome(platform, method));
        expect(ours.bodyUsed).toBe(platform.bodyUsed);
        expect(await outcome(ours, "text")).toEqual(await outcome(platform, "text"));
      },
    ),
  );
});

async function outcome(response: Response, method: "text" | "bytes" | "blob" | "clone"): Promise<unknown> {
  try {
    if (method === "clone") return await response.clone().text();
    const value = await response[method]();
    return value instanceof Blob ? [value.type, await value.text()] : value;
  } catch (error) {
    return (error as Error).constructor.name;
  }
}

test.each<[string, () => AsyncIterable<string | Uint8Array> | ReadableStream<Uint8Array>]>([
  ["a platform stream", () => new Response("one two").body as ReadableStream<Uint8Array>],
  ["a Node.js stream", () => Readable.from(["one ", Buffer.from("two")])],
])("%s is a body, to be read once or cloned", async (_name, open) => {
  const response = new FastResponse(open());
  const clone = response.clone();

  expect(await response.text()).toBe("one two");
  expect(await clone.text()).toBe("one two");
  await expect(response.text()).rejects.toThrow(TypeError);
});

test("a FastResponse fits where a Response is asked for", () => {
  expectTypeOf<FastResponse>().toExtend<Response>();
  expectTypeOf(() => FastResponse.json(1)).toExtend<Handler>();
  expect(new FastResponse("")).toBeInstanceOf(Response);
});

test("FastResponse.json() is Response.json()", async () => {
  const ours = FastResponse.json({ a: [1] }, { status: 201, headers: { "x-a": "1" } });
  const platform = Response.json({ a: [1] }, { status: 201, headers: { "x-a": "1" } });

  expect([...ours.headers]).toEqual([...platform.headers]);
  expect(await ours.json()).toEqual(await platform.json());
  expect(
    FastResponse.json({}, { headers: { "content-type": "application/problem+json" } }).headers.get("content-type"),
  ).toBe("application/problem+json");
  expect(() => FastResponse.json(undefined)).toThrow(TypeError);
});

test("a status without body, or that is none, is refused", () => {
  expect(() => new FastResponse("x", { status: 204 })).toThrow(/status 204 has no body/);
  expect(() => new FastResponse(null, { status: 99 })).toThrow(/from 200 to 599, got 99/);
  expect(() => new FastResponse(null, { status: 200.5 })).toThrow(RangeError);
  expect(() => new FastResponse(null, { headers: { "a b": "c" } })).toThrow(TypeError);
});
