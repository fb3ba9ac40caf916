// The TCP proxy between real sockets; its delays on a virtual clock where they are measured.
import { once } from "node:events";
import { connect } from "node:net";
import { components } from "@proj/concurrency/inspect";
import { TestClock } from "@proj/concurrency/testing";
import { type TcpToxic, tcpProxy } from "@proj/resilience/chaos";
import { expect, test } from "vitest";
import { echoServer, TestClient, tcpServer, turns, until, untilOn } from "./support/chaos-servers.ts";

test("without toxics it passes on bytes, ends and half-closed connections", async () => {
  await using server = await echoServer();
  await using proxy = await tcpProxy({ upstream: server.port, name: "plain" });
  using client = new TestClient(proxy.port);
  client.socket.write("hello");
  await until(() => client.text === "hello");
  const [connection] = proxy.connections;
  expect(connection).toMatchObject({ id: 1, bytesUpstream: 5, bytesDownstream: 5, queued: 0, dropped: 0 });
  expect(components("tcp-proxy").find(({ name }) => name === "plain")?.stats).toMatchObject({ connections: 1 });
  client.socket.end("bye"); // the answer comes after our own end
  await client.closed;
  expect([client.text, client.ended, client.error]).toEqual(["hellobye", true, undefined]);
  await until(() => proxy.connections.length === 0);
  expect(proxy.stats()).toEqual({ listening: true, connections: 0, accepted: 1, unreachable: 0, toxics: 0 });
});

test("what it has not listened for it does not keep: close() frees the port and all connections", async () => {
  await using server = await echoServer();
  const proxy = await tcpProxy({ upstream: server.port });
  using client = new TestClient(proxy.port);
  client.socket.write("a");
  await until(() => client.text === "a");
  await proxy.close();
  await client.closed;
  expect(client.error?.code).toBe("ECONNRESET");
  await until(() => server.sockets.size === 0);
  expect(() => proxy.add({ type: "drop" })).toThrow(/closed/i);
  await using again = await tcpProxy({ upstream: server.port, port: proxy.port });
  expect(again.port).toBe(proxy.port);
});

test("an unreachable server is a reset, and is counted", async () => {
  const gone = await echoServer();
  await using proxy = await tcpProxy({ upstream: gone.port });
  await gone[Symbol.asyncDispose]();
  using client = new TestClient(proxy.port);
  await client.closed;
  expect(client.error?.code).toBe("ECONNRESET");
  expect(proxy.stats().unreachable).toBe(1);
});

test("latency delays each byte once, in order, and is gone as soon as it is taken away", async () => {
  await using server = await echoServer();
  const clock = new TestClock();
  await using proxy = await tcpProxy({ upstream: server.port, clock, seed: 1 });
  const slow = proxy.add({ type: "latency", latency: 100, jitter: 40 });
  using client = new TestClient(proxy.port);
  for (let i = 0; i < 10; i++) {
    client.socket.write(String(i));
    await turns(3);
  }
  await until(() => proxy.connections[0]?.bytesUpstream === 10);
  await turns(10);
  await clock.advance(59);
  await turns(10);
  expect(client.text).toBe("");
  await clock.advance(82);
  await until(() => client.text === "0123456789");
  client.socket.write("late");
  await until(() => proxy.connections[0]?.queued === 4);
  slow[Symbol.dispose]();
  await until(() => client.text === "0123456789late");
  expect(clock.timers).toBe(0);
});

test.each([10_000, 250_000])("bandwidth is kept within 15 percent: %d bytes per second", async (bytesPerSecond) => {
  const size = bytesPerSecond * 2;
  await using server = await tcpServer((socket) => socket.end(Buffer.alloc(size)));
  const clock = new TestClock();
  await using proxy = await tcpProxy({
    upstream: server.port,
    clock,
    toxics: [{ type: "bandwidth", bytesPerSecond }],
  });
  using client = new TestClient(proxy.port);
  let halfAt = 0;
  await untilOn(
    clock,
    () => {
      if (halfAt === 0 && client.received.length >= size / 2) halfAt = clock.now();
      return client.ended;
    },
    20,
  );
  expect(client.received.length).toBe(size);
  expect(clock.now()).toBeGreaterThan(2_000 * 0.85);
  expect(clock.now()).toBeLessThan(2_000 * 1.15);
  expect(halfAt).toBeGreaterThan(1_000 * 0.85);
  expect(halfAt).toBeLessThan(1_000 * 1.15);
});

