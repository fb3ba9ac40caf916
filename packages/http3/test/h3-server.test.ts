// HTTP/3 over real sockets: our listener, our client.
import { createHash, randomBytes } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Dispatch, Exchange } from "../src/lib/exchange.ts";
import type { Http3ClientStream } from "../src/lib/h3-client.ts";
import { Http3StreamError } from "../src/lib/h3-client.ts";
import { H3_MESSAGE_ERROR, H3_REQUEST_CANCELLED, H3_REQUEST_REJECTED } from "../src/lib/h3-codes.ts";
import { processBudgets } from "../src/lib/h3-limits.ts";
import { type Http3Listener, listenHttp3 } from "../src/lib/h3-server.ts";
import { startHttp3 } from "./h3-pair.ts";

const hello: Dispatch = (exchange) => exchange.respond(200, ["content-type", "text/plain"], "hello");

const echo: Dispatch = (exchange) => {
  const answer = async (): Promise<void> => {
    exchange.head(200, []);
    for await (const chunk of exchange.body()) await exchange.write(chunk);
    exchange.end();
  };
  answer().catch(() => {}); // an aborted body; the client sees it
};

/** Keeps every exchange for the test to answer. */
function collect(): { readonly dispatch: Dispatch; next(): Promise<Exchange> } {
  const waiting: Exchange[] = [];
  const takers: ((exchange: Exchange) => void)[] = [];
  return {
    dispatch(exchange) {
      const taker = takers.shift();
      if (taker === undefined) waiting.push(exchange);
      else taker(exchange);
    },
    next() {
      const exchange = waiting.shift();
      return exchange === undefined ? new Promise((resolve) => takers.push(resolve)) : Promise.resolve(exchange);
    },
  };
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function readAll(exchange: Exchange): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of exchange.body()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The code with which the server reset a stream. */
async function resetCode(stream: Http3ClientStream): Promise<number> {
  const error = await stream.response.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Http3StreamError);
  return (error as Http3StreamError).wireCode;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

test("a request is answered with status, fields and body", async () => {
  await using pair = await startHttp3(hello);
  const response = await pair.client.request({ path: "/" });
  expect(response.status).toBe(200);
  expect(response.headers).toEqual(expect.arrayContaining(["content-type", "text/plain", "date"]));
  expect(await response.text()).toBe("hello");
});

test("an exchange knows its request", async () => {
  const { dispatch, next } = collect();
  await using pair = await startHttp3(dispatch);
  const pending = pair.client.request({
    method: "PUT",
    path: "/a?b=c",
    headers: ["x-a", "1", "x-a", "2"],
    body: Buffer.from("z"),
  });
  const exchange = await next();
  expect(exchange).toMatchObject({ protocol: "h3", method: "PUT", scheme: "https", target: "/a?b=c", hasBody: true });
  expect(exchange.authority).toBe(`localhost:${pair.listener.port}`);
  expect(exchange.headers).toEqual(["x-a", "1", "x-a", "2"]);
  expect(exchange.remoteAddress).toBe("127.0.0.1");
  expect(exchange.remotePort).toBeGreaterThan(0);
  expect((await readAll(exchange)).toString()).toBe("z");
  exchange.respond(204, []);
  expect((await pending).status).toBe(204);
});

test.for([0, 1, 1024 * 1024, 20 * 1024 * 1024])("%i bytes go up and come back unchanged", async (size) => {
  await using pair = await startHttp3(echo);
  const body = randomBytes(size);
  const response = await pair.client.request({ method: "POST", path: "/", body });
  expect(sha256(await response.bytes())).toBe(sha256(body));
});

test("a body in one piece arrives whole, however large", async () => {
  const body = randomBytes(5 * 1024 * 1024);
  await using pair = await startHttp3((exchange) => exchange.respond(200, [], body));
  const response = await pair.client.request({ path: "/" });
  expect(sha256(await response.bytes())).toBe(sha256(body));
});

test("many requests on one connection run side by side", async () => {
  await using pair = await startHttp3((exchange) => exchange.respond(200, [], exchange.target));
  const paths = Array.from({ length: 300 }, (_, i) => `/${i}`);
  const texts = await Promise.all(paths.map(async (path) => (await pair.client.request({ path })).text()));
  expect(texts).toEqual(paths);
});

test("an upload nobody reads yet goes to disk, and comes back in order", async () => {
  const { dispatch, next } = collect();
  await using pair = await startHttp3(dispatch);
  const body = randomBytes(20 * 1024 * 1024);
  const pending = pair.client.request({ method: "POST", path: "/", body });
  const exchange = await next();
  await until(() => processBudgets.disk.used > 15 * 1024 * 1024);
  expect(processBudgets.memory.used).toBeLessThanOrEqual(1024 * 1024);
  expect(sha256(await readAll(exchange))).toBe(sha256(body));
  exchange.respond(200, [], "done");
  expect(await (await pending).text()).toBe("done");
  expect(processBudgets).toMatchObject({ memory: { used: 0 }, disk: { used: 0 } });
});

test("a body over maxBodySize is answered with 413, and the handler is told once", async () => {
  const { dispatch, next } = collect();
  await using pair = await startHttp3(dispatch, { maxBodySize: 100_000 });
  const pending = pair.client.request({ method: "POST", path: "/", body: randomBytes(300_000) });
  const exchange = await next();
  const causes: Error[] = [];
  exchange.onAbort((cause) => causes.push(cause));
  await expect(readAll(exchange)).rejects.toThrow("Content Too Large");
  const response = await pending;
  expect(response.status).toBe(413);
  expect(JSON.parse(await response.text())).toEqual({ type: "about:blank", title: "Content Too Large", status: 413 });
  exchange.respond(200, [], "too late");
  expect(causes).toHaveLength(1);
});

test("leaving the loop over a body drops the rest of it", async () => {
  const { dispatch, next } = collect();
  await using pair = await startHttp3(dispatch);
  const pending = pair.client.request({ method: "POST", path: "/", body: randomBytes(3 * 1024 * 1024) });
  const exchange = await next();
  for await (const chunk of exchange.body()) {
    expect(chunk.length).toBeGreaterThan(0);
    break;
  }
  exchange.respond(200, [], "enough");
  expect(await (await pending).text()).toBe("enough");
  expect(processBudgets).toMatchObject({ memory: { used: 0 }, disk: { used: 0 } });
});

test("a body cannot be read twice", async () => {
  const { dispatch, next } = collect();
  await using pair = await startHttp3(dispatch);
  const pending = pair.client.request({ method: "POST", path: "/", body: Buffer.from("x") });
  const exchange = await next();
  await readAll(exchange);
  expect(() => exchange.body()).toThrow(TypeError);
  exchange.respond(204, []);
  await pending;
});

test("a client that resets an upload aborts the exchange once, and its reader", async () => {
  const { dispatch, next } = collect();
  await using pair = await startHttp3(dispatch);
  await pair.client.ready();
  const stream = await pair.client.open([...pair.head("/").with(1, "POST")], false);
  await stream.write(Buffer.from("begin"));
  const exchange = await next();
  const causes: Error[] = [];
  exchange.onAbort((cause) => causes.push(cause));
  const reading = readAll(exchange);
  stream.reset();
  await expect(reading).rejects.toThrow("The client gave the request up");
  expect(causes).toEqual([expect.objectContaining({ code: "ECONNRESET" })]);
  exchange.respond(200, [], "nobody reads this");
  expect(pair.listener.active).toBe(0);
});

test("a client that leaves aborts what it waited for", async () => {
  const { dispatch, next } = collect();
  await using pair = await startHttp3(dispatch);
  const pending = pair.client.request({ path: "/" }).catch((error: unknown) => error);
  const exchange = await next();
  const aborted = new Promise<Error>((resolve) => exchange.onAbort(resolve));
  await pair.client.close();
  expect((await aborted).message).toContain("The connection was lost");
  expect(await pending).toBeInstanceOf(Http3StreamError);
});

test("a client that stops reading a download is noticed", async () => {
  const { dispatch, next } = collect();
  await using pair = await startHttp3(dispatch);
  await pair.client.ready();
  const stream = await pair.client.open(pair.head("/"), true);
  const exchange = await next();
  let aborted: Error | undefined;
  exchange.onAbort((cause) => {
    aborted = cause;
  });
  exchange.head(200, []);
  await exchange.write(randomBytes(1000));
  await stream.response;
  stream.reset();
  while (aborted === undefined) {
    await exchange.write(randomBytes(1000));
    await turn();
  }
  expect(aborted).toMatchObject({ code: "ECONNRESET" });
});

test("HEAD, 204 and 304 carry no body", async () => {
  await using pair = await startHttp3((exchange) => {
    const status = exchange.target === "/" ? 200 : Number(exchange.target.slice(1));
    exchange.respond(status, ["content-length", "5"], "hello");
  });
  const head = await pair.client.request({ method: "HEAD", path: "/" });
  expect(head.headers).toEqual(expect.arrayContaining(["content-length", "5"]));
  expect(await head.text()).toBe("");
  const empty = await pair.client.request({ path: "/204" });
  expect(empty.headers).not.toContain("content-length");
  expect(await empty.text()).toBe("");
  expect(await (await pair.client.request({ path: "/304" })).text()).toBe("");
});

test("cookies that a client split are one field", async () => {
  await using pair = await startHttp3((exchange) => exchange.respond(200, [], JSON.stringify(exchange.headers)));
  const headers = ["cookie", "a=1", "x-other", "x", "cookie", "b=2"];
  const response = await pair.client.request({ path: "/", headers });
  expect(JSON.parse(await response.text())).toEqual(["x-other", "x", "cookie", "a=1; b=2"]);
});

test("fields with one name arrive one by one", async () => {
  await using pair = await startHttp3((exchange) => exchange.respond(200, ["set-cookie", "a=1", "set-cookie", "b=2"]));
  const { headers } = await pair.client.request({ path: "/" });
  expect(headers.filter((_, i) => headers[i - 1] === "set-cookie")).toEqual(["a=1", "b=2"]);
});

test.for<[string, (head: string[]) => string[]]>([
  ["a pseudo-header twice", (head) => [":path", "/", ...head]],
  ["an unknown pseudo-header", (head) => [...head, ":protocol", "websocket"]],
  ["a pseudo-header of answers", (head) => [...head, ":status", "200"]],
  ["a missing :method", (head) => head.slice(2)],
  ["an empty :path", (head) => head.with(7, "")],
  ["a pseudo-header after a field", (head) => ["x-a", "1", ...head]],
  ["an empty name", (head) => [...head, "", "1"]],
  ["a name with a blank", (head) => [...head, "a b", "1"]],
  ["a line break in a value", (head) => [...head, "x-a", "1\r\nx-b: 2"]],
  ["a NUL in a value", (head) => [...head, "x-a", "1\u00002"]],
  ["connection", (head) => [...head, "connection", "close"]],
  ["transfer-encoding", (head) => [...head, "transfer-encoding", "chunked"]],
  ["host that differs from :authority", (head) => [...head, "host", "example.com"]],
  ["a method with a blank", (head) => head.with(1, "GET /")],
  ["a body that content-length promises and FIN denies", (head) => [...head, "content-length", "5"]],
])("a malformed request is reset: %s", async ([, bend]) => {
  await using pair = await startHttp3(hello);
  await pair.client.ready();
  const stream = await pair.client.open(bend(pair.head("/")), true);
  expect(await resetCode(stream)).toBe(H3_MESSAGE_ERROR);
  expect((await pair.client.request({ path: "/" })).status).toBe(200);
});

test.for([
  ["longer", "abcdef"],
  ["shorter", "abcd"],
])("a body %s than its content-length resets the stream", async ([, body]) => {
  await using pair = await startHttp3(echo);
  const sent = pair.client.request({
    method: "POST",
    path: "/",
    headers: ["content-length", "5"],
    body: Buffer.from(body ?? ""),
  });
  const error = await sent.then((response) => response.bytes()).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ wireCode: H3_MESSAGE_ERROR });
});

