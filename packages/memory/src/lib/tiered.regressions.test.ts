// What users of other caches have reported, by the names of the threads.
import { interleave, TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { MemoryBus } from "./memory-bus.ts";
import { MemoryLease } from "./memory-lease.ts";
import { MemoryTier } from "./memory-tier.ts";
import { tiered } from "./tiered.ts";
import type { TieredOptions } from "./tiered-options.ts";

function make(options: Partial<TieredOptions<string>> = {}) {
  const clock = new TestClock();
  const tier = new MemoryTier({ clock });
  const bus = new MemoryBus();
  const all = { fresh: 1_000, tiers: [tier], clock, ...options };
  const here = tiered<string>({ ...all, bus });
  const there = tiered<string>({ ...all, bus: bus.connect() });
  return { clock, tier, bus, here, there };
}

function later(clock: TestClock, ms: number, value: string): Promise<string> {
  return new Promise((resolve) => void clock.setTimeout(() => resolve(value), ms));
}

test("jaredwray/cacheable#977, epicweb-dev/cachified#94: callers at the same time cause one load", async () => {
  const { clock, here } = make();
  let loads = 0;
  const all = Promise.all(
    Array.from({ length: 50 }, async () =>
      here.getOrLoad("a", () => {
        loads++;
        return later(clock, 10, "A");
      }),
    ),
  );
  await clock.advance(10);
  expect([new Set(await all).size, loads]).toEqual([1, 1]);
});

test("jaredwray/cacheable#1201, ZiggyCreatures/FusionCache#574, #575: processes at the same time cause one load", async () => {
  const clock = new TestClock();
  const { here, there } = make({ clock, lease: { store: new MemoryLease({ clock }), ttl: 1_000 } });
  let loads = 0;
  const load = () => later(clock, 50, `load ${++loads}`);
  const all = Promise.all([here, there].map(async (cache) => cache.getOrLoad("a", load)));
  await clock.advance(200);
  expect([await all, loads]).toEqual([["load 1", "load 1"], 1]);
});

test("mcollina/async-cache-dedupe#164: callers who find a stale value cause one load", async () => {
  const { clock, here } = make({ staleFor: 5_000 });
  await here.set("a", "old");
  await clock.advance(1_500);
  let loads = 0;
  for (let caller = 0; caller < 50; caller++) here.getOrLoad("a", () => later(clock, 10, `load ${++loads}`));
  await clock.advance(10);
  expect(loads).toBe(1);
});

test("ZiggyCreatures/FusionCache#651: an eager refresh takes what another process has refreshed already", async () => {
  const { clock, here, there } = make({ eagerAt: 0.5 });
  await here.set("a", "old");
  await there.get("a");
  await clock.advance(600);
  expect(here.getOrLoad("a", async () => "new")).toBe("old");
  await clock.advance(0);
  expect(here.get("a")).toBe("new");
  expect(there.getOrLoad("a", async () => "loaded again")).toBe("old");
  await clock.advance(0);
  expect(there.get("a")).toBe("new");
});

test("jaredwray/cacheable#1202, #1208, #1268: a store that does not answer holds up nobody", async () => {
  const { clock, tier, here } = make({ softTimeout: 50 });
  tier.fault = () => new Promise(() => {});
  const calls = Promise.all([here.set("a", "A"), here.get("b"), here.getOrLoad("c", async () => "C")]);
  await clock.advance(100);
  expect(await calls).toEqual([undefined, undefined, "C"]);
});

test("Julien-R44/bentocache#32: clearing a part on the bus leaves the rest alone", async () => {
  const { here, there } = make();
  for (const key of ["users:1", "pages:1"]) {
    await here.set(key, key);
    await there.get(key);
  }
  await here.clear("users:");
  expect([await there.get("users:1"), there.get("pages:1")]).toEqual([undefined, "pages:1"]);
});

test("ZiggyCreatures/FusionCache#81, #163: what was missed while the link was lost is made up for", async () => {
  const { clock, bus, tier, here, there } = make();
  await here.set("a", "old");
  await there.get("a");
  bus.cut();
  tier.fault = () => Promise.reject(new Error("down"));
  for (const value of ["1", "2", "3"]) await here.set("a", value);
  tier.fault = undefined;
  await clock.advance(500);
  bus.mend();
  await clock.advance(0);
  // As nobody could be heard either, the old value is deleted rather than replaced.
  for (const cache of [here, there]) expect([undefined, "3"]).toContain(await cache.get("a"));
  expect(await there.getOrLoad("a", async () => "3")).toBe("3");
});

test("redis/redis#11767, redis/rueidis#534, redis/redis#9422, redis/lettuce#3481: an invalidation that overtakes the reply it is about is not lost", async () => {
  await interleave({
    setup: (clock) => {
      const bus = new MemoryBus();
      const tier = new MemoryTier({ clock });
      return { clock, tier, other: bus.connect(), cache: tiered<string>({ fresh: 1_000, tiers: [tier], bus, clock }) };
    },
    programs: {
      reader: async ({ cache, tier }, step) => {
        await tier.set("a", await sealedOf("old"));
        tier.fault = async (operation) => {
          if (operation === "get") await step("asks");
        };
        const found = tier.getMany.bind(tier);
        tier.get = async (key) => {
          const [value] = await found([key]);
          await step("has the reply");
          return value;
        };
        await cache.get("a");
      },
      writer: async ({ tier, other }, step) => {
        await step("writes");
        await tier.set("a", await sealedOf("new"));
        await other.publish({ keys: ["a"] });
      },
    },
    end: async ({ cache, tier }) => {
      tier.fault = undefined;
      const found = await tier.getMany(["a"]);
      tier.get = async () => found[0];
      if (found[0] !== undefined && (await textOf(found[0])) === "new")
        expect([await cache.get("a")]).not.toEqual(["old"]);
    },
  });
});

test("vercel/next.js#92402, #19589: what one process has changed, another one does not go on serving", async () => {
  const { here, there } = make({ staleFor: 60_000 });
  await here.set("/", "old", { tags: ["page"] });
  await there.getOrLoad("/", async () => "not called");
  await here.invalidateTag("page");
  expect(await there.getOrLoad("/", async () => "new")).toBe("new");
});

test("isaacs/node-lru-cache#143, #263, #320, jaredwray/cacheable#533, #606: a stale value is served while and although", async () => {
  const { clock, here } = make({ staleFor: 5_000 });
  await here.set("a", "old");
  await clock.advance(1_500);
  expect(here.getOrLoad("a", () => later(clock, 100, "new"))).toBe("old"); // while it is loaded
  await clock.advance(100);
  expect(here.get("a")).toBe("new");
  await clock.advance(1_500);
  expect(here.getOrLoad("a", () => Promise.reject(new Error("down")))).toBe("new"); // although that fails
  await clock.advance(5_000);
  await expect(here.getOrLoad("a", () => Promise.reject(new Error("down")))).rejects.toThrow("down"); // not for ever
});

test("mcollina/async-cache-dedupe#14, #77: staleFor counts from the end of fresh", async () => {
  const { clock, here } = make({ staleFor: 500 });
  await here.set("a", "old");
  await clock.advance(1_499);
  expect(here.getOrLoad("a", () => new Promise<string>(() => {}))).toBe("old");
  const other = make({ staleFor: 500 });
  await other.here.set("a", "old");
  await other.clock.advance(1_500);
  expect(await other.here.getOrLoad("a", async () => "new")).toBe("new");
});

test("Julien-R44/bentocache#71: an invalidated tag takes its values away, also where stale ones may be served", async () => {
  const { here } = make({ staleFor: 60_000 });
  await here.set("a", "old", { tags: ["x"] });
  await here.invalidateTag("x");
  expect(await here.get("a")).toBeUndefined();
  expect(await here.getOrLoad("a", async () => "new")).toBe("new");
});

test("Julien-R44/bentocache#63: a tag can be expired, so that stale values are served while new ones are loaded", async () => {
  const { clock, here, there } = make({ staleFor: 60_000 });
  await here.set("a", "old", { tags: ["x"] });
  await there.get("a");
  await here.expireTag("x");
  expect(there.getOrLoad("a", async () => "new")).toBe("old");
  await clock.advance(0);
  expect(there.get("a")).toBe("new");
});

test("dotnet/extensions#7771: a value made after its tag was invalidated is good, whatever the clocks say", async () => {
  const clock = new TestClock();
  const ahead = new TestClock({ wall: clock.wall() + 60_000 });
  const [tier, bus] = [new MemoryTier({ clock }), new MemoryBus()];
  const fast = tiered<string>({ fresh: 600_000, tiers: [tier], bus, clock: ahead });
  const slow = tiered<string>({ fresh: 600_000, tiers: [tier], bus: bus.connect(), clock });
  await fast.invalidateTag("x");
  await slow.set("a", "new", { tags: ["x"] });
  expect([await slow.get("a"), await fast.get("a")]).toEqual(["new", "new"]);
  await slow.invalidateTag("x");
  expect([await slow.get("a"), await fast.get("a")]).toEqual([undefined, undefined]);
});

test("mcollina/async-cache-dedupe#89: invalidating a tag of many values costs one small write", async () => {
  const { tier, here } = make();
  for (let key = 0; key < 1_000; key++) await here.set(`key ${key}`, "value", { tags: ["all"] });
  tier.calls = 0;
  await here.invalidateTag("all");
  expect(tier.calls).toBe(1);
  expect(await here.get("key 999")).toBeUndefined();
});

test("jaredwray/cacheable#1014, #1040, jaredwray/keyv#1559, epicweb-dev/cachified#133: many keys are one call", async () => {
  const { tier, here } = make();
  const keys = Array.from({ length: 200 }, (_, index) => `key ${index}`);
  await Promise.all(keys.map((key) => here.set(key, key)));
  await here.clear(/./);
  tier.calls = 0;
  expect((await here.getMulti(keys)).size).toBe(200);
  expect(tier.calls).toBe(1);
});

test("cayasso/cacheman-redis#18: clearing by prefix asks the tier once, and never for all keys", async () => {
  const { tier, here } = make();
  await here.set("user:1", "Ada");
  tier.calls = 0;
  await here.clear("user:");
  expect(tier.calls).toBe(1);
});

test("jaredwray/cacheable#1015, groupon/node-cached#28, ZiggyCreatures/FusionCache#262: values are not cloned", async () => {
  const clock = new TestClock();
  const cache = tiered<{ readonly call: () => number }>({ fresh: 1_000, clock });
  const value = { call: () => 1 };
  await cache.set("a", value);
  expect(cache.get("a")).toBe(value);
});

async function sealedOf(value: string) {
  const clock = new TestClock();
  const tier = new MemoryTier({ clock });
  await tiered<string>({ fresh: 1_000, tiers: [tier], clock }).set("a", value);
  return (await tier.get("a")) ?? { bytes: new Uint8Array(), expiresAt: 0 };
}

async function textOf(sealed: { readonly bytes: Uint8Array; readonly expiresAt: number }) {
  const clock = new TestClock();
  const tier = new MemoryTier({ clock });
  await tier.set("a", sealed);
  return tiered<string>({ fresh: 1_000, tiers: [tier], clock }).get("a");
}
