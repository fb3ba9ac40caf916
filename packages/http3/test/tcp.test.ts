// What is particular to HTTP/1.1 and HTTP/2: bytes that are no request, clients that give up, limits of time.
import { once } from "node:events";
import { constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { text } from "node:stream/consumers";
import { setImmediate as turn } from "node:timers/promises";
import { TestClock } from "@proj/concurrency/testing";
import { createCertificates, requireTool, runTool, testWithTools } from "@tooling/testing";
import { expect, test } from "vitest";
import { FastResponse, type Server, type ServerEvent, serve } from "../src/index.ts";
import { ask, openHttp2, start } from "./exchange-client.ts";

/** Sends bytes as they are and gives all that comes back. */
async function sendRaw(server: Server, bytes: string): Promise<string> {
  const socket = connectTcp(server.port, "127.0.0.1");
  socket.write(bytes, "latin1");
  return text(socket);
}

function startPlain(handler: Parameters<typeof serve>[0], options: Parameters<typeof serve>[1] = {}): Promise<Server> {
  return serve(handler, { port: 0, host: "127.0.0.1", tls: false, onEvent: () => {}, ...options });
}

const close = "connection: close\r\n\r\n";

test.each([
  ["no HTTP at all", "hello\r\n\r\n", 400],
  ["a bad header name", `GET / HTTP/1.1\r\nhost: a\r\nbad name: x\r\n${close}`, 400],
  ["two different lengths", `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n${close}ab`, 400],
  [
    "length and chunks at once",
    `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n${close}`,
    400,
  ],
  ["header fields that are too large", `GET / HTTP/1.1\r\nhost: a\r\nx: ${"x".repeat(70_000)}\r\n${close}`, 431],
  ["no host", `GET / HTTP/1.1\r\n${close}`, 400],
  ["two hosts", `GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n${close}`, 400],
  ["a host that is none", `GET / HTTP/1.1\r\nhost: a/b@c\r\n${close}`, 400],
  ["a target that would run into the host", `GET *.evil.org/ HTTP/1.1\r\nhost: a\r\n${close}`, 400],
  ["a target of another scheme", `GET ftp://evil.org/ HTTP/1.1\r\nhost: a\r\n${close}`, 400],
  ["* with another method than OPTIONS", `GET * HTTP/1.1\r\nhost: a\r\n${close}`, 400],
  ["a fragment", `GET /a#b HTTP/1.1\r\nhost: a\r\n${close}`, 400],
  ["a whole URL without a host field", `GET http://a/ HTTP/1.1\r\n${close}`, 400],
  ["a whole URL with two host fields", `GET http://a/ HTTP/1.1\r\nhost: a\r\nhost: b\r\n${close}`, 400],
  ["a method that a Request cannot have", `TRACE / HTTP/1.1\r\nhost: a\r\n${close}`, 501],
])("%s is answered with a problem document", async (_name, bytes, status) => {
  await using server = await startPlain(() => new FastResponse("reached"));

  const answer = await sendRaw(server, bytes);

  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(answer.toLowerCase()).toContain("content-type: application/problem+json");
  expect(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")))).toMatchObject({ status });
});

test.each([
  ["GET http://example.org:81/a?b HTTP/1.1\r\nhost: other\r\n", "http://example.org:81/a?b"],
  ["OPTIONS * HTTP/1.1\r\nhost: example.org\r\n", "http://example.org/*"],
  ["GET /a/../b HTTP/1.1\r\nhost: example.org:80\r\n", "http://example.org/b"],
  ["GET //evil.org/x HTTP/1.1\r\nhost: example.org\r\n", "http://example.org//evil.org/x"],
])("the URL of %j is absolute", async (head, url) => {
  await using server = await startPlain((request) => new FastResponse(request.url));

  expect(await sendRaw(server, head + close)).toMatch(new RegExp(`\r\n\r\n${url.replace(/[.*+?/]/g, "\\$&")}$`));
});

test.each([
  ["a scheme that is not HTTP", { ":scheme": "javascript" }, 400],
  ["a path that would run into the host", { ":scheme": "ftp", ":path": "@evil.org/" }, 400],
  ["a host that is not the authority", { ":authority": "a", host: "evil.org" }, 400],
  ["TRACE", { ":method": "TRACE" }, 501],
])("%s is refused over HTTP/2, and no handler sees it", async (_name, headers, status) => {
  let calls = 0;
  await using server = await start(() => {
    calls++;
    return new FastResponse("reached");
  });
  const session = await openHttp2(server.port, (await createCertificates()).ca);

  const [answer] = await once(session.request(headers), "response");
  session.destroy();

  expect(answer[":status"]).toBe(status);
  expect(calls).toBe(0);
});

test("HTTP/1.0 without a host is served, and its connection ends", async () => {
  await using server = await startPlain(() => new FastResponse("old"));

  expect(await sendRaw(server, "GET / HTTP/1.0\r\n\r\n")).toMatch(
    /^HTTP\/1.1 200 [\s\S]*connection: close[\s\S]*\r\n\r\nold$/i,
  );
});

test("pipelined requests are answered in order", async () => {
  await using server = await startPlain(async (request) => {
    if (request.url.endsWith("/slow")) for (let i = 0; i < 10; i++) await turn();
    return new FastResponse(new URL(request.url).pathname);
  });

  const answers = await sendRaw(
    server,
    `GET /slow HTTP/1.1\r\nhost: a\r\n\r\nGET /fast HTTP/1.1\r\nhost: a\r\n${close}`,
  );

  expect(answers.match(/\/(?:slow|fast)/g)).toEqual(["/slow", "/fast"]);
});

test("100-continue is sent when the handler reads the body, and not before", async () => {
  const begun = Promise.withResolvers<void>();
  const read = Promise.withResolvers<void>();
  await using server = await startPlain(async (request) => {
    begun.resolve();
    await read.promise;
    return new FastResponse(await request.text());
  });
  const socket = connectTcp(server.port, "127.0.0.1");
  socket.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n");
  await begun.promise;
  expect(socket.bytesRead).toBe(0);

  read.resolve();
  const [first] = (await once(socket, "data")) as [Buffer];
  expect(first.toString()).toBe("HTTP/1.1 100 Continue\r\n\r\n");
  socket.write("hello");
  expect(await text(socket)).toMatch(/^HTTP\/1.1 200 [\s\S]*hello$/);
});

test("an answer without 100-continue ends the connection: the body may or may not follow", async () => {
  await using server = await startPlain(() => new FastResponse("no", { status: 403 }));

  const answer = await sendRaw(
    server,
    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n",
  );

  expect(answer).toMatch(/^HTTP\/1.1 403 [\s\S]*connection: close/i);
});

test.each([
  ["that never begins its TLS handshake", ""],
  ["that begins its TLS handshake with something else", "GET / HTTP/1.1\r\n\r\n"],
])("a client %s is disconnected, and told of once", async (_name, bytes) => {
  const failed: ServerEvent[] = [];
  const onEvent = (event: ServerEvent): void => void (event.kind === "connection-failed" && failed.push(event));
  await using server = await start(() => new FastResponse("ok"), { limits: { requestTimeout: 50 }, onEvent });
  const socket = connectTcp(server.port, "127.0.0.1");
  socket.write(bytes);

  await once(socket.resume(), "close");

  expect(failed).toMatchObject([{ remoteAddress: "127.0.0.1" }]);
});

test("times that never end are no limit", async () => {
  const forever = Number.POSITIVE_INFINITY;
  const limits = { requestTimeout: forever, bodyTimeout: forever, keepAliveTimeout: forever };
  await using server = await start(async (request) => new FastResponse(await request.bytes()), { limits });

  for (const protocol of ["http/1.1", "h2"] as const) {
    const answer = await ask(protocol, server, { method: "POST", body: Buffer.from("all of it") });
    expect(answer.body.toString()).toBe("all of it");
  }
});

test("a client that sends its head too slowly is answered 408", async () => {
  await using server = await startPlain(() => new FastResponse("ok"), { limits: { requestTimeout: 100 } });
  const socket = connectTcp(server.port, "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\nhost: a\r\n");

  expect(await text(socket)).toMatch(/^HTTP\/1.1 408 /);
});

test("a body that stands still ends the handler's read with 408", async () => {
  const clock = new TestClock();
  const begun = Promise.withResolvers<void>();
  await using server = await startPlain(
    async (request) => {
      const body = request.text();
      begun.resolve();
      return new FastResponse(await body);
    },
    { clock, limits: { bodyTimeout: 5_000 } },
  );
  const socket = connectTcp(server.port, "127.0.0.1");
  socket.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhe");
  await begun.promise;
  await until(() => socket.bytesWritten > 0);
  const answer = text(socket);
  const end = answer.then(() => "ended");

  // The two bytes may come after the first wait began: time goes on until nothing is left to wait for.
  while ((await Promise.race([end, turn("waiting")])) === "waiting") await clock.advance(1_000);

  expect(await answer).toMatch(/^HTTP\/1.1 408 /);
});

test("a client that closes its connection aborts the request's signal", async () => {
  const begun = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<unknown>();
  const events: ServerEvent[] = [];
  await using server = await startPlain(
    (request, { context }) => {
      request.signal.addEventListener("abort", () => aborted.resolve(context.cause));
      begun.resolve();
      return new Promise<never>(() => {});
    },
    { onEvent: (event) => void events.push(event) },
  );
  const socket = connectTcp(server.port, "127.0.0.1");
  socket.write("GET /x HTTP/1.1\r\nhost: a\r\n\r\n");
  await begun.promise;

  socket.destroy();

  expect(await aborted.promise).toBeInstanceOf(Error);
  expect(events).toMatchObject([{ kind: "request-finished", target: "/x", status: 0, aborted: true }]);
});

test("an HTTP/2 client that goes aborts the request, the read of its body and the source of the answer", async () => {
  const { ca } = await createCertificates();
  const stopped = Promise.withResolvers<void>();
  const read = Promise.withResolvers<unknown>();
  const aborted = Promise.withResolvers<void>();
  await using server = await start((request) => {
    request.text().catch(read.resolve);
    request.signal.addEventListener("abort", () => aborted.resolve());
    return new Response(new ReadableStream({ cancel: () => stopped.resolve() }));
  });
  const session = await openHttp2(server.port, ca);
  const stream = session.request({ ":path": "/", ":method": "POST", ":authority": "localhost" });
  stream.on("error", () => {});
  stream.write("some of it");
  await once(stream, "response");

  session.destroy();

  await Promise.all([stopped.promise, aborted.promise]);
  expect(await read.promise).toBeInstanceOf(Error);
});

test("an endless answer waits for a client that does not read", async () => {
  let produced = 0;
  await using server = await startPlain(() => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        produced += 65_536;
        yield Buffer.alloc(65_536);
        await turn();
      }
    }
    return new FastResponse(endless());
  });
  const socket = connectTcp(server.port, "127.0.0.1").pause();
  socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");

  await untilStill(() => produced);

  expect(produced).toBeLessThan(64 * 1024 * 1024);
  socket.destroy();
});

