import { interleave, TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { MemoryBus } from "./memory-bus.ts";
import { MemoryLease } from "./memory-lease.ts";
import { MemoryTier } from "./memory-tier.ts";
import { type TieredCache, tiered } from "./tiered.ts";
import type { TieredOptions } from "./tiered-options.ts";

/** Caches of several processes with one store and one bus. */
function processes(count: number, options: Partial<TieredOptions<string>> = {}, clock = new TestClock()) {
  const tier = new MemoryTier({ clock });
  const first = new MemoryBus();
  const buses = Array.from({ length: count }, (_, index) => (index === 0 ? first : first.connect()));
  const caches = buses.map((bus) =>
    tiered<string>({ fresh: 60_000, tiers: [tier], bus, clock, random: () => 0.5, ...options }),
  ) as [TieredCache<string>, TieredCache<string>, ...TieredCache<string>[]];
  return { clock, tier, buses: buses as [MemoryBus, MemoryBus], caches };
}

type Step = (label?: string) => Promise<void>;

/** A table whose rows are read and written in two steps. */
class Table {
  row = "old";

  async read(step: Step): Promise<string> {
    await step("sends the query");
    const { row } = this;
    await step("gets the row");
    return row;
  }
}

for (const tiers of [0, 1]) {
  for (const how of ["delete", "invalidateTag", "clear", "set", "expire"] as const) {
    test(`a load never brings back what ${how}() has replaced, in any order of the steps, with ${tiers} tiers`, async () => {
      const result = await interleave(
        {
          setup: (clock) => ({
            table: new Table(),
            cache: tiered<string>({
              fresh: 60_000,
              tiers: tiers === 0 ? [] : [new MemoryTier({ clock })],
              clock,
              random: () => 0.5,
            }),
          }),
          programs: {
            reader: async ({ cache, table }, step) => {
              await cache.getOrLoad("a", async (context) => {
                context.tag("t");
                return table.read(step);
              });
            },
            writer: async ({ cache, table }, step) => {
              await step("writes");
              table.row = "new";
              if (how === "invalidateTag") await cache.invalidateTag("t");
              else if (how === "set") await cache.set("a", "new", { tags: ["t"] });
              else if (how === "clear") await cache.clear("a");
              else await cache[how]("a");
              const after = await cache.getOrLoad("a", async (context) => {
                context.tag("t");
                return table.read(step);
              });
              expect(after).toBe("new");
            },
          },
          end: async ({ cache, table }) => {
            const settled = await cache.getOrLoad("a", async () => table.row);
            expect(settled).toBe("new");
            await cache.clear(/./);
            expect(await cache.getOrLoad("a", async () => table.row)).toBe("new"); // nor from below
          },
        },
        { schedules: 1_500 },
      );
      expect(result.schedules).toBeGreaterThan(30);
    });
  }
}

test("a load in one process never brings back what another one has deleted, in any order of the steps", async () => {
  await interleave(
    {
      setup: (clock) => ({ ...processes(2, {}, clock), table: new Table() }),
      programs: {
        reader: async ({ caches: [here], table }, step) => {
          await here.getOrLoad("a", () => table.read(step));
        },
        writer: async ({ caches: [, there], table }, step) => {
          await step("writes");
          table.row = "new";
          await there.delete("a");
        },
      },
      end: async ({ caches, table, clock }) => {
        await clock.advance(0);
        for (const cache of caches) expect(await cache.getOrLoad("a", async () => table.row)).toBe("new");
        for (const cache of caches) await cache.clear(/./);
        for (const cache of caches) expect(await cache.getOrLoad("a", async () => table.row)).toBe("new");
      },
    },
    { schedules: 1_500 },
  );
});

test("a write in another process is seen when it resolves", async () => {
  const { caches } = processes(3);
  const [here, there] = caches;
  await here.set("a", "old");
  for (const cache of caches) expect(await cache.get("a")).toBe("old");
  await there.set("a", "new");
  for (const cache of caches) expect(await cache.get("a")).toBe("new");
  await here.delete("a");
  for (const cache of caches) expect(await cache.get("a")).toBeUndefined();
});

test("clear() of a prefix reaches the memory of all processes", async () => {
  const { caches } = processes(2);
  const [here, there] = caches;
  for (const key of ["user:1", "page:1"]) {
    await here.set(key, key);
    await there.get(key);
  }
  expect(await here.clear("user:")).toBe(1);
  expect([await there.get("user:1"), await there.get("page:1")]).toEqual([undefined, "page:1"]);
});

test("an invalidated tag takes its values away in all processes, without asking the store on a hit", async () => {
  const { caches, tier } = processes(2);
  const [here, there] = caches;
  await here.set("a", "A", { tags: ["x", "y"] });
  await here.set("b", "B", { tags: ["x"] });
  await here.set("c", "C", { tags: ["z"] });
  for (const key of ["a", "b", "c"]) await there.get(key);
  tier.calls = 0;
  expect(there.get("a")).toBe("A");
  expect(tier.calls).toBe(0);
  await here.invalidateTag("y");
  for (const cache of caches) {
    expect([await cache.get("a"), await cache.get("b"), await cache.get("c")]).toEqual([undefined, "B", "C"]);
  }
  await there.invalidateTag("x", "z");
  for (const cache of caches) expect([await cache.get("b"), await cache.get("c")]).toEqual([undefined, undefined]);
  await here.set("a", "new", { tags: ["x", "y"] });
  expect(await there.get("a")).toBe("new");
});

test("a process that was not there when a tag was invalidated learns it from the store", async () => {
  const { caches, tier, clock } = processes(2);
  const [here] = caches;
  await here.set("a", "A", { tags: ["x"] });
  const copy = await tier.get("a");
  await here.invalidateTag("x");
  if (copy !== undefined) await tier.set("a", copy); // it was never deleted
  const late = tiered<string>({ fresh: 60_000, tiers: [tier], clock });
  expect(await late.get("a")).toBeUndefined();
  await tier.delete(["#tag:x"]); // lost, perhaps to make room: then nobody can say
  const later = tiered<string>({ fresh: 60_000, tiers: [tier], clock });
  expect(await later.get("a")).toBeUndefined();
});

test("an expired tag leaves values to those who may get stale ones", async () => {
  const { caches, clock } = processes(2, { staleFor: 60_000 });
  const [here, there] = caches;
  await here.set("a", "old", { tags: ["x"] });
  await there.get("a");
  await here.expireTag("x");
  for (const cache of caches) expect(await cache.get("a")).toBeUndefined();
  expect(there.getOrLoad("a", async () => "new")).toBe("old");
  await clock.advance(0);
  expect(there.get("a")).toBe("new");
  await there.set("b", "old", { tags: ["x"] });
  await there.expireTag("x");
  await there.invalidateTag("x");
  expect(await there.getOrLoad("b", async () => "new")).toBe("new");
});

test("while the link is lost, memory is not believed: values come from below", async () => {
  const { caches, buses, tier } = processes(2);
  const [here, there] = caches;
  await here.set("a", "old");
  await there.get("a");
  buses[1].cut();
  await here.set("a", "new");
  expect(await there.get("a")).toBe("new");
  await here.delete("a");
  expect(await there.getOrLoad("a", async () => "loaded")).toBe("loaded");
  expect(there.stats().bus).toMatchObject({ isLost: true });
  expect(tier.keys).toEqual(["a"]);
});

test("while the link is lost, staleFor says for how long values of memory are given, and they are looked up again", async () => {
  const { caches, buses, clock } = processes(2, { staleFor: 500 });
  const [here, there] = caches;
  for (const key of ["a", "b"]) {
    await here.set(key, "old");
    await there.get(key);
  }
  buses[1].cut();
  for (const key of ["a", "b"]) await here.set(key, "new");
  expect(there.getOrLoad("a", async () => "loaded")).toBe("old");
  await clock.advance(0);
  expect(await there.get("a")).toBe("new");
  await clock.advance(500);
  expect(await there.getOrLoad("b", async () => "loaded")).toBe("new"); // waits for what is below
});

test("when the link is back, nothing from before is given before it was looked up again", async () => {
  const { caches, buses, clock, tier } = processes(2, { staleFor: 60_000 });
  const [here, there] = caches;
  for (const key of ["a", "b", "c"]) {
    await here.set(key, "old", { tags: ["x"] });
    await there.get(key);
  }
  buses[1].cut();
  await here.set("a", "new", { tags: ["x"] });
  await here.delete("b");
  buses[1].mend();
  expect(await there.get("a")).toBe("new");
  expect(await there.getOrLoad("b", async () => "loaded")).toBe("loaded");
  expect(await there.get("c")).toBe("old");
  tier.calls = 0;
  expect([there.get("a"), there.get("b"), there.get("c")]).toEqual(["new", "loaded", "old"]);
  expect(tier.calls).toBe(0); // believed again
  buses[1].cut();
  await here.invalidateTag("x");
  buses[1].mend();
  expect(await there.get("c")).toBeUndefined();
  await clock.advance(0);
});

test("what was written while the link was lost is told when it is back", async () => {
  const { caches, buses, clock } = processes(2);
  const [here, there] = caches;
  await here.set("a", "old", { tags: ["x"] });
  await here.set("user:1", "old");
  for (const key of ["a", "user:1"]) await there.get(key);
  buses[0].cut();
  await here.set("a", "new");
  await here.clear("user:");
  await here.invalidateTag("x");
  expect([there.get("a"), there.get("user:1")]).toEqual(["old", "old"]); // its own link is whole: it cannot know
  expect(here.stats().bus).toMatchObject({ isLost: true, pending: 3 });
  buses[0].mend();
  await clock.advance(0);
  expect([await there.get("a"), await there.get("user:1")]).toEqual(["new", undefined]);
  expect(here.stats().bus?.pending).toBe(0);
});

test("a publication that fails is told later, and not before those that failed earlier", async () => {
  const { caches, buses, clock } = processes(2);
  const [here, there] = caches;
  await here.set("a", "old");
  await there.get("a");
  buses[0].fault = () => Promise.reject(new Error("down"));
  await here.set("a", "new");
  expect(there.get("a")).toBe("old");
  buses[0].fault = undefined;
  await clock.advance(1_000);
  expect(await there.get("a")).toBe("new");
});

test("writes that a tier has missed are made when it is back, the newest of each key", async () => {
  const { caches, tier, clock } = processes(2, { breaker: { failures: 1, openFor: 1_000 } });
  const [here, there] = caches;
  await here.set("a", "old");
  await here.set("b", "old");
  for (const key of ["a", "b"]) await there.get(key);
  const writes: string[] = [];
  tier.fault = () => Promise.reject(new Error("down"));
  for (const value of ["1", "2", "3"]) await here.set("a", value);
  await here.delete("b");
  expect(here.stats().tiers[0]).toMatchObject({ state: "open", pending: 2 });
  expect([await here.get("a"), await here.get("b")]).toEqual(["3", undefined]);
  tier.fault = (operation, keys) => void (operation === "get" || writes.push(`${operation} ${keys}`));
  await clock.advance(2_000); // without a call
  expect(writes).toEqual(["delete b", "set a"]);
  expect(here.stats().tiers[0]).toMatchObject({ state: "closed", pending: 0 });
  expect([await there.get("a"), await there.get("b")]).toEqual(["3", undefined]);
});

test("what a tier has missed does not overwrite what another process has written since", async () => {
  const { caches, tier, clock } = processes(2, { breaker: { failures: 1, openFor: 1_000 } });
  const [here, there] = caches;
  let isDown = true;
  tier.fault = (operation) => (isDown && operation === "set" ? Promise.reject(new Error("down")) : undefined);
  await here.set("a", "old");
  await here.set("b", "old");
  isDown = false;
  await clock.advance(10);
  await there.set("a", "new");
  await there.set("b", "new");
  await there.delete("b");
  await clock.advance(5_000);
  // What is in doubt is deleted: missing is never wrong.
  for (const cache of caches) expect(["new", undefined]).toContain(await cache.get("a"));
  for (const cache of caches) expect(await cache.get("b")).toBeUndefined();
});

test("more writes than a tier may miss empty it when it is back", async () => {
  const { caches, tier, clock } = processes(2, { maxPending: 10, breaker: { failures: 1, openFor: 1_000 } });
  const [here] = caches;
  await here.set("before", "old");
  tier.fault = () => Promise.reject(new Error("down"));
  for (let key = 0; key < 20; key++) await here.set(`key ${key}`, "value");
  await here.set("before", "new");
  expect(here.stats().tiers[0]?.pending).toBeLessThanOrEqual(11);
  tier.fault = undefined;
  await clock.advance(2_000);
  expect((await tier.get("before"))?.bytes.length ?? 0).toBeGreaterThanOrEqual(0);
  await here.clear(/./);
  expect(["new", undefined]).toContain(await here.get("before"));
});

test("with a lease, four processes with 100 callers each load once", async () => {
  const clock = new TestClock();
  const lease = { store: new MemoryLease({ clock }), ttl: 5_000 };
  const { caches } = processes(4, { lease }, clock);
  let loads = 0;
  const load = async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    clock.setTimeout(resolve, 300);
    await promise;
    return `value ${++loads}`;
  };
  const all = Promise.all(
    caches.flatMap((cache) => Array.from({ length: 100 }, async () => cache.getOrLoad("a", load))),
  );
  await clock.advance(400);
  expect(new Set(await all)).toEqual(new Set(["value 1"]));
});