test("headers over the limits are answered with 431", async () => {
  await using pair = await startHttp3(hello);
  const wide = await pair.client.request({ path: "/", headers: ["x-a", "a".repeat(70_000)] });
  expect(wide.status).toBe(431);
  const many = await pair.client.request({ path: "/", headers: Array.from({ length: 201 }, () => ["x", "1"]).flat() });
  expect(many.status).toBe(431);
});

test("CONNECT is answered with 501", async () => {
  await using pair = await startHttp3(hello);
  await pair.client.ready();
  const stream = await pair.client.open([":method", "CONNECT", ":authority", "example.com:443"], true);
  expect((await stream.response).status).toBe(501);
});

test("a malformed answer throws where it is made, and nothing is sent", async () => {
  const { dispatch, next } = collect();
  await using pair = await startHttp3(dispatch);
  const pending = pair.client.request({ path: "/" });
  const exchange = await next();
  expect(() => exchange.respond(200, ["x-a", "1\r\nx-b: 2"])).toThrow(TypeError);
  expect(() => exchange.respond(103, [])).toThrow(TypeError);
  exchange.respond(200, ["connection", "close"], "fine");
  const response = await pending;
  expect(response.headers).not.toContain("connection");
  expect(await response.text()).toBe("fine");
});

test("an answer that breaks its content-length is never complete", async () => {
  const { dispatch, next } = collect();
  await using pair = await startHttp3(dispatch);
  const pending = pair.client.request({ path: "/" }).then((response) => response.bytes());
  const exchange = await next();
  exchange.head(200, ["content-length", "10"]);
  await exchange.write(Buffer.from("short"));
  expect(() => exchange.end()).toThrow(RangeError);
  await expect(pending).rejects.toBeInstanceOf(Http3StreamError);
});

