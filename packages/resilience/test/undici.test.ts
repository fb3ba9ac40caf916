// Requests of undici and of the global fetch through policies, with real servers that refuse, reset, stall and break off.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { Context } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { createCertificates, freePort } from "@tooling/testing";
import {
  Agent,
  type Dispatcher,
  getGlobalDispatcher,
  request,
  setGlobalDispatcher,
  fetch as undiciFetch,
} from "undici";
import { afterEach, describe, expect, test, vi } from "vitest";
import { chaos, fault, latency } from "../src/chaos.ts";
import {
  attemptErrors,
  balance,
  breaker,
  bulkhead,
  callPriority,
  compose,
  constant,
  type Gate,
  hedge,
  retry,
  roundRobin,
  value,
} from "../src/index.ts";
import {
  balanceInterceptor,
  type CannedResponse,
  deadlineInterceptor,
  gateInterceptor,
  type Interceptor,
  policyInterceptor,
  type ResilientDispatcherOptions,
  resilientDispatcher,
} from "../src/undici.ts";
import { breakOff, reset, serve, silence, status } from "./undici-servers.ts";

const quick = { attempts: 3, backoff: constant(1) };
const open: Dispatcher[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((dispatcher) => dispatcher.destroy()));
});

function make(options: ResilientDispatcherOptions = {}): Dispatcher {
  const dispatcher = resilientDispatcher({ retry: quick, ...options });
  open.push(dispatcher);
  return dispatcher;
}

function agentWith(...interceptors: readonly Interceptor[]): Dispatcher {
  const dispatcher = new Agent().compose(...interceptors);
  open.push(dispatcher);
  return dispatcher;
}

/** What made a `fetch` fail. */
async function causeOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => "nothing",
    (error: Error) => error.cause ?? error,
  );
}

/** Either fetch through a dispatcher: the global one by the global dispatcher, as nothing else reaches it. */
type Fetch = (url: string, init?: Parameters<typeof undiciFetch>[1]) => Promise<Response>;
const fetches: Record<string, (dispatcher: Dispatcher) => { fetch: Fetch } & Disposable> = {
  "the global fetch": (dispatcher) => {
    const before = getGlobalDispatcher();
    setGlobalDispatcher(dispatcher);
    return { fetch: fetch as unknown as Fetch, [Symbol.dispose]: () => setGlobalDispatcher(before) };
  },
  "undici's fetch": (dispatcher) => ({
    fetch: ((url, init) => undiciFetch(url, { ...init, dispatcher })) as Fetch,
    [Symbol.dispose]() {},
  }),
};

