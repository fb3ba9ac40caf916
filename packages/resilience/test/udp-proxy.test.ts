// The UDP proxy between real sockets: which datagrams arrive, in which order.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { TestClock } from "@proj/concurrency/testing";
import { type UdpToxic, udpProxy } from "@proj/resilience/chaos";
import { expect, test } from "vitest";
import { datagrams, turns, until } from "./support/chaos-servers.ts";

/** Sends numbered datagrams to a server through a proxy, and returns those that arrived, in their order. */
async function arrivals(toxics: readonly UdpToxic[], count: number, { seed = 1, clock = new TestClock() } = {}) {
  using server = await datagrams();
  using client = await datagrams();
  const upstream = toxics.map((toxic) => ({ direction: "upstream", ...toxic }) as UdpToxic);
  await using proxy = await udpProxy({ upstream: server.port, seed, clock, toxics: upstream });
  for (let i = 0; i < count; i++) {
    client.send(String(i), proxy.port);
    // Few at a time, so that the system itself loses none; each must have got through before the next ones.
    if (i % 20 === 19 || i === count - 1) await until(() => proxy.sessions[0]?.upstream.received === i + 1);
  }
  await clock.advance(10_000);
  const [session] = proxy.sessions;
  await until(() => server.received.length === session?.upstream.sent);
  await turns(5);
  return { numbers: server.received.map(Number), counts: session?.upstream };
}

const inOrder = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

test("without toxics all datagrams come through in their order, and answers find their way back", async () => {
  const { numbers, counts } = await arrivals([], 200);
  expect(numbers).toEqual(inOrder(200));
  expect(counts).toMatchObject({ received: 200, sent: 200, lost: 0 });
  using server = await datagrams({ echo: true });
  using one = await datagrams();
  using two = await datagrams();
  await using proxy = await udpProxy({ upstream: server.port });
  one.send("one", proxy.port);
  two.send("two", proxy.port);
  await until(() => one.received.length + two.received.length === 2);
  expect([String(one.received), String(two.received)]).toEqual(["one", "two"]);
  expect(new Set(server.from).size).toBe(2); // a port for each client
  expect(proxy.stats()).toEqual({ listening: true, sessions: 2, accepted: 2, toxics: 0 });
});

test("a tenth is lost, the rest arrives in order, and the same ones are lost with the same seed", async () => {
  const { numbers, counts } = await arrivals([{ type: "loss", rate: 0.1 }], 1_000);
  expect(numbers.length).toBe(1_000 - (counts?.lost ?? 0));
  expect(numbers.length).toBeGreaterThan(860);
  expect(numbers.length).toBeLessThan(940);
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  expect((await arrivals([{ type: "loss", rate: 0.1 }], 1_000)).numbers).toEqual(numbers);
  expect((await arrivals([{ type: "loss", rate: 0.1 }], 1_000, { seed: 2 })).numbers).not.toEqual(numbers);
});

test("a fifth comes behind three later ones, and none is lost", async () => {
  const { numbers, counts } = await arrivals([{ type: "reorder", rate: 0.2, gap: 3 }], 500);
  expect(numbers.toSorted((a, b) => a - b)).toEqual(inOrder(500));
  const late = numbers.filter((number, at) => numbers.slice(0, at).some((earlier) => earlier > number));
  expect(counts?.reordered).toBeGreaterThan(70);
  expect(counts?.reordered).toBeLessThan(130);
  expect(late.length).toBeGreaterThan(70);
  expect(late.length).toBeLessThanOrEqual(counts?.reordered ?? 0);
  for (const number of late.slice(0, -5)) {
    const before = numbers.slice(0, numbers.indexOf(number));
    expect(before.filter((earlier) => earlier > number).length).toBeGreaterThanOrEqual(3);
  }
});

test("one that waits for later ones goes on after its time if none comes", async () => {
  using server = await datagrams();
  using client = await datagrams();
  const clock = new TestClock();
  await using proxy = await udpProxy({
    upstream: server.port,
    clock,
    toxics: [{ type: "reorder", rate: 1, hold: 80, direction: "upstream" }],
  });
  client.send("alone", proxy.port);
  await until(() => proxy.sessions[0]?.upstream.reordered === 1);
  await clock.advance(79);
  await turns(5);
  expect(server.received.length).toBe(0);
  await clock.advance(1);
  await until(() => server.received.length === 1);
});

test("some come twice", async () => {
  const { numbers, counts } = await arrivals([{ type: "duplicate", rate: 0.3 }], 300);
  expect(numbers.length).toBe(300 + (counts?.duplicated ?? 0));
  expect(counts?.duplicated).toBeGreaterThan(60);
  expect(counts?.duplicated).toBeLessThan(120);
  expect([...new Set(numbers)]).toEqual(inOrder(300));
});

