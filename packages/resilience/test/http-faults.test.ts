// Faults of HTTP answers, between a real server and a raw client, and around a fetch handler.
import { once } from "node:events";
import { createServer, type RequestListener, type ServerResponse } from "node:http";
import {
  connect as connectHttp2,
  constants,
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import { TestClock } from "@proj/concurrency/testing";
import { type HttpFault, type HttpFaults, httpFaults } from "@proj/resilience/chaos";
import { expect, test } from "vitest";
import { TestClient, turns, until } from "./support/chaos-servers.ts";

const body = "0123456789".repeat(10);
const plain: RequestListener = (_, response) => response.end(body);

/** A server with these faults, and a client that has sent one request and wants no second. */
async function ask(faults: HttpFaults, listener = plain, path = "/") {
  const server = createServer(faults.listener(listener)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = new TestClient((server.address() as { port: number }).port);
  client.socket.write(`GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
  return {
    client,
    get head() {
      return client.text.slice(0, Math.max(0, client.text.indexOf("\r\n\r\n")));
    },
    get body() {
      const end = client.text.indexOf("\r\n\r\n");
      return end < 0 ? "" : client.text.slice(end + 4);
    },
    async [Symbol.asyncDispose]() {
      client.socket.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

const withLength: RequestListener = (_, response) => {
  response.writeHead(200, { "content-length": body.length });
  response.write(body.slice(0, 30));
  response.end(body.slice(30));
};

test("headers come late", async () => {
  const clock = new TestClock();
  await using exchange = await ask(httpFaults([{ kind: "slow-headers", delay: 500 }], { clock }));
  await until(() => clock.timers === 1);
  await clock.advance(499);
  await turns(5);
  expect(exchange.client.text).toBe("");
  await clock.advance(1);
  await until(() => exchange.client.ended);
  expect(exchange.body).toBe(body);
});

test("a body comes piece by piece, and the listener is told to wait", async () => {
  const clock = new TestClock();
  const faults = httpFaults([{ kind: "slow-body", bytes: 40, interval: 100 }], { clock });
  await using exchange = await ask(faults, withLength);
  await until(() => exchange.body.length === 30); // the first piece that was written is shorter
  await clock.advance(100);
  await until(() => exchange.body.length === 70);
  await clock.advance(99);
  await turns(5);
  expect(exchange.body.length).toBe(70);
  await clock.advance(101);
  await until(() => exchange.client.ended);
  expect(exchange.body).toBe(body);

  faults.set([{ kind: "slow-body", bytes: 5_000, interval: 100 }]);
  const chunk = Buffer.alloc(30_000);
  const results: boolean[] = [];
  let drained = false;
  await using other = await ask(faults, (_, response) => {
    for (let i = 0; i < 4; i++) results.push(response.write(chunk));
    response.once("drain", () => {
      drained = true;
    });
  });
  await until(() => results.length === 4);
  expect(results).toEqual([true, true, false, false]);
  faults.clear(); // answers under way keep their fault
  while (!drained) {
    await clock.advance(100);
    await turns(1);
  }
  expect(other.client.ended).toBe(false);
});

test("another status is answered, without the listener having been asked", async () => {
  let asked = 0;
  const faults = httpFaults([
    { kind: "status", status: 503, headers: { "retry-after": "7" }, body: "later", path: "/down" },
  ]);
  const listener: RequestListener = (request, response) => {
    asked++;
    plain(request, response);
  };
  await using exchange = await ask(faults, listener, "/down?now");
  await until(() => exchange.client.ended);
  expect(exchange.head).toMatch(/^HTTP\/1.1 503 Service Unavailable\r\nretry-after: 7/);
  expect([exchange.body, asked]).toEqual(["later", 0]);
  await using fine = await ask(faults, listener, "/up");
  await until(() => fine.client.ended);
  expect([fine.body, asked]).toEqual([body, 1]);
});

test("a body is truncated: with a content-length the connection just ends", async () => {
  await using exchange = await ask(httpFaults([{ kind: "truncate", bytes: 45 }]), withLength);
  await until(() => exchange.client.ended);
  expect(exchange.head).toContain("content-length: 100");
  expect(exchange.body).toBe(body.slice(0, 45));
  await using chunked = await ask(httpFaults([{ kind: "truncate", bytes: 5 }]));
  await until(() => chunked.client.ended);
  expect(chunked.body).toBe("5\r\n01234\r\n0\r\n\r\n"); // nobody can tell
});

test.each([-10, 10])("a content-length is wrong by %d, however the listener sets it", async (by) => {
  const faults = httpFaults([{ kind: "wrong-length", by }]);
  const listeners: RequestListener[] = [
    withLength,
    plain,
    (_, response) => response.writeHead(200, "OK", ["content-length", "100"]).end(body),
    (_, response) => {
      response.setHeader("content-length", 100);
      response.write(body);
      response.end();
    },
  ];
  for (const listener of listeners) {
    await using exchange = await ask(faults, listener);
    await until(() => exchange.client.ended);
    expect(exchange.head.toLowerCase()).toContain(`content-length: ${100 + by}`);
    expect(exchange.body).toBe(body);
  }
});

test("a connection is reset in the midst of a body, after exactly so many bytes", async () => {
  await using exchange = await ask(httpFaults([{ kind: "reset", bytes: 64 }]), withLength);
  await exchange.client.closed;
  expect(exchange.client.error?.code).toBe("ECONNRESET");
  expect(exchange.body.length).toBeLessThanOrEqual(64); // a reset may overtake what the client has not read
});

test("a listener whose answer is cut off is told so, and what else it says is lost", async () => {
  for (const [kind, source] of [
    ["truncate", "xxxx"],
    ["reset", "xxxx"],
    ["truncate", "x".repeat(200_000)],
  ] as const) {
    const told: string[] = [];
    const faults = httpFaults([{ kind, bytes: 3 }]);
    const answer = async (response: ServerResponse): Promise<void> => {
      response.on("close", () => told.push("closed"));
      if (!response.write(source)) await once(response, "drain");
      await until(() => told.length === 1);
      response.write("more");
      response.end("the end", () => told.push("ended"));
    };
    await using _exchange = await ask(faults, (_, response) => void answer(response));
    await until(() => told.length === 2);
    expect(told).toEqual(["closed", "ended"]);
  }
});

test("over HTTP/2 a fault spoils one answer, and the others of its connection are fine", async () => {
  const faults = httpFaults();
  const server = createHttp2Server(
    faults.listener((_: Http2ServerRequest, response: Http2ServerResponse) => {
      response.writeHead(200, { "content-length": body.length });
      response.write(body.slice(0, 30));
      response.end(body.slice(30));
    }),
  ).listen(0, "127.0.0.1");
  await once(server, "listening");
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as { port: number }).port}`);
  const get = async (path: string): Promise<[body: string, code: number | undefined]> => {
    const stream = session.request({ ":path": path });
    let text = "";
    stream.on("data", (data: Buffer) => {
      text += data.toString();
    });
    stream.on("error", () => {});
    await new Promise((resolve) => stream.once("close", resolve));
    return [text, stream.rstCode];
  };
  const cases: [HttpFault, string, number][] = [
    [{ kind: "truncate", bytes: 45, path: "/bad" }, body.slice(0, 45), constants.NGHTTP2_PROTOCOL_ERROR],
    [{ kind: "reset", bytes: 45, path: "/bad" }, body.slice(0, 45), constants.NGHTTP2_INTERNAL_ERROR],
    [{ kind: "wrong-length", by: 1, path: "/bad" }, body, constants.NGHTTP2_PROTOCOL_ERROR],
    [{ kind: "slow-body", bytes: 30, interval: 1, path: "/bad" }, body, constants.NGHTTP2_NO_ERROR],
    [{ kind: "status", status: 503, body: "later", path: "/bad" }, "later", constants.NGHTTP2_NO_ERROR],
  ];
  for (const [fault, text, code] of cases) {
    faults.set([fault]);
    const [bad, fine] = await Promise.all([get("/bad"), get("/fine")]);
    expect([fault.kind, ...bad]).toEqual([fault.kind, text, code]);
    expect(fine).toEqual([body, constants.NGHTTP2_NO_ERROR]);
  }
  session.close();
  server.close();
});

test("headers that come several times still do when the length is wrong", async () => {
  await using exchange = await ask(httpFaults([{ kind: "wrong-length", by: 1 }]), (_, response) => {
    response.setHeader("set-cookie", "old=1");
    response.writeHead(200, ["set-cookie", "a=1", "Set-Cookie", "b=2", "content-length", "100"]).end(body);
  });
  await until(() => exchange.client.ended);
  expect(exchange.head.match(/set-cookie: .*/gi)).toEqual(["set-cookie: a=1", "set-cookie: b=2"]);
});

test.each(["the request is given up", "the answer is"])(
  "a slow body ends when %s: its source too, and no timer is left",
  async (what) => {
    const clock = new TestClock();
    const faults = httpFaults([{ kind: "slow-body", bytes: 5, interval: 1_000 }], { clock });
    let reason: unknown;
    const source = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(20)),
      cancel: (given) => {
        reason = given;
      },
    });
    const handler = faults.wrap(() => new Response(source));
    const caller = new AbortController();
    const response = await handler(new Request("http://a/", { signal: caller.signal }));
    const reader = response.body?.getReader();
    await reader?.read();
    const next = reader?.read().then(
      ({ done }) => done,
      (error: unknown) => error,
    );
    await until(() => clock.timers === 1);
    if (what === "the answer is") await reader?.cancel("left");
    else caller.abort("left");
    expect(await next).toBe(what === "the answer is" ? true : "left");
    expect([reason, clock.timers]).toEqual(["left", 0]);
  },
);