for (const [name, use] of Object.entries(fetches)) {
  describe(name, () => {
    test("It gets the response of the attempt that succeeds", async () => {
      await using server = await serve(status(503), reset, status(200, { "x-test": "yes" }));
      using client = use(make());
      const response = await client.fetch(`${server.origin}/path?a=b`, { headers: { accept: "text/plain" } });
      expect([response.status, response.headers.get("x-test"), await response.text()]).toEqual([200, "yes", "GET "]);
      expect(server.seen.map(({ url, headers }) => [url, headers.accept])).toEqual(
        Array.from({ length: 3 }, () => ["/path?a=b", "text/plain"]),
      );
    });

    test("After the last attempt it gets that response, or that error", async () => {
      await using server = await serve(status(503));
      using client = use(make());
      const response = await client.fetch(server.origin);
      expect([response.status, await response.text(), server.seen.length]).toEqual([503, "GET ", 3]);
      await using broken = await serve(reset);
      const error = await causeOf(client.fetch(broken.origin));
      expect(error).toMatchObject({ code: "ECONNRESET" });
      expect(attemptErrors(error)).toHaveLength(2);
      expect(broken.seen).toHaveLength(3);
    });

    test("[undici#3288] A body is sent again whole, of every kind that fetch takes and knows the length of", async () => {
      const form = new URLSearchParams({ a: "b" });
      const bodies = { text: "hello", bytes: Buffer.from("hello"), blob: new Blob(["hello"]), form };
      for (const [kind, body] of Object.entries(bodies)) {
        await using server = await serve(status(503), reset, status(200));
        using client = use(make());
        const response = await client.fetch(server.origin, { method: "PUT", body: body as string });
        const sent = kind === "form" ? "a=b" : "hello";
        expect([kind, response.status, await response.text()]).toEqual([kind, 200, `PUT ${sent}`]);
        expect(server.seen.map(({ body }) => body)).toEqual([sent, sent, sent]);
      }
    });

    test("[undici#3288] A body that is a stream is sent once: the caller gets that response, undisturbed", async () => {
      await using server = await serve(status(503));
      using client = use(make());
      const body = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode("hello"));
          controller.close();
        },
      });
      const response = await client.fetch(server.origin, { method: "PUT", body, duplex: "half" });
      expect([response.status, await response.text(), server.seen.length]).toEqual([503, "PUT hello", 1]);
    });

    test("[undici#3288] What was refused untouched is not sent again either when its body is gone", async () => {
      await using server = await serve(status(429, { "retry-after": "0" }));
      using client = use(make());
      const body = new Blob(["hello"]).stream();
      const response = await client.fetch(server.origin, { method: "PUT", body: body as never, duplex: "half" });
      expect([response.status, await response.text(), server.seen.length]).toEqual([429, "PUT hello", 1]);
    });

    test("[undici#3288] A stream that nobody has begun to read is kept for the next attempt", async () => {
      await using server = await serve(status(200));
      const dead = await freePort();
      const endpoints = [`http://127.0.0.1:${dead}`, server.origin];
      using client = use(make({ balance: { "http://users.internal": balance(endpoints, roundRobin()) } }));
      for (let i = 0; i < 2; i++) {
        const body = new Blob(["hello"]).stream();
        const response = await client.fetch("http://users.internal/", {
          method: "POST",
          body: body as never,
          duplex: "half",
        });
        expect([response.status, await response.text()]).toEqual([200, "POST hello"]);
      }
    });

    test("[undici#470] A POST is repeated only if it has a key, or was certainly not begun", async () => {
      await using server = await serve(reset);
      using client = use(make());
      const post = { method: "POST", body: "hello" };
      expect(await causeOf(client.fetch(server.origin, post))).toMatchObject({ code: "ECONNRESET" });
      expect(server.seen).toHaveLength(1);
      await using busy = await serve(status(429), status(200));
      expect(await (await client.fetch(busy.origin, post)).text()).toBe("POST hello");
      await using flaky = await serve(reset, status(503), status(200));
      const keyed = { ...post, headers: { "Idempotency-Key": '"4711"' } };
      expect(await (await client.fetch(flaky.origin, keyed)).text()).toBe("POST hello");
      expect(flaky.seen.map(({ headers, body }) => [headers["idempotency-key"], body])).toEqual(
        Array.from({ length: 3 }, () => ['"4711"', "hello"]),
      );
    });

    test("Once the head has reached the caller nothing is repeated: a body that breaks off fails where it is read", async () => {
      await using server = await serve(breakOff, status(200));
      using client = use(make());
      const response = await client.fetch(server.origin);
      expect(response.status).toBe(200);
      expect(await causeOf(response.text())).toMatchObject({
        code: expect.stringMatching(/UND_ERR_SOCKET|ECONNRESET/),
      });
      expect(server.seen).toHaveLength(1);
    });

    test("An abort ends a pause between attempts, an attempt under way, and a body", async () => {
      await using failing = await serve(status(503));
      await using silent = await serve(silence);
      await using slow = await serve((response) => void response.writeHead(200).write("beginning"));
      using client = use(make({ retry: { attempts: 3, backoff: constant(3_600_000) } }));
      const leave = async ({ origin, seen }: { origin: string; seen: readonly unknown[] }): Promise<unknown> => {
        const leaving = new AbortController();
        const reading = client.fetch(origin, { signal: leaving.signal }).then((response) => response.text());
        reading.catch(() => {});
        await vi.waitUntil(() => seen.length === 1);
        await new Promise((resolve) => setTimeout(resolve, 20)); // whether the answer is there by then or not
        leaving.abort(new Error("left"));
        return await reading.catch((error: unknown) => error);
      };
      expect(await leave(failing)).toMatchObject({ message: "left" });
      expect(await leave(silent)).toMatchObject({ message: "left" });
      expect(await leave(slow)).toMatchObject({ message: "left" });
      expect([failing.seen.length, silent.seen.length, slow.seen.length]).toEqual([1, 1, 1]);
    });

    test("The context of the caller tells the server its time, and ends what is under way", async () => {
      await using server = await serve(status(200), silence);
      using client = use(make());
      using context = Context.derive({ timeout: 60_000, values: [callPriority.of(7)] });
      await Context.run(context, async () => {
        await (await client.fetch(server.origin)).text();
        const pending = client.fetch(server.origin, { headers: { "x-deadline-ms": "5" } });
        pending.catch(() => {});
        await vi.waitUntil(() => server.seen.length === 2);
        const reason = new Error("no longer wanted");
        context.cancel(reason);
        expect(await causeOf(pending)).toBe(reason);
      });
      const [first, second] = server.seen.map(({ headers }) => headers);
      expect(Number(first?.["x-deadline-ms"])).toBeLessThanOrEqual(60_000);
      expect(Number(first?.["x-deadline-ms"])).toBeGreaterThan(50_000);
      expect(first?.["x-priority"]).toBe("7");
      expect(second?.["x-deadline-ms"]).toBe("5"); // the caller's own is shorter
    });

    test("The context of the caller also ends a body that is being read; one that was read is not touched", async () => {
      await using server = await serve((response) => void response.writeHead(200).write("beginning"), status(200));
      using client = use(make());
      using context = Context.derive();
      const response = await Context.run(context, () => client.fetch(server.origin));
      const reading = response.text();
      reading.catch(() => {});
      context.cancel(new Error("no longer wanted"));
      expect(await causeOf(reading)).toMatchObject({ message: "no longer wanted" });
    });

    test("A timeout of the policies counts up to the head, and not for the body", async () => {
      const end = Promise.withResolvers<void>();
      await using server = await serve((response) => {
        response.writeHead(200).write("slow ");
        void end.promise.then(() => response.end("body"));
      }, silence);
      const clock = new TestClock();
      using client = use(make({ timeout: 300, clock }));
      const response = await client.fetch(server.origin);
      await clock.advance(300);
      end.resolve();
      expect(await response.text()).toBe("slow body");
      const late = client.fetch(server.origin);
      late.catch(() => {});
      await vi.waitUntil(() => server.seen.length === 2);
      await clock.advance(300);
      expect(await causeOf(late)).toMatchObject({ code: "ERR_TIMEOUT", timeoutMs: 300 });
      expect(clock.timers).toBe(0);
    });

    test("A fallback answers where no server does, as often as wanted", async () => {
      await using server = await serve(reset);
      const canned: CannedResponse = { status: 200, headers: { "X-Source": "fallback" }, body: '["nobody"]' };
      using client = use(make({ fallback: [value(canned)], retry: undefined }));
      for (let i = 0; i < 2; i++) {
        const response = await client.fetch(server.origin);
        expect([response.status, response.headers.get("x-source"), await response.json()]).toEqual([
          200,
          "fallback",
          ["nobody"],
        ]);
      }
      using wrong = use(make({ fallback: [value("no response" as never)], retry: undefined }));
      expect(await causeOf(wrong.fetch(server.origin))).toMatchObject({
        message: 'Cannot answer a request: a fallback must return a CannedResponse, got "no response"',
      });
    });

    test("Each phase of an attempt has its time", async () => {
      await using server = await serve(silence);
      const clock = new TestClock();
      using client = use(make({ clock, retry: undefined, phases: { connect: 60_000, headers: 300 } }));
      const late = client.fetch(server.origin);
      late.catch(() => {});
      await vi.waitUntil(() => server.seen.length === 1);
      await clock.advance(300);
      expect(await causeOf(late)).toMatchObject({ code: "ERR_TIMEOUT", phase: "headers", timeoutMs: 300 });
    });

    test("Redirects, empty responses and large ones arrive as without policies", async () => {
      const large = randomBytes(3_000_000);
      await using server = await serve((response, { url, method }) => {
        if (url === "/redirect") response.writeHead(302, { location: "/large" }).end("moved");
        else if (url === "/large") response.writeHead(200, { "x-method": method }).end(large);
        else if (url === "/none") response.writeHead(204).end();
        else response.writeHead(200, { "content-length": "5" }).end(method === "HEAD" ? undefined : "hello");
      });
      using client = use(make());
      const response = await client.fetch(`${server.origin}/redirect`);
      const received = Buffer.from(await response.arrayBuffer());
      expect(response.redirected).toBe(true);
      expect(digest(received)).toBe(digest(large));
      expect((await client.fetch(`${server.origin}/none`)).status).toBe(204);
      const head = await client.fetch(server.origin, { method: "HEAD" });
      expect([head.headers.get("content-length"), await head.text()]).toEqual(["5", ""]);
    });

    test("A reader that is slow holds back the server, not the memory", async () => {
      const chunk = Buffer.alloc(65_536, "x");
      let sent = 0;
      await using server = await serve((response) => {
        response.writeHead(200);
        const write = (): void => {
          while (sent < 64_000_000 && !response.destroyed) {
            sent += chunk.length;
            if (!response.write(chunk)) return void response.once("drain", write);
          }
          response.end();
        };
        write();
      });
      using client = use(make());
      const response = await client.fetch(server.origin);
      let before = -1;
      const isStill = (): boolean => {
        const was = before;
        before = sent;
        return was === sent;
      };
      await vi.waitUntil(isStill, { interval: 100, timeout: 20_000 });
      expect(sent).toBeLessThan(32_000_000); // what fits in the buffers of two sockets
      await response.body?.cancel();
    });
  });
}

