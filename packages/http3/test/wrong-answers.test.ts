// Handlers that answer wrongly: the client gets a clear failure, the connection lives on, and so does the process.
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { FastResponse, type Handler, type ServerEvent } from "../src/index.ts";
import { HttpProblem } from "../src/lib/problem.ts";
import { type Answer, ask, connect, protocols, start } from "./exchange-client.ts";

/** What the handler's request gets, and what a second one on the same connection does. */
async function askTwice(
  protocol: (typeof protocols)[number],
  handler: Handler,
  method = "GET",
): Promise<{ first: Answer | Error; second: string; failures: unknown[] }> {
  const failures: unknown[] = [];
  const onEvent = (event: ServerEvent): void => {
    if (event.kind === "handler-failed") failures.push(event.error);
  };
  const route: Handler = (request, context) =>
    request.url.endsWith("/second") ? new FastResponse("fine") : handler(request, context);
  await using server = await start(route, { onEvent });
  await using client = await connect(protocol, server);
  const first = await client.ask({ method }).catch((error: Error) => error);
  const second = (await client.ask({ path: "/second" })).body.toString();
  expect(server.active).toBe(0);
  return { first, second, failures };
}

async function* chunks(...texts: string[]): AsyncGenerator<string> {
  yield* texts;
}

const notABody = 5 as unknown as string; // what a type checker would have refused

describe.each(protocols)("over %s", (protocol) => {
  test.each<[string, Handler]>([
    [
      "an error that cannot be asked anything",
      () => Promise.reject(new Proxy({}, { get: () => expect.fail("asked") })),
    ],
    ["an object without a prototype", () => Promise.reject(Object.create(null))],
    [
      "a problem that has no JSON text",
      async () => {
        throw new HttpProblem({ status: 400, detail: "No", id: 10n });
      },
    ],
    [
      "a problem with a malformed header",
      () => {
        throw new HttpProblem({ status: 400, detail: "No" }, { headers: { x: "a\nb" } });
      },
    ],
    [
      "an error that fails to make its answer",
      () => {
        const toResponse = (): Response => expect.fail("no answer");
        throw Object.assign(new Error("odd"), { code: "ERR_HTTP_PROBLEM", toResponse });
      },
    ],
    [
      "an error whose answer is none",
      async () => {
        throw Object.assign(new Error("odd"), { code: "ERR_HTTP_PROBLEM", toResponse: () => 42 });
      },
    ],
    ["a header value with a control character", () => new Response("x", { headers: { x: "a\u0001b" } })],
    ["a body that is none", () => new FastResponse(notABody)],
    [
      "a body that fails before its first byte",
      () => new Response(new ReadableStream({ start: (controller) => controller.error(new Error("gone")) })),
    ],
    [
      "a body that somebody else reads",
      () => {
        const response = new Response("x");
        response.body?.getReader();
        return response;
      },
    ],
    [
      "a stream with two lengths",
      () => {
        const headers: [string, string][] = [
          ["content-length", "1"],
          ["content-length", "2"],
        ];
        return new FastResponse(chunks("a"), { headers });
      },
    ],
  ])("%s is a 500 and no more", async (_name, handler) => {
    const { first, second, failures } = await askTwice(protocol, handler);

    expect(first).toMatchObject({ status: 500 });
    expect(second).toBe("fine");
    expect(failures).toHaveLength(1);
  });

  test.each<[string, () => Response]>([
    ["too short", () => new FastResponse("abc", { headers: { "content-length": "100" } })],
    ["too long", () => new Response("abc", { headers: { "content-length": "2" } })],
    ["no number", () => new FastResponse("abc", { headers: { "content-length": "2, 3" } })],
  ])("a body in one piece that is declared %s is sent with its true length", async (_name, handler) => {
    const { first, second } = await askTwice(protocol, handler);

    expect((first as Answer).all("content-length")).toEqual(["3"]);
    expect((first as Answer).body.toString()).toBe("abc");
    expect(second).toBe("fine");
  });

  test.each([
    ["ends early", "100"],
    ["goes on", "3"],
  ])("a stream that %s of its declared length is cut off", async (_name, length) => {
    const handler = (): Response => new FastResponse(chunks("ab", "cd"), { headers: { "content-length": length } });

    const { first, second, failures } = await askTwice(protocol, handler);

    expect(first).toBeInstanceOf(Error);
    expect(second).toBe("fine");
    expect(failures).toMatchObject([{ message: expect.stringContaining("content-length") }]);
  });

  test("204 has no length, and HEAD has the declared one", async () => {
    const headers = { "content-length": "5" };
    const empty = await askTwice(protocol, () => new FastResponse(null, { status: 204, headers }));
    const head = await askTwice(protocol, () => new FastResponse(chunks("abcde"), { headers }), "HEAD");

    expect((empty.first as Answer).all("content-length")).toEqual([]);
    expect((head.first as Answer).all("content-length")).toEqual(["5"]);
  });

  test("a file that cannot be opened harms nobody, not even where its bytes are not asked for", async () => {
    const { first, second } = await askTwice(
      protocol,
      () => new FastResponse(createReadStream("/nonexistent")),
      "HEAD",
    );

    expect(first).toMatchObject({ status: 200 });
    expect(second).toBe("fine");
  });

  test("an iterator with its own idea of promises is read", async () => {
    let left = 2;
    const iterator = {
      next: () => (left-- > 0 ? { done: false, value: "x" } : { done: true, value: undefined }),
      return: () => ({ done: true, value: undefined }),
    };
    const body = { [Symbol.asyncIterator]: () => iterator } as unknown as AsyncIterable<string>; // not quite one

    expect((await askTwice(protocol, () => new FastResponse(body))).first).toMatchObject({ body: Buffer.from("xx") });
  });
});

test("the stream of an answer is let go when the client has left before it", async () => {
  const late = Promise.withResolvers<Response>();
  const seen = Promise.withResolvers<AbortSignal>();
  await using server = await start((_request, { signal }) => {
    seen.resolve(signal);
    return late.promise;
  });
  const client = await connect("h2", server);
  const asked = client.ask().catch(() => {});
  const signal = await seen.promise;
  await client[Symbol.asyncDispose]();
  await asked;
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
  const body = new Readable({ read() {} });
  const closed = new Promise((resolve) => body.once("close", resolve));

  late.resolve(new FastResponse(body));

  await closed;
});

test("a failure that has no text is still a warning, where there is no onEvent", async () => {
  const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
  await using server = await start(() => Promise.reject(Object.create(null)), { onEvent: undefined as never });

  expect((await ask("http/1.1", server)).status).toBe(500);
  expect((await warned).message).toContain("The handler of GET / failed");
});