test("a body drips piece by piece", async () => {
  await using server = await tcpServer((socket) => socket.end("0123456789"));
  const clock = new TestClock();
  await using proxy = await tcpProxy({
    upstream: server.port,
    clock,
    toxics: [{ type: "drip", bytes: 2, interval: 50 }],
  });
  using client = new TestClient(proxy.port);
  await until(() => client.text === "01");
  await clock.advance(49);
  await turns(5);
  expect(client.text).toBe("01");
  await untilOn(clock, () => client.ended);
  expect(client.text).toBe("0123456789");
  expect(clock.now()).toBeGreaterThanOrEqual(200);
  expect(clock.now()).toBeLessThanOrEqual(260);
});

test("a loss stalls all that comes behind it", async () => {
  await using server = await echoServer();
  const clock = new TestClock();
  await using proxy = await tcpProxy({
    upstream: server.port,
    clock,
    toxics: [{ type: "loss", rate: 1, retransmit: 300, direction: "upstream" }],
  });
  using client = new TestClient(proxy.port);
  client.socket.write("a");
  await until(() => proxy.connections[0]?.queued === 1);
  proxy.set([...proxy.toxics, { type: "latency", latency: 0 }]); // what waits goes on waiting
  await clock.advance(299);
  await turns(5);
  expect(client.text).toBe("");
  await clock.advance(1);
  await until(() => client.text === "a");
});

test("the end of a connection comes late", async () => {
  await using server = await tcpServer((socket) => socket.end("all"));
  const clock = new TestClock();
  await using proxy = await tcpProxy({ upstream: server.port, clock, toxics: [{ type: "slow-close", delay: 500 }] });
  using client = new TestClient(proxy.port);
  await until(() => client.text === "all");
  await clock.advance(499);
  await turns(5);
  expect(client.ended).toBe(false);
  await clock.advance(1);
  await until(() => client.ended);
});

test("a reset is a real one, for what is open and for what comes", async () => {
  await using server = await echoServer();
  await using proxy = await tcpProxy({ upstream: server.port });
  using open = new TestClient(proxy.port);
  open.socket.write("a");
  await until(() => open.text === "a");
  proxy.add({ type: "reset" });
  await open.closed;
  expect(open.error?.code).toBe("ECONNRESET");
  using later = new TestClient(proxy.port);
  await later.closed;
  expect(later.error?.code).toBe("ECONNRESET");
  await until(() => server.sockets.size === 0);
});

test("a reset comes after its time, in the midst of a body", async () => {
  await using server = await tcpServer((socket) => socket.write("half of it"));
  const clock = new TestClock();
  await using proxy = await tcpProxy({ upstream: server.port, clock, toxics: [{ type: "reset", after: 100 }] });
  using client = new TestClient(proxy.port);
  await until(() => client.text === "half of it");
  await clock.advance(100);
  await client.closed;
  expect(client.error?.code).toBe("ECONNRESET");
});

test("a reset keeps its time, whatever else is made wrong or right meanwhile", async () => {
  await using server = await echoServer();
  const clock = new TestClock();
  await using proxy = await tcpProxy({ upstream: server.port, clock, toxics: [{ type: "reset", after: 100 }] });
  using client = new TestClient(proxy.port);
  client.socket.write("a");
  await until(() => client.text === "a");
  await clock.advance(60);
  using _other = proxy.add({ type: "slow-close", delay: 1 });
  await clock.advance(39);
  await turns(5);
  expect(client.error).toBeUndefined();
  await clock.advance(1);
  await client.closed;
  expect(client.error?.code).toBe("ECONNRESET");
  expect(clock.timers).toBe(0);
});

test("a half-open peer accepts, says nothing, and goes on when it is healed", async () => {
  await using server = await echoServer();
  await using proxy = await tcpProxy({ upstream: server.port, toxics: [{ type: "half-open" }] });
  using client = new TestClient(proxy.port);
  client.socket.write("anybody?");
  await until(() => proxy.connections.length === 1);
  await turns(20);
  expect([client.text, server.sockets.size]).toEqual(["", 0]);
  proxy.clear();
  await until(() => client.text === "anybody?");
  const again = proxy.add({ type: "half-open" });
  client.socket.write(" still?");
  await turns(20);
  expect(client.text).toBe("anybody?");
  again[Symbol.dispose]();
  await until(() => client.text === "anybody? still?");
});