test("reset() fails the answer at the client", async () => {
  const { dispatch, next } = collect();
  await using pair = await startHttp3(dispatch);
  const pending = pair.client.request({ path: "/" });
  (await next()).reset(new Error("no luck"));
  await expect(pending).rejects.toMatchObject({ wireCode: 0x102 });
});

test("draining finishes what runs, rejects what comes, and then says good-bye", async () => {
  const { dispatch, next } = collect();
  await using pair = await startHttp3(dispatch);
  const idle = pair.connect();
  await idle.ready();
  const running = pair.client.request({ method: "POST", path: "/", body: randomBytes(100_000) });
  const exchange = await next();
  pair.listener.drain();
  const late = await pair.client.open(pair.head("/late"), true);
  expect(await resetCode(late)).toBe(H3_REQUEST_REJECTED);
  const body = await readAll(exchange);
  exchange.respond(200, [], body);
  expect((await (await running).bytes()).length).toBe(100_000);
  expect((await pair.client.closed()).code).toBe(0x100);
  expect(pair.client.goingAway).toBe(true);
  expect((await idle.closed()).code).toBe(0x100);
  expect(pair.listener.active).toBe(0);
});

test("close() cuts what still runs, and delivers what is finished", async () => {
  const { dispatch, next } = collect();
  await using pair = await startHttp3(dispatch);
  const finished = pair.client.request({ path: "/finished" });
  const large = randomBytes(3_000_000);
  (await next()).respond(200, [], large);
  const running = pair.client.request({ path: "/running" }).catch((error: unknown) => error);
  const exchange = await next();
  const aborted = new Promise<Error>((resolve) => exchange.onAbort(resolve));
  const [response] = await Promise.all([finished, pair.listener.close()]);
  expect(sha256(await response.bytes())).toBe(sha256(large));
  expect((await aborted).message).toBe("The server closes");
  expect(await running).toMatchObject({ wireCode: H3_REQUEST_CANCELLED });
});