describe("request()", () => {
  test("It gets trailers and early hints", async () => {
    await using server = await serve(status(503), (response) => {
      response.writeEarlyHints({ link: "</style.css>; rel=preload" });
      response.writeHead(200, { trailer: "x-checksum" });
      response.write("hello");
      response.addTrailers({ "x-checksum": "42" });
      response.end();
    });
    const hints: number[] = [];
    const { body, trailers } = await request(server.origin, {
      dispatcher: make(),
      onInfo: ({ statusCode }) => hints.push(statusCode),
    });
    expect([await body.text(), trailers, hints]).toEqual(["hello", { "x-checksum": "42" }, [103]]);
  });

  test.each(["onRequestStart", "onResponseStart", "onResponseData", "onResponseEnd"] as const)(
    "A handler whose %s throws is told so, as by undici itself, whether the response is here already or not",
    async (method) => {
      await using server = await serve((response, { url }) => response.end("x".repeat(url === "/long" ? 1e6 : 1)));
      for (const path of ["/", "/long"]) {
        const told = Promise.withResolvers<Error>();
        agentWith(policyInterceptor(compose())).dispatch(
          { origin: server.origin, path, method: "GET" },
          {
            onResponseError: (_controller, error) => told.resolve(error),
            [method]: () => {
              throw new Error("the handler is broken");
            },
          },
        );
        expect((await told.promise).message).toBe("the handler is broken");
      }
    },
  );

  test("An abort ends a response that has arrived, but was not read to its end", async () => {
    await using server = await serve((response) => response.end("short"));
    const context = Context.derive();
    const told = Promise.withResolvers<unknown>();
    Context.run(context, () => {
      agentWith(policyInterceptor(compose())).dispatch(
        { origin: server.origin, path: "/", method: "GET" },
        {
          onResponseStart: (controller) => {
            controller.pause();
            setTimeout(() => context.cancel("enough"), 20);
          },
          onResponseEnd: () => told.reject(new Error("It was read to its end")),
          onResponseError: (_controller, error) => told.resolve(error.cause),
        },
      );
    });
    expect(await told.promise).toBe("enough");
  });

  test("A stream is sent again if its length is said and it is not too long", async () => {
    const send = async (maxReplay: number): Promise<unknown[]> => {
      await using server = await serve(reset, status(200));
      const result = await request(server.origin, {
        dispatcher: make({ maxReplay }),
        method: "PUT",
        headers: { "content-length": "11" },
        body: Readable.from(["hello ", "world"]),
      }).then(
        ({ body }) => body.text(),
        (error: { code: string }) => error.code,
      );
      return [result, server.seen.map(({ body }) => body)];
    };
    expect(await send(11)).toEqual(["PUT hello world", ["hello world", "hello world"]]);
    expect(await send(10)).toEqual(["ECONNRESET", ["hello world"]]);
  });

  test("A body that cannot be made is an error of the caller, told once", async () => {
    await using server = await serve(status(200));
    const circuit = breaker({ consecutive: 1 });
    for (const headers of [{}, { "content-length": "10", "idempotency-key": "1" }]) {
      const reads = vi.fn();
      const body = new Readable({
        read() {
          reads();
          this.push("some");
          this.destroy(new Error("disk is gone"));
        },
      });
      const dispatcher = make({ breaker: circuit });
      const sent = request(server.origin, { dispatcher, method: "POST", headers, body });
      await expect(sent).rejects.toThrow("disk is gone");
      expect(reads).toHaveBeenCalledTimes(1);
    }
    expect(circuit.state(server.origin)).toBe("closed");
  });

  test("The connection of a response that is not wanted is used again, if the rest of it is short", async () => {
    const long = "x".repeat(10_000_000);
    await using short = await serve(status(503), status(503), status(200));
    await using endless = await serve((response) => response.writeHead(503).end(long), status(200));
    const dispatcher = make();
    await (await request(short.origin, { dispatcher })).body.text();
    await (await request(endless.origin, { dispatcher })).body.text();
    expect(short.connections).toBe(1);
    expect(endless.connections).toBeGreaterThan(1);
  });

  test("Upgrades and CONNECT pass by", async () => {
    const dispatcher = make({ breaker: { consecutive: 1 } });
    await using server = await serve(status(400));
    await expect(dispatcher.upgrade({ origin: server.origin, path: "/", protocol: "test" } as never)).rejects.toThrow();
    expect((await request(server.origin, { dispatcher })).statusCode).toBe(400);
  });
});

