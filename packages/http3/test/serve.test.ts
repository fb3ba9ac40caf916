// One handler over three protocols: the same request in, the same answer out.
import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { setImmediate as turn } from "node:timers/promises";
import { Context } from "@proj/concurrency";
import { createCertificates } from "@tooling/testing";
import { describe, expect, test } from "vitest";
import { FastResponse, type Handler, platformRequest, type ServerEvent, serve } from "../src/index.ts";
import { HttpProblem } from "../src/lib/problem.ts";
import { ask, connect, protocols, start } from "./exchange-client.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe.each(protocols)("over %s", (protocol) => {
  test("a handler gets method, URL, headers and peer", async () => {
    await using server = await start((request, context) =>
      FastResponse.json({
        method: request.method,
        url: request.url,
        accept: request.headers.get("accept"),
        protocol: context.protocol,
        remoteAddress: context.remoteAddress,
        hasPort: context.remotePort > 0,
      }),
    );

    const answer = await ask(protocol, server, { path: "/a/b?c=d", headers: ["accept", "text/plain"] });

    expect(answer.json()).toEqual({
      method: "GET",
      url: `https://localhost:${server.port}/a/b?c=d`,
      accept: "text/plain",
      protocol,
      remoteAddress: "127.0.0.1",
      hasPort: true,
    });
  });

  test.each([0, 1, 100_000, 3_000_000])("a body of %i bytes comes and goes unharmed", async (size) => {
    await using server = await start(async (request) => new FastResponse(await request.bytes()));
    const body = randomBytes(size);

    const answer = await ask(protocol, server, { method: "POST", body });

    expect(sha256(answer.body)).toBe(sha256(body));
    expect(answer.all("content-length")).toEqual([String(size)]);
  });

  test("a body streams through a handler chunk by chunk", async () => {
    await using server = await start((request) => new Response(request.body));
    const chunks = Array.from({ length: 64 }, () => randomBytes(50_000));
    async function* body(): AsyncGenerator<Uint8Array> {
      for (const chunk of chunks) {
        await turn();
        yield chunk;
      }
    }

    const answer = await ask(protocol, server, { method: "POST", body: body() });

    expect(sha256(answer.body)).toBe(sha256(Buffer.concat(chunks)));
    expect(answer.all("content-length")).toEqual([]);
  });

  test("an async iterable of strings and bytes is an answer", async () => {
    await using server = await start(() => {
      async function* lines(): AsyncGenerator<string | Uint8Array> {
        yield "één\n";
        await turn();
        yield Buffer.from("two\n");
      }
      return new FastResponse(lines());
    });

    const answer = await ask(protocol, server);

    expect(answer.body.toString()).toBe("één\ntwo\n");
  });

  test("HEAD gets the headers of GET and no body", async () => {
    await using server = await start((request) =>
      new URL(request.url).pathname === "/fast" ? new FastResponse("hello") : new Response("hello"),
    );
    await using client = await connect(protocol, server);

    const fast = await client.ask({ method: "HEAD", path: "/fast" });
    const platform = await client.ask({ method: "HEAD", path: "/platform" });

    expect([fast.status, fast.body.length, fast.all("content-length")]).toEqual([200, 0, ["5"]]);
    expect([platform.status, platform.body.length]).toEqual([200, 0]);
  });

  test.each([204, 304])("an answer %i has no body and no content-length", async (status) => {
    await using server = await start(() => new FastResponse(null, { status, headers: { etag: '"a"' } }));

    const answer = await ask(protocol, server);

    expect([answer.status, answer.body.length]).toEqual([status, 0]);
    expect(answer.all("content-length")).toEqual([]);
    expect(answer.all("etag")).toEqual(['"a"']);
  });

  test("many cookies stay apart, and the cookies of a request come as one", async () => {
    const cookies = Array.from({ length: 50 }, (_, i) => `c${i}=${i}; Path=/`);
    await using server = await start((request) => {
      const response = Response.json({ cookie: request.headers.get("cookie") });
      for (const cookie of cookies) response.headers.append("set-cookie", cookie);
      return response;
    });

    const answer = await ask(protocol, server, { headers: ["cookie", "a=1; b=2"] });

    expect(answer.all("set-cookie")).toEqual(cookies);
    expect(answer.json()).toEqual({ cookie: "a=1; b=2" });
  });

  test("what a handler throws stays on the server", async () => {
    const events: ServerEvent[] = [];
    const onEvent = (event: ServerEvent): void => void events.push(event);
    await using server = await start(() => Promise.reject(new Error("password is 1234")), { onEvent });

    const answer = await ask(protocol, server);

    expect(answer.status).toBe(500);
    expect(answer.all("content-type")).toEqual(["application/problem+json"]);
    expect(answer.body.toString()).not.toContain("1234");
    expect(events.filter(({ kind }) => kind === "handler-failed")).toMatchObject([
      { method: "GET", target: "/", protocol, error: new Error("password is 1234") },
    ]);
  });

  test("a thrown problem is its answer, and no failure", async () => {
    const events: ServerEvent[] = [];
    const onEvent = (event: ServerEvent): void => void events.push(event);
    await using server = await start(
      () => {
        throw new HttpProblem({ status: 409, detail: "Taken" });
      },
      { onEvent },
    );

    const answer = await ask(protocol, server);

    expect(answer.json()).toEqual({ title: "Conflict", status: 409, detail: "Taken" });
    expect(events.map(({ kind }) => kind)).not.toContain("handler-failed");
  });

  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["a used response", "used"],
    ["Response.error()", "error"],
  ])("a handler that answers with %s is a failed handler", async (_name, kind) => {
    await using server = await start(async () => {
      if (kind === "error") return Response.error();
      const response = new Response("once");
      if (kind === "used") await response.text();
      return (kind === "used" ? response : undefined) as Response; // what a type checker would have refused
    });

    expect((await ask(protocol, server)).status).toBe(500);
  });

  test("a body whose source fails is cut off so that the client sees it", async () => {
    await using server = await start(() => {
      async function* body(): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(10_000);
        await turn();
        throw new Error("the disk is gone");
      }
      return new FastResponse(body());
    });

    await expect(ask(protocol, server)).rejects.toThrow();
  });

  test("a body over the limit is refused, by its declared length or by what comes", async () => {
    let calls = 0;
    await using server = await start(
      async (request) => {
        calls++;
        return new FastResponse(await request.text());
      },
      { limits: { maxBodySize: 1_000 } },
    );
    async function* chunked(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 20; i++) yield Buffer.alloc(100);
    }

    const declared = await ask(protocol, server, { method: "POST", body: Buffer.alloc(2_000) });
    const streamed = await ask(protocol, server, { method: "POST", body: chunked() });

    expect(declared.status).toBe(413);
    expect(streamed.status).toBe(413);
    expect(calls).toBeLessThanOrEqual(1); // the declared one never reached the handler
  });

  test("too many header fields are answered 431", async () => {
    await using server = await start(() => new Response("ok"), { limits: { maxHeaderCount: 20 } });
    const headers = Array.from({ length: 25 }, (_, i) => [`x-${i}`, "v"]).flat();

    expect((await ask(protocol, server, { headers })).status).toBe(431);
  });

  test("the deadline that a client sends reaches the handler, and its end answers 504", async () => {
    await using server = await start(async (request, { context }) => {
      expect(Context.current()).toBe(context);
      if (new URL(request.url).pathname === "/left") return Response.json({ left: context.remaining });
      await new Promise((_resolve, reject) => {
        request.signal.addEventListener("abort", () => reject(request.signal.reason));
      });
      return new Response();
    });
    await using client = await connect(protocol, server);

    const left = (await client.ask({ path: "/left", headers: ["x-deadline-ms", "60000"] })).json() as { left: number };
    const late = await client.ask({ path: "/wait", headers: ["x-deadline-ms", "20"] });

    expect(left.left).toBeGreaterThan(1_000);
    expect(left.left).toBeLessThanOrEqual(60_000);
    expect(late.status).toBe(504);
  });

  test("a request is a Request to everybody who asks, and a platform one on demand", async () => {
    await using server = await start(async (request) => {
      const isRequest = request instanceof Request;
      const copy = request.clone();
      const handedOn = new Request(platformRequest(request), { headers: { "x-more": "1" } });
      return Response.json({ isRequest, copy: await copy.text(), handedOn: await handedOn.text(), url: handedOn.url });
    });

    const answer = await ask(protocol, server, { method: "POST", path: "/x", body: Buffer.from("hello") });

    expect(answer.json()).toEqual({
      isRequest: true,
      copy: "hello",
      handedOn: "hello",
      url: `https://localhost:${server.port}/x`,
    });
  });

  test("fields of the connection do not get out of a handler", async () => {
    const headers = { connection: "upgrade", "keep-alive": "timeout=1", upgrade: "x", "x-mine": "1" };
    await using server = await start(() => new FastResponse("ok", { headers }));

    const answer = await ask(protocol, server);

    expect(answer.all("upgrade")).toEqual([]);
    expect(answer.all("connection")).not.toContain("upgrade");
    expect(answer.all("x-mine")).toEqual(["1"]);
  });
});