test("the port can be taken again at once", async () => {
  const first = await startHttp3(hello);
  const { port } = first.listener;
  await first[Symbol.asyncDispose]();
  await using second = await startHttp3(hello, { port });
  expect(await (await second.client.request({ path: "/" })).text()).toBe("hello");
});

test.for(["0.0.0.0", "::", "127.0.0.1", "::1", "localhost"])("the self-test reaches a listener on %s", async (host) => {
  await using pair = await startHttp3(() => {}, { host });
  expect(await pair.listener.selfTest()).toBe(true);
});

test("the self-test tells when another server takes packets of the port", async () => {
  await using ours = await startHttp3(hello);
  await using other = await startHttp3(hello, { port: ours.listener.port });
  expect(other.listener.port).toBe(ours.listener.port);
  // The system spreads clients over both; each test is a new client.
  let reached = true;
  while (reached) reached = await ours.listener.selfTest();
  expect(reached).toBe(false);
});

test("the self-test fails after close()", async () => {
  const pair = await startHttp3(hello);
  await pair[Symbol.asyncDispose]();
  expect(await pair.listener.selfTest()).toBe(false);
});

test("a host that is neither all addresses nor loopback is refused", async () => {
  const listening: Promise<Http3Listener> = listenHttp3({ port: 0, host: "192.0.2.1", key: "", cert: "" }, hello);
  await expect(listening).rejects.toThrow(
    "Cannot listen for HTTP/3 on 192.0.2.1: UDP can only be bound to all addresses",
  );
});

test("a key that is none, and a limit that is no number, are refused", async () => {
  await expect(startHttp3(hello, { key: "no key" })).rejects.toThrow(TypeError);
  await expect(startHttp3(hello, { maxBodySize: -1 })).rejects.toThrow(RangeError);
});