test("a side that does not read stops the other one, in bounded memory", async () => {
  const chunk = Buffer.alloc(65_536);
  let sent = 0;
  await using server = await tcpServer((socket) => {
    const push = (): void => {
      while (socket.write(chunk)) sent += chunk.length;
      sent += chunk.length;
    };
    socket.on("drain", push);
    push();
  });
  await using proxy = await tcpProxy({ upstream: server.port, buffer: 100_000 });
  using client = new TestClient(proxy.port);
  client.socket.pause();
  let before = -1;
  while (before !== sent) {
    before = sent;
    await turns(20);
  }
  const [connection] = proxy.connections;
  expect(connection?.queued).toBeGreaterThanOrEqual(100_000);
  expect(connection?.queued).toBeLessThanOrEqual(100_000 + 65_536);
  client.socket.resume();
  await until(() => sent > before * 2); // and it goes on
});

test("while it is down connections are refused; then it listens on the same port", async () => {
  await using server = await echoServer();
  await using proxy = await tcpProxy({ upstream: server.port });
  using open = new TestClient(proxy.port);
  open.socket.write("a");
  await until(() => open.text === "a");
  {
    using _outage = proxy.add({ type: "down" });
    await open.closed;
    expect(open.error?.code).toBe("ECONNRESET");
    using refused = new TestClient(proxy.port);
    await refused.closed;
    expect(refused.error?.code).toBe("ECONNREFUSED");
    expect(proxy.stats().listening).toBe(false);
  }
  await proxy.ready();
  using client = new TestClient(proxy.port);
  client.socket.write("b");
  await until(() => client.text === "b");
});

test("it may go up and down as quickly as one likes, and ends as it was told last", async () => {
  await using server = await echoServer();
  await using proxy = await tcpProxy({ upstream: server.port });
  for (let i = 0; i < 20; i++) {
    proxy.set([{ type: "down" }]);
    if (i % 3 === 0) await turns(1);
    proxy.clear();
    if (i % 2 === 0) await proxy.ready();
  }
  await proxy.ready();
  using client = new TestClient(proxy.port);
  client.socket.write("b");
  await until(() => client.text === "b");
});

test.each([0, 1, 2, 3])(
  "a connection whose end is on its way out can be reset, and is not left behind: %d",
  async (ticks) => {
    const clock = new TestClock();
    await using server = await tcpServer((socket) => socket.end("bye"));
    await using proxy = await tcpProxy({ upstream: server.port, clock, toxics: [{ type: "slow-close", delay: 100 }] });
    using client = new TestClient(proxy.port);
    await until(() => client.text === "bye" && clock.timers === 1);
    clock.advanceToNext(); // the end goes out
    for (let i = 0; i < ticks; i++) await new Promise<void>((resolve) => process.nextTick(resolve));
    using _outage = proxy.add({ type: "down" });
    await until(() => proxy.connections.length === 0);
  },
);

test("one that is closed while it comes up again does not listen any more", async () => {
  const proxy = await tcpProxy({ upstream: 1 });
  for (let i = 0; i < 5; i++) {
    proxy.set([{ type: "down" }]);
    proxy.clear();
  }
  await proxy.close();
  await turns(5);
  using client = new TestClient(proxy.port);
  await client.closed;
  expect(client.error?.code).toBe("ECONNREFUSED");
});

test("one that waits for its port can be closed, whatever its clock does", async () => {
  await using server = await echoServer();
  const proxy = await tcpProxy({ upstream: server.port, clock: new TestClock() });
  proxy.set([{ type: "down" }]);
  await turns(5);
  const other = await tcpProxy({ upstream: server.port, port: proxy.port });
  proxy.clear();
  await turns(5);
  await proxy.close();
  await other.close();
  expect(proxy.stats().listening).toBe(false);
});

test("it goes from IPv6 to IPv6", async () => {
  await using server = await tcpProxy({ upstream: 1, host: "::1" });
  await using proxy = await tcpProxy({ upstream: server.address, host: "::1" });
  expect([proxy.upstream, proxy.address]).toEqual([`[::1]:${server.port}`, `[::1]:${proxy.port}`]);
  const socket = connect({ port: proxy.port, host: "::1" });
  const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException]; // by the last one of the chain
  expect([error.code, server.stats().unreachable]).toEqual(["ECONNRESET", 1]);
});