describe("policies", () => {
  test("Retry-After is waited for", async () => {
    await using server = await serve(status(503, { "retry-after": "7" }), status(200));
    const clock = new TestClock();
    const done = request(server.origin, { dispatcher: make({ clock }) });
    await vi.waitUntil(() => clock.timers === 1);
    await clock.advance(6_999);
    expect(server.seen).toHaveLength(1);
    await clock.advance(1);
    expect((await done).statusCode).toBe(200);
  });

  test("[undici#4700] Each origin has a circuit of its own, and idle ones are forgotten", async () => {
    await using bad = await serve(reset);
    await using good = await serve(status(200));
    const circuits = breaker({ consecutive: 2, maxKeys: 2 });
    const dispatcher = make({ retry: undefined, breaker: circuits });
    for (let i = 0; i < 2; i++) await expect(request(bad.origin, { dispatcher })).rejects.toThrow();
    await expect(request(bad.origin, { dispatcher })).rejects.toMatchObject({ code: "ERR_CIRCUIT_OPEN" });
    await expect(request(new URL("/other", bad.origin), { dispatcher })).rejects.toMatchObject({
      code: "ERR_CIRCUIT_OPEN",
    });
    expect(bad.seen).toHaveLength(2);
    expect((await request(good.origin, { dispatcher })).statusCode).toBe(200);
    expect([circuits.state(bad.origin), circuits.state(good.origin)]).toEqual(["open", "closed"]);
    for (let i = 0; i < 20; i++) await request(`http://127.0.0.1:${await freePort()}`, { dispatcher }).catch(() => {});
    expect(circuits.stats()["circuits"]).toBeLessThanOrEqual(2);
  });

  test("An origin stands for endpoints: their addresses are used, the name stays", async () => {
    await using one = await serve(status(200));
    await using two = await serve(reset, status(200));
    const users = balance([one.origin, `127.0.0.1:${two.port}`], roundRobin());
    const dispatcher = make({ balance: { "http://users.internal": users }, breaker: {} });
    for (let i = 0; i < 4; i++) {
      const { statusCode, body } = await request("http://users.internal/path", { dispatcher });
      expect([statusCode, await body.text()]).toEqual([200, "GET "]);
    }
    expect(one.seen.length + two.seen.length).toBe(5);
    for (const { headers } of [...one.seen, ...two.seen]) expect(headers.host).toBe("users.internal");
    expect((await request(one.origin, { dispatcher })).statusCode).toBe(200); // not balanced
    expect(() => resilientDispatcher({ balance: { "users.internal": users } })).toThrow("an origin must be like");
  });

  test("A certificate is that of the name, whichever endpoint is asked; HTTP/2 goes through the policies too", async () => {
    const { key, cert, ca } = await createCertificates({ hosts: ["users.internal"] });
    let calls = 0;
    const server = createSecureServer({ key, cert, allowHTTP1: true }, (message, response) => {
      calls++;
      const status = calls % 2 === 1 ? 503 : 200;
      response.writeHead(status, { "x-version": message.httpVersion });
      response.end(`${message.authority || message.headers.host}`);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    for (const [allowH2, version] of [
      [true, "2.0"],
      [false, "1.1"],
    ] as const) {
      const agent = new Agent({ allowH2, connect: { ca } });
      const users = balance([`https://127.0.0.1:${port}`], roundRobin());
      const dispatcher = make({ dispatcher: agent, balance: { "https://users.internal": users } });
      const { statusCode, headers, body } = await request("https://users.internal/", { dispatcher });
      expect([statusCode, headers["x-version"], await body.text()]).toEqual([200, version, "users.internal"]);
      await agent.destroy();
    }
    expect(calls).toBe(4);
    server.close();
  });

  test("A slow attempt is hedged, and the loser's request is ended", async () => {
    const ended = Promise.withResolvers<void>();
    await using server = await serve((response) => response.on("close", ended.resolve), status(200));
    const dispatcher = make({ retry: undefined, hedge: hedge({ after: 20, ratio: 1 }) });
    const { body } = await request(server.origin, { dispatcher, method: "PUT", body: "hello" });
    expect(await body.text()).toBe("PUT hello");
    await ended.promise;
    expect(server.seen.map(({ body }) => body)).toEqual(["hello", "hello"]);
  });

  test("Chaos hits requests as it hits other calls", async () => {
    await using server = await serve(status(200));
    const network = chaos([latency({ ms: 1 }), fault({ times: 2, key: server.origin })], { seed: 1, enabled: true });
    const dispatcher = make({ chaos: network });
    expect((await request(server.origin, { dispatcher })).statusCode).toBe(200);
    expect([network.stats().calls, server.seen.length]).toEqual([3, 1]);
  });

  test("A layer above that repeats keeps those below from repeating", async () => {
    await using server = await serve(status(503));
    const dispatcher = make();
    const above = compose({ idempotent: true }, retry(quick));
    await above(async () => {
      const { statusCode, body } = await request(server.origin, { dispatcher });
      await body.dump();
      if (statusCode === 503) throw new Error("again");
    }).catch(() => {});
    expect(server.seen).toHaveLength(5); // three below the first, one below each repetition
  });
});

describe("interceptors", () => {
  test("They can be stacked: the time left and the reasons of aborts go through all", async () => {
    await using server = await serve(reset, status(200));
    const users = balance([server.origin], roundRobin());
    const dispatcher = agentWith(
      balanceInterceptor({ "http://users.internal": users }),
      policyInterceptor(compose(retry(quick))),
      deadlineInterceptor(),
    );
    using context = Context.derive({ timeout: 30_000 });
    const { body } = await Context.run(context, () => request("http://users.internal", { dispatcher }));
    expect(await body.text()).toBe("GET ");
    expect(server.seen.map(({ headers }) => Number(headers["x-deadline-ms"]) > 20_000)).toEqual([true, true]);
  });

  test("A gate is left at the end of the response, not at its head", async () => {
    await using server = await serve((response) => void response.writeHead(200).write("beginning"), status(200));
    const slots = bulkhead({ max: 1 });
    const dispatcher = agentWith(gateInterceptor(slots as Gate));
    const first = await request(server.origin, { dispatcher });
    await expect(request(server.origin, { dispatcher })).rejects.toMatchObject({ code: "ERR_OVERLOADED" });
    first.body.on("error", () => {}).destroy();
    await vi.waitUntil(() => slots.stats().running === 0);
    expect((await request(server.origin, { dispatcher })).statusCode).toBe(200);
  });

  test("A gate learns that a body has broken off, and that a reader had enough", async () => {
    await using broken = await serve(breakOff);
    const circuit = breaker({ consecutive: 1 });
    const dispatcher = agentWith(gateInterceptor(circuit));
    const { body } = await request(broken.origin, { dispatcher });
    await expect(body.text()).rejects.toThrow();
    expect(circuit.state(broken.origin)).toBe("open");
    await expect(request(broken.origin, { dispatcher })).rejects.toMatchObject({ code: "ERR_CIRCUIT_OPEN" });
    await using slow = await serve((response) => void response.writeHead(200).write("beginning"));
    const response = await request(slow.origin, { dispatcher });
    response.body.on("error", () => {}).destroy();
    await vi.waitUntil(() => circuit.counts(slow.origin).calls === 0);
    expect(circuit.state(slow.origin)).toBe("closed");
  });

  test("The built-in fetch of an older Node finds the dispatcher under its own symbol, with handlers of its own kind", async () => {
    await using server = await serve(status(503), status(200));
    const before = getGlobalDispatcher();
    setGlobalDispatcher(make());
    const older = Reflect.get(globalThis, Symbol.for("undici.globalDispatcher.1")) as {
      dispatch(options: object, handler: object): boolean;
    };
    setGlobalDispatcher(before);
    const heard: unknown[] = [];
    const over = Promise.withResolvers<void>();
    older.dispatch(
      { origin: server.origin, path: "/", method: "GET" },
      {
        onConnect: () => heard.push("connect"),
        onHeaders: (status: number, headers: Buffer[], _resume: () => void, text: string) => {
          heard.push(status, text, headers.map(String).includes("GET ".length.toString()) || headers.length > 0);
        },
        onData: (chunk: Buffer) => heard.push(String(chunk)),
        onComplete: () => over.resolve(),
        onError: (error: Error) => over.reject(error),
      },
    );
    await over.promise;
    expect(heard).toEqual(["connect", 200, "OK", true, "GET "]);
  });
});

test("Whatever servers and callers do, every request settles, and nothing is left behind", async () => {
  let state = 7;
  const random = (): number => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
  const answers = [status(200), status(200), status(503), status(429), status(404), status(204), reset, breakOff];
  await using one = await serve((response, request, number) =>
    answers[number % answers.length]?.(response, request, 0),
  );
  await using two = await serve(status(200), status(503), status(200), silence);
  const slots = bulkhead({ max: 100, queue: 500 });
  const users = balance([one.origin, two.origin], roundRobin());
  const dispatcher = make({
    timeout: 20_000,
    attemptTimeout: 500,
    balance: { "http://users.internal": users },
    bulkhead: slots,
    hedge: { after: 10, ratio: 0.5 },
    maxReplay: 8,
  });
  const unhandled = vi.fn();
  process.on("unhandledRejection", unhandled);
  const bodies = [undefined, "short", "longer than eight bytes"];
  const outcomes = Array.from({ length: 300 }, async () => {
    const leaving = new AbortController();
    const body = bodies[Math.floor(random() * 3)];
    const init = body === undefined ? {} : { method: "PUT", body };
    const url = random() < 0.5 ? "http://users.internal/" : one.origin;
    const timer = random() < 0.5 ? setTimeout(() => leaving.abort(new Error("left")), random() * 300) : undefined;
    try {
      const response = await undiciFetch(url, { ...init, dispatcher, signal: leaving.signal });
      await (random() < 0.8 ? response.text() : response.body?.cancel());
      return "ok";
    } catch {
      return "failed";
    } finally {
      clearTimeout(timer);
    }
  });
  expect(new Set(await Promise.all(outcomes))).toEqual(new Set(["ok", "failed"]));
  await vi.waitUntil(() => slots.stats().running === 0 && users.stats().inFlight === 0);
  expect(slots.stats().waiting).toBe(0);
  process.off("unhandledRejection", unhandled);
  expect(unhandled).not.toHaveBeenCalled();
});

function digest(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