test("Alt-Svc tells HTTP/1.1 and HTTP/2 clients of HTTP/3, and is not sent where that is", async () => {
  await using server = await start(() => new Response("ok"));
  const altSvc = async (protocol: (typeof protocols)[number]): Promise<string[]> =>
    (await ask(protocol, server)).all("alt-svc");
  const hasHttp3 = server.protocols.includes("h3");

  expect(await altSvc("http/1.1")).toEqual(hasHttp3 ? [`h3=":${server.port}"; ma=86400`] : []);
  expect(await altSvc("h2")).toEqual(hasHttp3 ? [`h3=":${server.port}"; ma=86400`] : []);
  if (hasHttp3) expect(await altSvc("h3")).toEqual([]);
});

test("a server without TLS speaks HTTP/1.1 alone", async () => {
  await using server = await serve((request) => new Response(request.url), { port: 0, tls: false });

  expect(server.url).toBe(`http://localhost:${server.port}`);
  expect(server.protocols).toEqual(["http/1.1"]);
  expect(server.certificate).toBeUndefined();
  expect(await (await fetch(`http://127.0.0.1:${server.port}/x`)).text()).toBe(`http://127.0.0.1:${server.port}/x`);
});

test("an object with fetch() is a handler, and keeps its this", async () => {
  class App {
    readonly greeting = "hello";

    fetch(): Response {
      return new Response(this.greeting);
    }
  }
  await using server = await serve(new App(), { port: 0, tls: false });

  expect(await (await fetch(server.url)).text()).toBe("hello");
});