test("after so many bytes a connection is closed, and not one byte more gets through", async () => {
  await using server = await tcpServer((socket) => socket.end(Buffer.alloc(300_000, "x")));
  await using proxy = await tcpProxy({ upstream: server.port, toxics: [{ type: "limit", bytes: 123_456 }] });
  using client = new TestClient(proxy.port);
  await until(() => client.ended);
  expect(client.received.length).toBe(123_456);
});

test("what is dropped is gone, and nobody is told", async () => {
  await using server = await echoServer();
  await using proxy = await tcpProxy({ upstream: server.port });
  using client = new TestClient(proxy.port);
  const hole = proxy.add({ type: "drop", direction: "upstream" });
  client.socket.write("lost");
  await until(() => proxy.connections[0]?.dropped === 4);
  hole[Symbol.dispose]();
  client.socket.write("found");
  await until(() => client.text === "found");
});

test.each<readonly TcpToxic[]>([[], [{ type: "drip", bytes: 10, interval: 1 }]])(
  "corruption changes one byte of a chunk, also of one that goes out in slices: %j",
  async (...others) => {
    await using server = await tcpServer((socket) => socket.end(Buffer.alloc(100)));
    const clock = new TestClock();
    const toxics: TcpToxic[] = [{ type: "corrupt", rate: 1 }, ...others];
    await using proxy = await tcpProxy({ upstream: server.port, toxics, seed: 1, clock });
    using client = new TestClient(proxy.port);
    await untilOn(clock, () => client.ended);
    expect(client.received.filter((byte) => byte !== 0).length).toBe(1);
  },
);

test("a toxic acts on its share of the connections, the same ones for the same seed", async () => {
  await using server = await echoServer();
  const hit = async (seed: number): Promise<number[]> => {
    await using proxy = await tcpProxy({ upstream: server.port, seed, toxics: [{ type: "reset", share: 0.4 }] });
    const ids: number[] = [];
    for (let id = 1; id <= 25; id++) {
      using client = new TestClient(proxy.port);
      client.socket.write("a");
      await until(() => client.text === "a" || client.error !== undefined);
      if (client.error !== undefined) ids.push(id);
    }
    return ids;
  };
  const first = await hit(1);
  expect(first.length).toBeGreaterThan(3);
  expect(first.length).toBeLessThan(18);
  expect(await hit(1)).toEqual(first);
  expect(await hit(2)).not.toEqual(first);
});

test.each<[unknown, RegExp]>([
  [{ type: "explode" }, /Cannot add a toxic: type must be one of "latency", .*, got "explode"/],
  [{ type: "reorder", rate: 1 }, /type must be one of/],
  [{ type: "latency" }, /Cannot add a latency toxic: latency must be a number of milliseconds, got undefined/],
  [{ type: "latency", latency: 1, jiter: 2 }, /it has no option jiter/],
  [{ type: "bandwidth", bytesPerSecond: 0 }, /bytesPerSecond must be a positive number, got 0/],
  [{ type: "drop", direction: "sideways" }, /direction must be one of/],
  [{ type: "reset", share: 2 }, /share must be a number from 0 to 1, got 2/],
  ["latency", /it must be an object, got "latency"/],
])("a toxic that makes no sense is refused and changes nothing: %j", async (toxic, message) => {
  await using proxy = await tcpProxy({ upstream: "localhost:1" });
  expect(() => proxy.add(toxic as TcpToxic)).toThrow(message);
  expect(proxy.toxics).toEqual([]);
});

test.each<[unknown, RegExp]>([
  [{ upstream: 0 }, /upstream must be an integer of at least 1, got 0/],
  [{ upstream: "nowhere" }, /upstream must be a port or a host:port, got "nowhere"/],
  [{ upstream: 70_000 }, /upstream must be a port up to 65535, got 70000/],
  [{ upstream: 1, host: "localhost" }, /host must be an IP address, got "localhost"/],
  [{ upstream: 1, buffer: 0 }, /buffer must be an integer of at least 1, got 0/],
])("options that make no sense are refused: %j", async (options, message) => {
  await expect(tcpProxy(options as never)).rejects.toThrow(message);
});
