// What Redis tells of changes to keys, and what a bus makes of it.
import { setTimeout as delay } from "node:timers/promises";
import { startRedis, testWithTools } from "@tooling/testing";
import { createClient } from "redis";
import { expect, vi } from "vitest";
import type { BusListener, Invalidation } from "../src/lib/tier.ts";
import { pubsubBus, redisTier, trackingBus } from "../src/redis.ts";
import { connectIoRedis, connectTracking } from "./support/redis-clients.ts";

const test = testWithTools("redis-server");
vi.setConfig({ testTimeout: 30_000 });

test("A tracking bus tells of what others set, delete and let expire, and of FLUSHALL, but not of one's own writes", async () => {
  await using redis = await startRedis({ args: ["--hz", "100"] });
  await using here = await connectTracking(redis.url);
  await using there = await connectTracking(redis.url);
  const told = new Told();
  using _subscription = trackingBus({ client: here.client, prefix: "users:" }).subscribe(told);
  await vi.waitFor(() => expect(told.links).toEqual(["lost", "restored"]));

  const [own, others] = [here, there].map(({ client }) => redisTier({ client, prefix: "users:" }));
  const expiresAt = Number.POSITIVE_INFINITY;
  await own?.set("own", { bytes: Buffer.from("value"), expiresAt });
  await own?.delete(["own", "none"]);
  const fill = {};
  await own?.get("filled", { fill });
  await own?.set("filled", { bytes: Buffer.from("value"), expiresAt }, { fill });
  await own?.get("filled", { fill });
  await own?.set("filled", { bytes: Buffer.from("value"), expiresAt }, { fill });
  await others?.set("set", { bytes: Buffer.from("value"), expiresAt });
  await vi.waitFor(() => expect(told.keys).toContain("set"));
  await others?.delete(["set", "never there"]);
  await vi.waitFor(() => expect(told.keys).toContain("never there"));
  await others?.set("expires", { bytes: Buffer.from("value"), expiresAt: Date.now() + 50 });
  await vi.waitFor(() => expect(told.keys.filter((key) => key === "expires")).toHaveLength(2));
  await there.client.set("elsewhere:key", "value");
  await there.client.flushAll();
  await vi.waitFor(() => expect(told.prefixes).toEqual([""]));
  expect(told.keys.toSorted()).toEqual(["expires", "expires", "never there", "set", "set"]);
});

test("Tags and prefixes arrive once, in order with the changes of keys", async () => {
  await using redis = await startRedis();
  await using here = await connectTracking(redis.url);
  await using there = await connectTracking(redis.url);
  const told = new Told();
  using _subscription = trackingBus({ client: here.client }).subscribe(told);
  await vi.waitFor(() => expect(told.links).toEqual(["lost", "restored"]));
  const bus = trackingBus({ client: there.client });
  for (let n = 0; n < 20; n++) {
    await there.client.set(`cache:${n}`, "value");
    await bus.publish({ tags: { tag: n } });
  }
  await bus.publish({ prefix: "end" });
  await vi.waitFor(() => expect(told.prefixes).toEqual(["end"]));
  const expected = Array.from({ length: 20 }, (_, n) => [{ keys: [`${n}`] }, { tags: { tag: n } }]).flat();
  expect(told.all).toEqual([...expected, { prefix: "end" }]);
  expect(await there.client.keys("*bus*")).toEqual([]);
});

test("Keys are told by Redis, and published only if a bus is told to", async () => {
  await using redis = await startRedis();
  await using connected = await connectTracking(redis.url);
  expect(trackingBus({ client: connected.client }).publish({ keys: ["key"] })).toBeUndefined();
  const publishing = trackingBus({ client: connected.client, publishKeys: true }).publish({ keys: ["key"] });
  expect(publishing).toBeInstanceOf(Promise);
  await publishing;
});

test("A server that stands still counts as a lost link until it answers", async () => {
  await using redis = await startRedis();
  await using admin = await connectIoRedis(redis.url);
  await using tracking = await connectTracking(redis.url);
  await using publisher = await connectIoRedis(redis.url);
  await using subscriber = await connectIoRedis(redis.url);
  const buses = [
    trackingBus({ client: tracking.client, heartbeat: 50 }),
    pubsubBus({ client: publisher.client, subscriber: subscriber.client, heartbeat: 50 }),
  ];
  for (const bus of buses) {
    const told = new Told();
    using _subscription = bus.subscribe(told);
    await vi.waitFor(() => expect(told.links).toEqual(["lost", "restored"]));
    await admin.client.call("CLIENT", "PAUSE", "300", "ALL");
    await vi.waitFor(() => expect(told.links).toEqual(["lost", "restored", "lost"]), { timeout: 250, interval: 5 });
    await vi.waitFor(() => expect(told.links).toEqual(["lost", "restored", "lost", "restored"]));
  }
});

test("A bus ends with its last listener, and begins again with the next", async () => {
  await using redis = await startRedis();
  await using here = await connectTracking(redis.url);
  await using there = await connectTracking(redis.url);
  const bus = trackingBus({ client: here.client });
  const listeners = here.client.listenerCount("ready");
  for (let round = 0; round < 3; round++) {
    const told = new Told();
    const subscription = bus.subscribe(told);
    await vi.waitFor(() => expect(told.links.at(-1)).toBe("restored"));
    await there.client.set("cache:key", `${round}`);
    await vi.waitFor(() => expect(told.keys).toEqual(["key"]));
    subscription[Symbol.dispose]();
    await there.client.set("cache:key", "unheard");
    await delay(20);
    expect(told.keys).toEqual(["key"]);
    expect(here.client.listenerCount("ready")).toBe(listeners);
  }
});

test("A client that does not tell of invalidations is refused", async () => {
  const client = createClient({ RESP: 3 });
  expect(() => trackingBus({ client })).toThrow(
    new TypeError(
      "Cannot create a tracking bus: client must be one of redis, made with { RESP: 3, emitInvalidate: true }",
    ),
  );
  expect(() => pubsubBus({ client, subscriber: client as never })).toThrow("subscriber must be a client of its own");
});

class Told implements BusListener {
  readonly all: Invalidation[] = [];
  readonly keys: string[] = [];
  readonly prefixes: string[] = [];
  readonly links: string[] = [];

  invalidated(what: Invalidation): void {
    this.all.push(JSON.parse(JSON.stringify(what)));
    this.keys.push(...(what.keys ?? []));
    if (what.prefix !== undefined) this.prefixes.push(what.prefix);
  }

  lost(): void {
    this.links.push("lost");
  }

  restored(): void {
    this.links.push("restored");
  }
}
