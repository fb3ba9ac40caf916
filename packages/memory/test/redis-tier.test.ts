// What a tier in Redis does beyond what every tier does: late fills, clearing without KEYS, and a server that is away.

import { TestClock } from "@proj/concurrency/testing";
import { type RedisServer, startRedis, testWithTools } from "@tooling/testing";
import { createCluster } from "redis";
import { afterAll, expect, vi } from "vitest";
import type { Sealed, Tier } from "../src/lib/tier.ts";
import { redisLease, redisTier } from "../src/redis.ts";
import { clients, connectIoRedis, connectTracking } from "./support/redis-clients.ts";

const test = testWithTools("redis-server");
vi.setConfig({ testTimeout: 30_000 });

let server: Promise<RedisServer> | undefined;
let tiers = 0;

afterAll(async () => {
  await (await server)?.[Symbol.asyncDispose]();
});

for (const [name, connect] of Object.entries(clients)) {
  /** Two tiers of two processes on the same keys. */
  const makeTwo = async (fence?: number) => {
    server ??= startRedis();
    const { url } = await server;
    await using stack = new AsyncDisposableStack();
    const prefix = `t${++tiers}:`;
    const clock = new TestClock({ wall: Date.now() });
    const make = async () => redisTier({ client: stack.use(await connect(url)).client, prefix, clock, fence });
    const [here, there] = [await make(), await make()];
    const { client } = stack.use(await connectTracking(url));
    const own = stack.move();
    return { here, there, client, prefix, clock, [Symbol.asyncDispose]: () => own.disposeAsync() };
  };

  test(`${name}: a value that was loaded is stored if nothing has happened to its key`, async () => {
    await using under = await makeTwo();
    const { here } = under;
    for (const text of ["first", "second"]) {
      const fill = {};
      await here.get("key", { fill });
      await here.set("key", sealed(text), { fill });
      expect(await textOf(here, "key")).toBe(text); // the second one takes the place of what the load has seen
    }
    await here.delete(["key"]);
    const fill = {};
    await here.getMany(["other", "key"], { fill });
    await here.set("key", sealed("after a deletion"), { fill });
    expect(await textOf(here, "key")).toBe("after a deletion");
  });

  test(`${name}: a load that began before a write or a deletion does not undo it`, async () => {
    await using under = await makeTwo();
    const { here, there } = under;
    const attempts: Record<string, (tier: Tier) => unknown> = {
      written: (tier) => tier.set("key", sealed("new")),
      deleted: (tier) => tier.delete(["key"]),
      cleared: (tier) => tier.clear("k"),
    };
    for (const before of [undefined, "old"]) {
      for (const [what, change] of Object.entries(attempts)) {
        if (what === "cleared" && before === undefined) continue; // leaves no trace: other processes are told by the bus
        await there.delete(["key"]);
        if (before !== undefined) await there.set("key", sealed(before));
        const fill = {};
        await here.get("key", { fill });
        await change(there);
        await here.set("key", sealed("loaded before"), { fill });
        expect(await textOf(there, "key"), `${what} over ${before}`).toBe(what === "written" ? "new" : undefined);
      }
    }
  });

  test(`${name}: a load of which Redis knows no more what there was is not stored`, async () => {
    await using under = await makeTwo(1_000);
    const { here, clock } = under;
    const fill = {};
    await here.get("key", { fill });
    await clock.advance(1_000);
    await here.set("key", sealed("value"), { fill });
    await here.set("key", sealed("value"), { fill: {} }); // one that was never looked for
    expect(await textOf(here, "key")).toBeUndefined();
  });

  test(`${name}: what is deleted leaves a small trace that goes away by itself`, async () => {
    await using under = await makeTwo(10_000);
    const { here, client, prefix } = under;
    await here.set("key", sealed("x".repeat(1_000)));
    await here.delete(["key", "other"]);
    expect(await client.strLen(`${prefix}key`)).toBe(17);
    expect(await client.pTTL(`${prefix}other`)).toBeGreaterThan(5_000);
    expect(await client.pTTL(`${prefix}other`)).toBeLessThanOrEqual(10_000);
  });

  test(`${name}: with a fence of 0, deleting leaves nothing`, async () => {
    await using under = await makeTwo(0);
    await under.here.set("key", sealed("value"));
    await under.here.delete(["key"]);
    expect(await under.client.exists(`${under.prefix}key`)).toBe(0);
  });

  test(`${name}: getMany() is one MGET, and clear() is SCAN and UNLINK in slices, never KEYS or one huge command`, async () => {
    await using under = await makeTwo();
    const { here, client } = under;
    const keys = Array.from({ length: 3_000 }, (_, n) => `user:${n}`);
    await Promise.all(keys.map(async (key) => await here.set(key, sealed("value"))));
    await here.set("users", sealed("other"));
    await client.sendCommand(["CONFIG", "RESETSTAT"]);
    await here.getMany(keys.slice(0, 100));
    expect(await callsOf(client)).toMatchObject({ mget: 1 });
    expect(await here.clear("user:")).toBe(3_000);
    const calls = await callsOf(client);
    expect(calls["keys"]).toBeUndefined();
    expect(calls["scan"]).toBeGreaterThan(5);
    expect(calls["unlink"]).toBeGreaterThan(5);
    expect(calls["unlink"]).toBeLessThanOrEqual(calls["scan"] as number);
    expect(await textOf(here, "users")).toBe("other");
  });

  test(`${name}: calls reject at once while there is no server, and nothing of them happens later`, async () => {
    await using redis = await startRedis();
    const { client, [Symbol.asyncDispose]: dispose } = await connect(redis.url);
    await using _client = { [Symbol.asyncDispose]: dispose };
    const tier = redisTier({ client, prefix: "" });
    await tier.set("key", sealed("value"));
    await redis.stop();
    await vi.waitFor(() => expect(tier.get("key")).rejects.toThrow());
    const calls = [
      () => tier.get("key"),
      () => tier.getMany(["key"]),
      () => tier.set("key", sealed("late")),
      () => tier.delete(["key"]),
      () => tier.clear(""),
      () => redisLease({ client, prefix: "" }).tryAcquire("lease", 1_000),
    ];
    for (const call of calls) await expect(call()).rejects.toThrow("the client is not connected");
    await redis.restart();
    await vi.waitFor(async () => expect(await textOf(tier, "key")).toBe("value"));
  });
}

