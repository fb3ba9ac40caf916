import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { type Body, RequestBody } from "./undici-body.ts";
import { headerOf, withHeaders } from "./undici-headers.ts";

async function read(body: Body): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const chunk of body as AsyncIterable<unknown>) all.push(chunk);
  return all;
}

async function* chunks(...list: readonly string[]): AsyncGenerator<string> {
  yield* list;
}

describe("RequestBody", () => {
  test("What is in memory is handed out as it is, as often as wanted", () => {
    for (const body of [
      "text",
      Buffer.from("bytes"),
      new Uint8Array(3),
      null,
      undefined,
      new FormData(),
      new Blob(["x"]),
    ]) {
      const given = new RequestBody(body as Body, undefined, 0);
      expect([given.take(), given.take()]).toEqual([body, body]);
      expect([given.isRepeatable, given.isSpent]).toEqual([true, false]);
    }
  });

  test("A stream of known length is read once and handed out again and again, from the middle too", async () => {
    const source = vi.fn(() => chunks("a", "b", "c"));
    const body = new RequestBody(source(), 3, 3);
    const broken = body.take() as AsyncGenerator<unknown>;
    await broken.next();
    await broken.return(undefined);
    expect(await read(body.take())).toEqual(["a", "b", "c"]);
    expect(await read(body.take())).toEqual(["a", "b", "c"]);
    expect([body.isRepeatable, body.isSpent]).toEqual([true, false]);
  });

  test("Attempts that read at the same time get the same, whoever is ahead", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string(), { maxLength: 8 }),
        fc.array(fc.nat(2), { maxLength: 40 }),
        fc.boolean(),
        async (list, order, isNodeStream) => {
          const source = isNodeStream ? Readable.from(list) : chunks(...list);
          const body = new RequestBody(source, 0, 1);
          const readers = [0, 1, 2].map(() => ({ body: body.take() as AsyncGenerator<unknown>, got: [] as unknown[] }));
          const step = async ({ body, got }: (typeof readers)[0]): Promise<void> => {
            const { done, value } = await body.next();
            if (done !== true) got.push(value);
          };
          await Promise.all(order.map((i) => step(readers[i] as (typeof readers)[0])));
          for (const reader of readers) reader.got.push(...(await read(reader.body)));
          for (const { got } of readers) expect(got).toEqual(list);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("A stream of unknown length, or a long one, is handed out until somebody has begun to read it", async () => {
    for (const length of [undefined, 11]) {
      const body = new RequestBody(chunks("a", "b"), length, 10);
      expect(body.isRepeatable).toBe(false);
      await (body.take() as AsyncGenerator<unknown>).return(undefined); // as undici does when it gets no connection
      expect(body.isSpent).toBe(false);
      expect(await read(body.take())).toEqual(["a", "b"]);
      expect(body.isSpent).toBe(true);
    }
  });

  test("What has not been read is let go of at the end", async () => {
    const left = vi.fn();
    const source = (async function* () {
      try {
        yield "a";
        yield "b";
      } finally {
        left();
      }
    })();
    const body = new RequestBody(source, 2, 2);
    await (body.take() as AsyncGenerator<unknown>).next();
    body.end();
    await vi.waitUntil(() => left.mock.calls.length === 1);
    const stream = Readable.from(["a"]);
    new RequestBody(stream, 1, 1).end();
    expect(stream.destroyed).toBe(true);
  });

  test("A stream that fails tells each reader, and nobody else", async () => {
    const stream = new Readable({ read() {} });
    const body = new RequestBody(stream, 1, 1);
    stream.destroy(new Error("disk is gone"));
    for (let i = 0; i < 2; i++) await expect(read(body.take())).rejects.toThrow("disk is gone");
  });
});

describe("headers", () => {
  const forms = {
    record: { Accept: "a", "X-Two": ["1", "2"], empty: undefined },
    list: ["Accept", "a", "X-Two", "1", "X-Two", "2"],
    map: new Map([
      ["Accept", "a"],
      ["X-Two", "1, 2"],
    ]),
    headers: new Headers({ Accept: "a", "X-Two": "1, 2" }),
  };

  for (const [name, headers] of Object.entries(forms)) {
    test(`They are found and replaced in a ${name}, whatever their case`, () => {
      const given = headers as Parameters<typeof headerOf>[0];
      expect([headerOf(given, "accept"), headerOf(given, "x-two"), headerOf(given, "none")]).toEqual([
        "a",
        "1, 2",
        undefined,
      ]);
      const replaced = withHeaders(given, { accept: "b", "x-new": "c" });
      expect([headerOf(replaced, "accept"), headerOf(replaced, "x-two"), headerOf(replaced, "x-new")]).toEqual([
        "b",
        "1, 2",
        "c",
      ]);
      expect(headerOf(given, "accept")).toBe("a");
    });
  }

  test("There may be none", () => {
    expect(headerOf(undefined, "accept")).toBeUndefined();
    expect(withHeaders(null, { a: "b" })).toEqual(["a", "b"]);
  });
});