test("when the holder of a lease dies, another process loads soon after its end", async () => {
  const clock = new TestClock();
  const store = new MemoryLease({ clock });
  const { caches } = processes(2, { lease: { store, ttl: 1_000 } }, clock);
  await store.tryAcquire("a", 1_000); // never given back
  const times: number[] = [];
  const waits = caches.map(async (cache) =>
    cache.getOrLoad("a", async () => {
      times.push(clock.now());
      return "A";
    }),
  );
  await clock.advance(1_100);
  expect(await Promise.all(waits)).toEqual(["A", "A"]);
  expect(times.length).toBe(1);
  expect(times[0]).toBeGreaterThanOrEqual(1_000);
  expect(times[0]).toBeLessThanOrEqual(1_050);
});

test("a lease is given back when a load fails, and not needed when its store does not answer", async () => {
  const clock = new TestClock();
  const store = new MemoryLease({ clock });
  const { caches } = processes(1, { lease: { store, ttl: 60_000 }, softTimeout: 100 }, clock);
  const [cache] = caches;
  await expect(cache.getOrLoad("a", () => Promise.reject(new Error("down")))).rejects.toThrow("down");
  await clock.advance(0);
  expect(await cache.getOrLoad("a", async () => "A")).toBe("A");
  store.tryAcquire = () => new Promise(() => {});
  const waiting = Promise.resolve(cache.getOrLoad("b", async () => "B"));
  await clock.advance(100);
  expect(await waiting).toBe("B");
  store.tryAcquire = () => Promise.reject(new Error("down"));
  expect(await cache.getOrLoad("c", async () => "C")).toBe("C");
});