test("What others have written under a key is a miss, and is replaced", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  const { client } = connected;
  const tier = redisTier({ client });
  await client.set("cache:key", "written by hand");
  await client.set("cache:empty", "");
  expect(await tier.getMany(["key", "empty"])).toEqual([undefined, undefined]);
  await tier.set("key", sealed("value"));
  expect(await textOf(tier, "key")).toBe("value");
});

test("What is no client of one server is refused", () => {
  expect(() => redisTier({ client: {} as never })).toThrow(
    new TypeError("Cannot create a Redis tier: client must be a client of redis or ioredis, got an object"),
  );
  const client = createCluster({ rootNodes: [] });
  expect(() => redisTier({ client: client as never })).toThrow("must be a client of one server, got one of a cluster");
  expect(() => redisLease({ client: undefined as never })).toThrow(TypeError);
});

async function callsOf(client: { info(section: string): Promise<string> }): Promise<Record<string, number>> {
  const stats = await client.info("commandstats");
  return Object.fromEntries([...stats.matchAll(/cmdstat_(\w+):calls=(\d+)/g)].map(([, name, n]) => [name, Number(n)]));
}

async function textOf(tier: Tier, key: string): Promise<string | undefined> {
  const found = await tier.get(key);
  return found && Buffer.from(found.bytes).toString();
}

function sealed(text: string): Sealed {
  return { bytes: Buffer.from(text), expiresAt: Number.POSITIVE_INFINITY };
}