test("the same fault twice is two faults", async () => {
  const once: HttpFault = { kind: "status", status: 500, times: 1 };
  const faults = httpFaults([once, once]);
  const handler = faults.wrap(() => new Response("ok"));
  const statuses: number[] = [];
  for (let i = 0; i < 3; i++) statuses.push((await handler(new Request("http://a/"))).status);
  expect([statuses, faults.stats().hits]).toEqual([[500, 200, 200], { status: 2 }]);
});

test("there is no answer", async () => {
  await using exchange = await ask(httpFaults([{ kind: "no-answer" }]));
  await turns(20);
  expect([exchange.client.text, exchange.client.ended]).toEqual(["", false]);
});

test("faults are put together, and hit by rate, method, path and predicate", async () => {
  const faults = httpFaults([{ kind: "status", status: 500, rate: 0.3, name: "some" }], { seed: 9, name: "api" });
  const handler = faults.wrap(() => new Response("ok"));
  const statuses = async (): Promise<number[]> => {
    const all: number[] = [];
    for (let i = 0; i < 300; i++) all.push((await handler(new Request("http://a/"))).status);
    return all;
  };
  const first = await statuses();
  expect(first.filter((status) => status === 500).length).toBeGreaterThan(60);
  expect(first.filter((status) => status === 500).length).toBeLessThan(120);
  faults.set(faults.rules); // counts from one again
  expect(await statuses()).toEqual(first);
  expect(faults.stats()).toMatchObject({ enabled: true, seed: 9, rules: 1, requests: 600 });

  const cases: [HttpFault, string, RequestInit][] = [
    [{ kind: "status", status: 500, method: "POST" }, "http://a/", { method: "POST" }],
    [{ kind: "status", status: 500, path: ["/x", "/y"] }, "http://a/y?q", {}],
    [{ kind: "status", status: 500, path: /^\/api\//g }, "http://a/api/1", {}],
    [{ kind: "status", status: 500, when: ({ path }) => path === "/z" }, "http://a/z#h", {}],
  ];
  for (const [fault, url, init] of cases) {
    faults.set([fault]);
    expect((await handler(new Request(url, init))).status).toBe(500);
    expect((await handler(new Request(url, init))).status).toBe(500);
    expect((await handler(new Request("http://a/other"))).status).toBe(200);
  }
  faults.set([{ kind: "status", status: 500, times: 1 }]);
  expect([(await handler(new Request("http://a/"))).status, (await handler(new Request("http://a/"))).status]).toEqual([
    500, 200,
  ]);
  faults.enabled = false;
  faults.set([{ kind: "status", status: 500 }]);
  expect((await handler(new Request("http://a/"))).status).toBe(200);
});

test("a fetch handler is slow, short, wrong and broken as well", async () => {
  const clock = new TestClock();
  const faults = httpFaults([], { clock });
  const seen: unknown[] = [];
  const handler = faults.wrap((_request: Request, extra: string) => {
    seen.push(extra);
    return new Response(body, { headers: { "content-length": "100", "x-own": "1" } });
  });
  const request = (): Request => new Request("http://a/");
  faults.set([{ kind: "truncate", bytes: 15 }]);
  const short = await handler(request(), "passed on");
  expect([await short.text(), short.headers.get("x-own")]).toEqual([body.slice(0, 15), "1"]);
  expect(seen).toEqual(["passed on"]);
  faults.set([{ kind: "wrong-length", by: 3 }]);
  expect((await handler(request(), "")).headers.get("content-length")).toBe("103");
  faults.set([{ kind: "reset", bytes: 10 }]);
  await expect((await handler(request(), "")).text()).rejects.toThrow(/reset by an HTTP fault/);
  faults.set([
    { kind: "slow-headers", delay: 100 },
    { kind: "slow-body", bytes: 25, interval: 50 },
  ]);
  let got: string | undefined;
  void handler(request(), "").then(async (response) => {
    got = await response.text();
  });
  await clock.advance(249);
  expect(got).toBeUndefined();
  await clock.advance(1);
  await until(() => got === body);
  faults.set([{ kind: "no-answer" }]);
  const leaving = new AbortController();
  const waiting = handler(new Request("http://a/", { signal: leaving.signal }), "");
  leaving.abort();
  await expect(waiting).rejects.toThrow(/abort/i);
});

test.each<[unknown, RegExp]>([
  [{ kind: "explode" }, /Cannot make an HTTP fault: kind must be one of/],
  [{ kind: "status", status: 99 }, /status must be an integer of at least 200, got 99/],
  [{ kind: "status", status: 600 }, /status must be at most 599, got 600/],
  [{ kind: "slow-body" }, /interval must be a number of milliseconds, got undefined/],
  [{ kind: "truncate", bytes: -1 }, /bytes must be an integer of at least 0, got -1/],
  [{ kind: "status", status: 500, body: { error: "no" } }, /body must be a text, got an object/],
  [{ kind: "status", status: 204, body: "" }, /body must be left out, as an answer with the status 204 has none/],
  [{ kind: "status", status: 500, headers: { "not one": "x" } }, /headers must be an object of names and texts/],
  [{ kind: "status", status: 500, headers: { a: "x\r\nb: y" } }, /headers must be an object of names and texts/],
  [{ kind: "status", status: 500, rat: 0.1 }, /Cannot make an HTTP fault: it has no option rat/],
  [{ kind: "no-answer", path: 1 }, /path must be a text, texts or a RegExp, got 1/],
])("a fault that makes no sense is refused: %j", (fault, message) => {
  expect(() => httpFaults([fault as HttpFault])).toThrow(message);
});