test("an upload waits for a handler that does not read", async () => {
  const goOn = Promise.withResolvers<void>();
  await using server = await startPlain(async (request) => {
    const reader = (request.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await goOn.promise;
    return new FastResponse("enough");
  });
  const socket = connectTcp(server.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${64 * 1024 * 1024}\r\n\r\n`);
  const chunk = Buffer.alloc(65_536);
  const pour = (): void => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on("drain", pour);
  pour();

  await untilStill(() => socket.bytesWritten - socket.writableLength);

  expect(socket.bytesWritten - socket.writableLength).toBeLessThan(48 * 1024 * 1024);
  const answer = once(socket, "data");
  goOn.resolve();
  expect(String((await answer)[0])).toMatch(/^HTTP\/1.1 200 /);
  socket.destroy();
});

test("resetting many streams at once ends an HTTP/2 connection and nothing else", async () => {
  const { ca } = await createCertificates();
  const faults: ServerEvent[] = [];
  await using server = await start((request) => new FastResponse(request.method), {
    onEvent: (event) => event.kind === "connection-failed" && faults.push(event),
  });
  const session = await openHttp2(server.port, ca);
  session.on("error", () => {});
  for (let sent = 0; sent < 20_000 && faults.length === 0; sent++) {
    const stream = session.request({ ":path": "/", ":authority": "localhost" });
    stream.on("error", () => {});
    stream.close(constants.NGHTTP2_CANCEL);
    if (sent % 50 === 0) await turn();
  }

  expect(faults.length).toBeGreaterThan(0);
  expect((await ask("h2", server)).status).toBe(200);
  session.destroy();
});

testWithTools("curl")("curl gets the same answer over HTTP/1.1 and HTTP/2", async () => {
  const { caFile } = await createCertificates();
  await using server = await start(async (request) => new FastResponse(`${request.method} ${await request.text()}`));
  const curl = async (...args: string[]): Promise<string> => {
    const url = `https://localhost:${server.port}/`;
    const resolve = `localhost:${server.port}:127.0.0.1`;
    const all = [
      "--silent",
      "--show-error",
      "--cacert",
      caFile,
      "--resolve",
      resolve,
      "-w",
      " %{http_version}",
      ...args,
    ];
    const { stdout, stderr } = await runTool(requireTool("curl"), [...all, url]);
    return stdout + stderr;
  };

  expect(await curl("--http1.1")).toBe("GET  1.1");
  expect(await curl("--http2")).toBe("GET  2");
  expect(await curl("--http1.1", "--data", "hello")).toBe("POST hello 1.1");
  expect(await curl("--http2", "--data", "hello")).toBe("POST hello 2");
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

/** Waits until a number has stopped to grow for a while of event loop turns. */
async function untilStill(value: () => number): Promise<void> {
  for (let still = 0, last = -1; still < 2_000; still++) {
    await turn();
    if (value() !== last || last <= 0) still = 0;
    last = value();
  }
}
