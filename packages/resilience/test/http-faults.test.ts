// Faults of HTTP answers, between a real server and a raw client, and around a fetch handler.
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
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
  [{ kind: "no-answer", path: 1 }, /path must be a text, texts or a RegExp, got 1/],
])("a fault that makes no sense is refused: %j", (fault, message) => {
  expect(() => httpFaults([fault as HttpFault])).toThrow(message);
});