test("one byte of some is another one", async () => {
  using server = await datagrams();
  using client = await datagrams();
  const toxics: UdpToxic[] = [{ type: "corrupt", rate: 0.5, direction: "upstream" }];
  await using proxy = await udpProxy({ upstream: server.port, seed: 1, toxics });
  for (let i = 0; i < 100; i++) {
    client.send(Buffer.alloc(50, 7), proxy.port);
    if (i % 20 === 19) await until(() => server.received.length === i + 1);
  }
  const wrong = server.received.map((data) => data.filter((byte) => byte !== 7).length);
  expect(new Set(wrong)).toEqual(new Set([0, 1]));
  expect(wrong.filter((bytes) => bytes === 1).length).toBe(proxy.sessions[0]?.upstream.corrupted);
  expect(wrong.filter((bytes) => bytes === 1).length).toBeGreaterThan(30);
});

test("latency is kept, and jitter lets datagrams overtake each other", async () => {
  using server = await datagrams();
  using client = await datagrams();
  const clock = new TestClock();
  const toxics: UdpToxic[] = [{ type: "latency", latency: 100, jitter: 50, direction: "upstream" }];
  await using proxy = await udpProxy({ upstream: server.port, clock, seed: 1, toxics });
  for (let i = 0; i < 40; i++) client.send(String(i), proxy.port);
  await until(() => proxy.sessions[0]?.upstream.received === 40);
  await clock.advance(49);
  expect(proxy.sessions[0]?.upstream.sent).toBe(0);
  await clock.advance(102);
  await until(() => server.received.length === 40);
  const numbers = server.received.map(Number);
  expect(numbers).not.toEqual(inOrder(40));
  expect(numbers.toSorted((a, b) => a - b)).toEqual(inOrder(40));
});

test("bandwidth is kept within 15 percent, and what it cannot queue is lost", async () => {
  using server = await datagrams();
  using client = await datagrams();
  const clock = new TestClock();
  const toxics: UdpToxic[] = [{ type: "bandwidth", bytesPerSecond: 10_000, queue: 8_000, direction: "upstream" }];
  await using proxy = await udpProxy({ upstream: server.port, clock, toxics });
  let sent = 0;
  for (let at = 0; at < 2_000; at += 50) {
    // Twice of what gets through.
    for (let i = 0; i < 10; i++) client.send(Buffer.alloc(100), proxy.port);
    sent += 10;
    await until(() => proxy.sessions[0]?.upstream.received === sent);
    await clock.advance(50);
  }
  const counts = proxy.sessions[0]?.upstream;
  const bytesPerSecond = ((counts?.sent ?? 0) * 100) / 2;
  expect(bytesPerSecond).toBeGreaterThan(10_000 * 0.85);
  expect(bytesPerSecond).toBeLessThan(10_000 * 1.15);
  await clock.advance(2_000);
  expect((counts?.sent ?? 0) + (counts?.overflowed ?? 0)).toBe(sent);
  expect(counts?.overflowed).toBeGreaterThan(80);
  await until(() => server.received.length === counts?.sent);
});

test("what is on its way is bounded", async () => {
  using server = await datagrams();
  using client = await datagrams();
  const clock = new TestClock();
  const toxics: UdpToxic[] = [{ type: "latency", latency: 60_000, direction: "upstream" }];
  await using proxy = await udpProxy({ upstream: server.port, clock, toxics, buffer: 1_000 });
  for (let i = 0; i < 20; i++) client.send(Buffer.alloc(100), proxy.port);
  await until(() => proxy.sessions[0]?.upstream.received === 20);
  expect(proxy.sessions[0]?.upstream.overflowed).toBe(10);
});

test("empty datagrams on their way are bounded as well, and what is lost uses up no bandwidth", async () => {
  using server = await datagrams();
  using client = await datagrams();
  const clock = new TestClock();
  const toxics: UdpToxic[] = [{ type: "latency", latency: 60_000, direction: "upstream" }];
  await using proxy = await udpProxy({ upstream: server.port, clock, toxics, buffer: 640 });
  for (let i = 0; i < 20; i++) client.send(Buffer.alloc(0), proxy.port);
  await until(() => proxy.sessions[0]?.upstream.received === 20);
  expect([proxy.sessions[0]?.upstream.overflowed, clock.timers]).toEqual([10, 11]); // and one for idle clients

  proxy.set([{ type: "bandwidth", bytesPerSecond: 1_000, queue: 1_000_000, direction: "upstream" }]);
  await clock.advance(60_000);
  using other = await datagrams();
  for (let i = 0; i < 20; i++) other.send(Buffer.alloc(320), proxy.port);
  await until(() => proxy.sessions.at(-1)?.upstream.received === 20);
  await clock.advance(640);
  other.send(Buffer.alloc(320), proxy.port);
  await until(() => proxy.sessions.at(-1)?.upstream.received === 21);
  await clock.advance(320);
  expect(proxy.sessions.at(-1)?.upstream).toMatchObject({ sent: 3, overflowed: 18 });
});

test("the largest datagram and the smallest one come through", async () => {
  using server = await datagrams({ echo: true });
  using client = await datagrams();
  await using proxy = await udpProxy({ upstream: server.port });
  const largest = process.platform === "darwin" ? 9_216 : 65_507;
  client.send(Buffer.alloc(largest, 7), proxy.port);
  client.send(Buffer.alloc(0), proxy.port);
  await until(() => client.received.length === 2);
  expect(client.received).toEqual([Buffer.alloc(largest, 7), Buffer.alloc(0)]);
});