test.each([null, { fetch: 1 }, "handler"])("%j is no handler", async (handler) => {
  await expect(serve(handler as unknown as Handler)).rejects.toThrow(/^Cannot serve: the handler must be a function/);
});

test("a port that is taken rejects", async () => {
  await using first = await serve(() => new Response(), { port: 0, tls: false, host: "127.0.0.1" });

  await expect(serve(() => new Response(), { port: first.port, tls: false, host: "127.0.0.1" })).rejects.toThrow(
    "EADDRINUSE",
  );
});

test("requests do not inherit the deadline of whoever started the server", async () => {
  using starting = Context.derive({ timeout: 60_000 });
  const handler: Handler = (_request, { context }) => Response.json({ deadline: String(context.deadline) });
  await using server = await Context.run(starting, () => serve(handler, { port: 0, tls: false }));

  expect(await (await fetch(server.url)).json()).toEqual({ deadline: "Infinity" });
});

test.runIf(protocols.includes("h3"))("a UDP port that is taken costs HTTP/3 and nothing else", async () => {
  const squatter = createSocket("udp4");
  await new Promise<void>((resolve) => squatter.bind(0, "127.0.0.1", resolve));
  const { port } = squatter.address();
  const events: ServerEvent[] = [];
  await using server = await start(() => new Response("ok"), { port, onEvent: (event) => void events.push(event) });

  expect(server.protocols).toEqual(["http/1.1", "h2"]);
  expect(server.engine).toBeUndefined();
  expect(events).toMatchObject([{ kind: "http3-unavailable", reason: expect.stringContaining("UDP port") }]);
  expect((await ask("h2", server)).all("alt-svc")).toEqual([]);
  squatter.close();
});

test.runIf(protocols.includes("h3"))("HTTP/3 alone is a server too", async () => {
  await using server = await start((_request, { protocol }) => new FastResponse(protocol), { protocols: ["h3"] });

  expect(server.protocols).toEqual(["h3"]);
  expect((await ask("h3", server)).body.toString()).toBe("h3");
});

test("an address of the network is refused for HTTP/3 before anything listens", async () => {
  const { key, cert } = await createCertificates();

  await expect(serve(() => new Response(), { host: "192.0.2.1", tls: { key, cert } })).rejects.toThrow(
    /HTTP\/3 needs all addresses .* got host 192.0.2.1/,
  );
});

test("a client certificate can be asked for without HTTP/3", async () => {
  const { key, cert, ca } = await createCertificates();
  await using server = await start(() => new Response("ok"), {
    protocols: ["http/1.1", "h2"],
    tls: { key, cert, ca, requestCert: true },
  });

  await expect(ask("http/1.1", server)).rejects.toThrow();
});

test("the diagnostics channel gets every event", async () => {
  const seen: unknown[] = [];
  const listener = (event: unknown): void => void seen.push(event);
  subscribe("@proj/http3", listener);
  const server = await serve(() => new FastResponse("ok"), { port: 0, tls: false });
  await (await fetch(server.url)).text();
  await server.close();
  unsubscribe("@proj/http3", listener);

  expect(seen).toMatchObject([
    { kind: "request-finished", method: "GET", target: "/", protocol: "http/1.1", status: 200, aborted: false },
    { kind: "drain-started", active: 0 },
    { kind: "drain-finished", aborted: 0 },
  ]);
});