test("an IPv6 server may be written in any way", async () => {
  const server = createSocket("udp6").bind(0, "::1");
  await once(server, "listening");
  server.on("message", (data, { port, address }) => server.send(data, port, address));
  await using proxy = await udpProxy({ upstream: `[0:0:0:0:0:0:0:1]:${server.address().port}`, host: "::1" });
  const client = createSocket("udp6");
  client.send("there and back", proxy.port, "::1");
  expect(String((await once(client, "message"))[0])).toBe("there and back");
  client.close();
  server.close();
});

test("a client that is silent for long is forgotten, and so is the oldest one when there are too many", async () => {
  using server = await datagrams({ echo: true });
  const clock = new TestClock();
  await using proxy = await udpProxy({ upstream: server.port, clock, idle: 1_000, maxSessions: 2 });
  using one = await datagrams();
  using two = await datagrams();
  using three = await datagrams();
  one.send("1", proxy.port);
  await until(() => one.received.length === 1);
  await clock.advance(600);
  two.send("2", proxy.port);
  await until(() => two.received.length === 1);
  await clock.advance(399);
  expect(proxy.sessions.map(({ id }) => id)).toEqual([1, 2]);
  await clock.advance(1);
  expect(proxy.sessions.map(({ id }) => id)).toEqual([2]);
  one.send("1", proxy.port);
  await until(() => one.received.length === 2);
  expect(server.from[2]).not.toBe(server.from[0]); // a new one, as far as the server knows
  three.send("3", proxy.port);
  await until(() => three.received.length === 1);
  expect(proxy.sessions.map(({ id }) => id)).toEqual([3, 4]);
  await clock.advance(1_000);
  expect([proxy.sessions.length, clock.timers]).toEqual([0, 0]);
});

test("rebinding gives clients another port, as a NAT does, and answers to the old one are lost", async () => {
  using server = await datagrams();
  using client = await datagrams();
  await using proxy = await udpProxy({ upstream: server.port });
  client.send("1", proxy.port);
  await until(() => server.received.length === 1);
  const [session] = proxy.sessions;
  expect(session?.port).toBe(server.from[0]);
  proxy.rebind();
  server.send("too late", server.from[0] as number);
  client.send("2", proxy.port);
  await until(() => server.received.length === 2);
  expect(server.from[1]).not.toBe(server.from[0]);
  server.send("in time", server.from[1] as number);
  await until(() => client.received.length === 1);
  expect(client.received.map(String)).toEqual(["in time"]);
});

test("a client that was forgotten is not rebound", async () => {
  using server = await datagrams({ echo: true });
  using client = await datagrams();
  const proxy = await udpProxy({ upstream: server.port });
  client.send("1", proxy.port);
  await until(() => client.received.length === 1);
  const [session] = proxy.sessions;
  await proxy.close();
  const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === "UDPWrap").length;
  await until(() => sockets() === 2);
  session?.rebind();
  expect(sockets()).toBe(2);
});

test.skipIf(process.platform !== "linux")("one whose port is taken leaves no descriptor behind", async () => {
  using taken = await datagrams();
  const open = (): number => readdirSync("/proc/self/fd").length;
  const before = open();
  for (let i = 0; i < 10; i++) {
    await expect(udpProxy({ upstream: 1, port: taken.port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  }
  await until(() => open() <= before);
});

test("while it is down nobody listens; then it has the same port again", async () => {
  using server = await datagrams({ echo: true });
  using client = await datagrams();
  await using proxy = await udpProxy({ upstream: server.port });
  const { port } = proxy;
  const outage = proxy.add({ type: "down" });
  client.send("lost", port);
  await turns(10);
  outage[Symbol.dispose]();
  await proxy.ready();
  client.send("found", port);
  await until(() => client.received.length === 1);
  expect([proxy.port, client.received.map(String)]).toEqual([port, ["found"]]);
});

test("a toxic acts on its share of the clients", async () => {
  using server = await datagrams({ echo: true });
  await using proxy = await udpProxy({
    upstream: server.port,
    seed: 4,
    toxics: [{ type: "drop", direction: "upstream", share: 0.5 }],
  });
  let lost = 0;
  for (let i = 1; i <= 20; i++) {
    using client = await datagrams();
    client.send("?", proxy.port);
    await until(() => client.received.length === 1 || proxy.sessions.find(({ id }) => id === i)?.upstream.lost === 1);
    lost += 1 - client.received.length;
  }
  expect(lost).toBeGreaterThan(4);
  expect(lost).toBeLessThan(16);
});

test.each<[unknown, RegExp]>([
  [{ upstream: 1, idle: -1 }, /idle must be 0 ms or more, got -1/],
  [{ upstream: 1, maxSessions: 0 }, /maxSessions must be an integer of at least 1, got 0/],
  [{ upstream: 1, toxics: [{ type: "half-open" }] }, /type must be one of/],
])("options that make no sense are refused: %j", async (options, message) => {
  await expect(udpProxy(options as never)).rejects.toThrow(message);
});
