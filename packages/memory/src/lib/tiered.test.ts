import { Context } from "@proj/concurrency";
import { components } from "@proj/concurrency/inspect";
import { cancelSweep, TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { MemoryTier } from "./memory-tier.ts";
import { type TieredCache, tiered } from "./tiered.ts";
import type { TieredOptions } from "./tiered-options.ts";

function make(options: Partial<TieredOptions<string>> = {}) {
  const clock = new TestClock();
  const tier = new MemoryTier({ clock, name: "disk" });
  const cache = tiered<string>({ fresh: 1_000, tiers: [tier], clock, random: () => 0.5, ...options });
  return { clock, tier, cache };
}

const times = (count: number, call: (index: number) => unknown) =>
  Promise.all(Array.from({ length: count }, (_, index) => call(index)));

test("a fresh hit is a value, not a promise", async () => {
  const { cache } = make();
  expect(await cache.getOrLoad("a", async () => "A")).toBe("A");
  expect(cache.get("a")).toBe("A");
  expect(cache.getOrLoad("a", () => "not called")).toBe("A");
  expect(cache.stats()).toMatchObject({ hits: 2, misses: 1, loads: 1 });
});

test("1,000 callers who miss at the same time cause one load", async () => {
  const { cache, clock } = make();
  let loads = 0;
  const load = async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    clock.setTimeout(resolve, 50);
    await promise;
    return `value ${++loads}`;
  };
  const all = times(1_000, () => cache.getOrLoad("a", load));
  await clock.advance(50);
  expect(new Set(await all)).toEqual(new Set(["value 1"]));
  await clock.advance(1_000); // no longer fresh: again
  const more = times(1_000, () => cache.getOrLoad("a", load));
  await clock.advance(50);
  expect(new Set(await more)).toEqual(new Set(["value 2"]));
});

test("1,000 callers who find a stale value get it at once, and cause one load", async () => {
  const { cache, clock } = make({ staleFor: 10_000 });
  await cache.set("a", "old");
  await clock.advance(1_500);
  let loads = 0;
  const load = async () => `new ${++loads}`;
  const all = Array.from({ length: 1_000 }, () => cache.getOrLoad("a", load));
  expect(new Set(all)).toEqual(new Set(["old"])); // no promise among them
  await clock.advance(0);
  expect([cache.get("a"), loads]).toEqual(["new 1", 1]);
  expect(cache.stats()).toMatchObject({ staleHits: 1_000, refreshes: 1 });
});

test("1,000 callers in the eager part of a value's time cause one load, and nobody waits", async () => {
  const { cache, clock } = make({ eagerAt: 0.8 });
  await cache.set("a", "old");
  await clock.advance(799);
  let loads = 0;
  const load = async () => `new ${++loads}`;
  expect(cache.getOrLoad("a", load)).toBe("old");
  await clock.advance(1);
  expect(loads).toBe(0);
  const all = Array.from({ length: 1_000 }, () => cache.getOrLoad("a", load));
  expect(new Set(all)).toEqual(new Set(["old"]));
  await clock.advance(0);
  expect([cache.get("a"), loads]).toEqual(["new 1", 1]);
});

test("a load that fails rejects all who wait, and is not remembered", async () => {
  const { cache } = make();
  const error = new Error("down");
  const failing = await Promise.allSettled(
    Array.from({ length: 100 }, async () => cache.getOrLoad("a", () => Promise.reject(error))),
  );
  expect(new Set(failing.map((result) => result.status === "rejected" && result.reason))).toEqual(new Set([error]));
  expect(cache.stats()).toMatchObject({ loads: 1, loadFailures: 1 });
  expect(await cache.getOrLoad("a", async () => "up")).toBe("up");
});

test("a load that fails in the background is not tried again before retryAfter", async () => {
  const { cache, clock } = make({ staleFor: 60_000, retryAfter: 500 });
  await cache.set("a", "old");
  await clock.advance(1_001);
  let loads = 0;
  const load = async () => {
    loads++;
    throw new Error("down");
  };
  for (let tries = 0; tries < 5; tries++) {
    expect(cache.getOrLoad("a", load)).toBe("old");
    await clock.advance(0);
  }
  expect(loads).toBe(1);
  await clock.advance(500);
  expect(cache.getOrLoad("a", load)).toBe("old");
  await clock.advance(0);
  expect(loads).toBe(2);
});

test("a caller that aborts leaves alone; the last one ends the load", async () => {
  const { cache, clock } = make();
  const [first, second] = [new AbortController(), new AbortController()];
  let cause: unknown;
  const load = (context: Context) =>
    new Promise<string>((_, reject) => {
      Context.after(context, (reason) => {
        cause = reason;
        reject(reason);
      });
    });
  const waits = [first, second].map(async ({ signal }) => cache.getOrLoad("a", load, { signal }));
  await clock.advance(0);
  first.abort("first left");
  await expect(waits[0]).rejects.toBe("first left");
  expect(cause).toBeUndefined();
  second.abort("second left");
  await expect(waits[1]).rejects.toBe("second left");
  expect(cause).toBe("second left");
  expect(await cache.getOrLoad("a", async () => "again")).toBe("again");
});

test("nothing is left behind at whatever step a caller leaves", async () => {
  await cancelSweep(async (context, step) => {
    const { cache, clock, tier } = make();
    if (step % 2 === 0) await tier.set("b", { bytes: new Uint8Array(3), expiresAt: Number.POSITIVE_INFINITY });
    const load = async () => {
      await Promise.resolve();
      return "A";
    };
    const leaving = Promise.allSettled([
      Context.run(context, async () => cache.getOrLoad("a", load)),
      Context.run(context, async () => cache.get("b")),
      Context.run(context, () => cache.getMulti(["c", "d"], async (keys) => new Map(keys.map((key) => [key, key])))),
    ]);
    await clock.advance(0);
    await leaving;
    expect(cache.stats().flights).toBe(0);
    expect(await cache.getOrLoad("a", load)).toBe("A");
    await cache.close();
    expect(clock.timers).toBeLessThanOrEqual(1); // that of the coarse clock
  });
});

test("a value is found in the second tier, promoted upwards, and lives no longer than below", async () => {
  const clock = new TestClock();
  const tiers = [new MemoryTier({ clock }), new MemoryTier({ clock })] as const;
  const writer = tiered<string>({ fresh: 1_000, staleFor: 500, tiers: [tiers[1]], clock });
  await writer.set("a", "A");
  await clock.advance(600);
  const reader = tiered<string>({ fresh: 1_000, staleFor: 500, tiers, clock });
  expect(await reader.getOrLoad("a", async () => "loaded")).toBe("A");
  await clock.advance(0);
  expect(tiers[0].keys).toEqual(["a"]);
  expect(reader.get("a")).toBe("A");
  await clock.advance(400);
  expect(await reader.get("a")).toBeUndefined(); // 1,000 ms since it was made, not since it was read
  expect(reader.stats().tiers).toMatchObject([
    { hits: 0, misses: 2, writes: 1 },
    { hits: 1, misses: 1 },
  ]);
});

test("a stale value below is given at once and loaded again", async () => {
  const { cache, clock, tier } = make({ staleFor: 5_000 });
  await cache.set("a", "old");
  await clock.advance(2_000);
  const other = tiered<string>({ fresh: 1_000, staleFor: 5_000, tiers: [tier], clock });
  expect(await other.get("a")).toBeUndefined();
  expect(await other.getOrLoad("a", async () => "new")).toBe("old");
  await clock.advance(0);
  expect(other.get("a")).toBe("new");
});

test("with whenStale: wait, callers get the new value, or after softTimeout or a failure the stale one", async () => {
  const { cache, clock } = make({ staleFor: 60_000, whenStale: "wait", softTimeout: 100 });
  await cache.set("a", "old");
  await clock.advance(1_500);
  expect(await cache.getOrLoad("a", async () => "new")).toBe("new");
  await clock.advance(1_500);
  expect(await cache.getOrLoad("a", () => Promise.reject(new Error("down")))).toBe("new");
  const slow = Promise.withResolvers<string>();
  const waiting = Promise.resolve(cache.getOrLoad("a", () => slow.promise));
  await clock.advance(100);
  expect(await waiting).toBe("new");
  slow.resolve("slow");
  await clock.advance(0);
  expect(cache.get("a")).toBe("slow"); // it went on
});

test("with whenStale: wait, a caller gets the stale value rather than miss its deadline", async () => {
  const { cache, clock } = make({ staleFor: 60_000, whenStale: "wait" });
  await cache.set("a", "old");
  await clock.advance(1_500);
  using context = Context.derive({ timeout: 50, clock });
  const waiting = Context.run(context, async () => cache.getOrLoad("a", () => new Promise<string>(() => {})));
  await clock.advance(50);
  expect(await waiting).toBe("old");
});

test("a load is given up after hardTimeout", async () => {
  const { cache, clock } = make({ hardTimeout: 200 });
  let signal: AbortSignal | undefined;
  const waiting = Promise.resolve(
    cache.getOrLoad("a", (context) => {
      ({ signal } = context);
      return new Promise<string>(() => {});
    }),
  ).catch((error: unknown) => error);
  await clock.advance(200);
  expect(await waiting).toMatchObject({ name: "TimeoutError", timeoutMs: 200 });
  expect(signal?.aborted).toBe(true);
  expect(await cache.getOrLoad("a", async () => "A")).toBe("A");
});

test("that there is nothing is remembered for as long as one says", async () => {
  const { cache, clock, tier } = make({ negative: 300 });
  let loads = 0;
  const load = async () => {
    loads++;
    return undefined;
  };
  expect(await cache.getOrLoad("a", load)).toBeUndefined();
  expect(cache.getOrLoad("a", load)).toBeUndefined(); // at once
  await clock.advance(0);
  const other = tiered<string>({ fresh: 1_000, tiers: [tier], clock });
  expect(await other.getOrLoad("a", load)).toBeUndefined();
  expect(loads).toBe(1);
  await clock.advance(300);
  expect(await cache.getOrLoad("a", (context) => context.notFound(5_000))).toBeUndefined();
  await clock.advance(4_999);
  expect(cache.getOrLoad("a", load)).toBeUndefined();
  expect(loads).toBe(1);
});

test("a load says how long its value is good, or that it is not to be remembered", async () => {
  const { cache, clock } = make();
  await cache.getOrLoad("a", (context) => {
    context.ttl(5_000);
    return "A";
  });
  const skipping = (context: { skip(): void }) => {
    context.skip();
    return "B";
  };
  expect(await cache.getOrLoad("b", skipping)).toBe("B");
  expect(await cache.get("b")).toBeUndefined();
  await clock.advance(4_999);
  expect(cache.get("a")).toBe("A");
});

test("a load gets the stale value, its own context and the values of its caller", async () => {
  const { cache, clock } = make({ staleFor: 5_000, whenStale: "wait" });
  await cache.set("a", "old");
  await clock.advance(1_500);
  const value = await cache.getOrLoad("a", (context) => {
    expect(Context.current()).toBe(context);
    return `${context.stale}er`;
  });
  expect(value).toBe("older");
});

test("a load that finds nothing takes away what there was", async () => {
  const { cache, clock, tier } = make({ staleFor: 5_000 });
  await cache.set("a", "old");
  await clock.advance(1_500);
  expect(cache.getOrLoad("a", async () => undefined)).toBe("old");
  await clock.advance(0);
  expect(tier.keys).toEqual([]);
  expect(await cache.getOrLoad("a", async () => undefined)).toBeUndefined();
});

test("set() and delete() are seen at once by this process, and below when they resolve", async () => {
  const { cache, tier } = make();
  const setting = cache.set("a", "A");
  expect(cache.get("a")).toBe("A");
  await setting;
  expect(tier.keys).toEqual(["a"]);
  const deleting = cache.delete(["a", "b"]);
  expect(await cache.get("a")).toBeUndefined();
  await deleting;
  expect(tier.keys).toEqual([]);
});

test("set() rejects what the codec cannot write, and changes nothing", async () => {
  const clock = new TestClock();
  const cache = tiered<unknown>({ fresh: 1_000, tiers: [new MemoryTier({ clock })], clock });
  await cache.set("a", "A");
  await expect(cache.set("a", 1n)).rejects.toThrow(TypeError);
  expect(cache.get("a")).toBe("A");
  expect(await cache.getOrLoad("b", async () => 2n)).toBe(2n); // in memory alone
  expect(cache.stats().encodeFailures).toBe(1);
});

test("expire() lets the next caller load, and keeps the value for those who may get it meanwhile", async () => {
  const { cache, clock, tier } = make({ staleFor: 5_000 });
  await cache.set("a", "old");
  await cache.expire("a");
  expect(tier.keys).toEqual([]);
  expect(await cache.get("a")).toBeUndefined();
  expect(cache.getOrLoad("a", async () => "new")).toBe("old");
  await clock.advance(0);
  expect(cache.get("a")).toBe("new");
  const strict = make();
  await strict.cache.set("a", "old");
  await strict.cache.expire("a");
  expect(await strict.cache.getOrLoad("a", async () => "new")).toBe("new");
});

test("clear() deletes by prefix everywhere, and by expression in memory alone", async () => {
  const { cache, tier } = make();
  for (const key of ["user:1", "user:2", "page:1"]) await cache.set(key, key);
  expect(await cache.clear(/^page:/g)).toBe(1);
  expect(await cache.get("page:1")).toBe("page:1"); // from below
  const clearing = cache.clear("user:");
  expect(await cache.get("user:1")).toBeUndefined();
  expect(await clearing).toBe(2);
  expect(tier.keys).toEqual(["page:1"]);
  expect(await cache.clear()).toBe(1);
});

test("while a prefix is cleared slowly, what is left of it counts as gone", async () => {
  const { cache, clock, tier } = make();
  await cache.set("user:1", "old");
  const { promise, resolve } = Promise.withResolvers<void>();
  tier.fault = (operation) => (operation === "clear" ? promise : undefined);
  const clearing = cache.clear("user:");
  await clock.advance(0);
  expect(await cache.get("user:1")).toBeUndefined();
  expect(await cache.getOrLoad("user:1", async () => "new")).toBe("new");
  resolve();
  await clearing;
  expect(cache.get("user:1")).toBe("new");
});

test("getMulti() asks each tier once and loads the rest in one batch", async () => {
  const clock = new TestClock();
  const tiers = [new MemoryTier({ clock }), new MemoryTier({ clock })] as const;
  const cache = tiered<string>({ fresh: 1_000, tiers, clock });
  const keys = Array.from({ length: 100 }, (_, index) => `key ${index}`);
  for (const key of keys.slice(0, 50)) await cache.set(key, key);
  await cache.clear(/./); // out of memory
  for (const tier of tiers) tier.calls = 0;
  const batches: (readonly string[])[] = [];
  const load = async (missing: readonly string[]) => {
    batches.push(missing);
    return new Map(missing.slice(1).map((key) => [key, key]));
  };
  const [values, joined] = await Promise.all([
    cache.getMulti(keys, load),
    cache.getOrLoad("key 99", async () => "not called"),
  ]);
  await clock.advance(0);
  expect(joined).toBe("key 99");
  expect([...values.keys()]).toEqual(keys.filter((key) => key !== "key 50"));
  expect(batches).toEqual([keys.slice(50)]);
  expect(tiers.map(({ calls }) => calls - 49)).toEqual([1, 1]); // beside the writes of what was loaded
  expect((await cache.getMulti(keys)).size).toBe(99);
});

test("getMulti() finds what was on its way down when it began", async () => {
  const { cache, clock, tier } = make();
  await cache.set("a", "A");
  let delay = 10;
  tier.fault = () => new Promise<void>((resolve) => void clock.setTimeout(resolve, delay));
  const setting = cache.set("b", "B"); // arrives before the answer does
  await cache.clear(/./);
  delay = 20;
  const reading = cache.getMulti(["b", "a"]);
  await clock.advance(50);
  await setting;
  expect([...(await reading).keys()]).toEqual(["b", "a"]);
});

test("warm() loads what is not there, a few at a time, and tells how far it is", async () => {
  const { cache, clock } = make();
  await cache.set("1", "one");
  let [running, most] = [0, 0];
  const progress: number[] = [];
  async function* keys() {
    yield* ["1", "2", "3", "4", "5"];
  }
  const load = async (key: string) => {
    most = Math.max(most, ++running);
    for (let turns = 0; turns < 50; turns++) await Promise.resolve();
    running--;
    if (key === "3") throw new Error("down");
    return key;
  };
  const report = await cache.warm(keys(), load, { concurrency: 2, onProgress: ({ done }) => progress.push(done) });
  expect(report).toEqual({ done: 4, failed: 1 });
  expect([most, progress.length]).toEqual([2, 5]);
  expect(cache.get("5")).toBe("5");
  expect(cache.get("1")).toBe("one");
  await clock.advance(0);
});

test("the memory is bounded as told", async () => {
  const { cache } = make({ l1: { max: 10 } });
  await times(50, (index) => cache.set(`key ${index}`, "value"));
  expect(cache.stats().l1.entries).toBe(10);
  const weighed = make({ l1: { maxBytes: 10_000, weigh: () => 1_000 } });
  await times(50, (index) => weighed.cache.set(`key ${index}`, "value"));
  expect(weighed.cache.stats().l1.entries).toBeLessThan(10);
});

test("with a name it is listed, with what it counts", async () => {
  const { cache } = make({ name: "users" });
  await cache.set("a", "A");
  cache.get("a");
  const [report] = components("tiered-cache");
  expect(report).toMatchObject({ name: "users", stats: { hits: 1, tiers: [{ name: "disk", writes: 1 }] } });
  await cache.close();
  expect(components("tiered-cache")).toEqual([]);
});

test("close() waits for what is under way; whatever comes after is refused", async () => {
  const { cache, clock, tier } = make();
  const { promise, resolve } = Promise.withResolvers<void>();
  tier.fault = () => promise;
  const setting = cache.set("a", "A");
  const closing = cache.close();
  resolve();
  await Promise.all([closing, setting]);
  expect(tier.keys).toEqual(["a"]);
  const calls: ((closed: TieredCache<string>) => unknown)[] = [
    (closed) => closed.get("a"),
    (closed) => closed.getOrLoad("a", () => "A"),
    (closed) => closed.getMulti(["a"]),
    (closed) => closed.set("a", "A"),
    (closed) => closed.delete("a"),
    (closed) => closed.clear(),
    (closed) => closed.invalidateTag("a"),
  ];
  for (const call of calls) await expect(call(cache)).rejects.toMatchObject({ code: "ERR_CLOSED" });
  await cache.close();
  expect(clock.timers).toBeLessThanOrEqual(1);
});

test("options and arguments that are none are refused", async () => {
  expect(() => tiered({ fresh: -1 })).toThrow(/Cannot create a tiered cache: fresh must be 0 ms or more, got -1/);
  expect(() => tiered({} as TieredOptions<string>)).toThrow(/fresh must be given/);
  expect(() => tiered({ fresh: 1, eagerAt: 2 })).toThrow(RangeError);
  expect(() => tiered({ fresh: 1, tiers: [{}] as never })).toThrow(/getMany of a tier must be a function/);
  expect(() => tiered({ fresh: 1, whenStale: "never" as never })).toThrow(TypeError);
  expect(() => tiered({ fresh: 1, l1: { max: 0 } })).toThrow(RangeError);
  expect(() => tiered({ fresh: 1, codec: { id: 256, encode: () => new Uint8Array(), decode: () => 1 } })).toThrow(/id/);
  const { cache } = make();
  await expect(cache.getOrLoad(1 as never, () => "A")).rejects.toThrow(TypeError);
  await expect(cache.getOrLoad("a", "A" as never)).rejects.toThrow(/load must be a function/);
  await expect(cache.set("a", "A", { ttl: 0 })).rejects.toThrow(RangeError);
  await expect(cache.set("a", undefined as never)).rejects.toThrow(TypeError);
  await expect(cache.set("a", "A", { tags: [1 as never] })).rejects.toThrow(/a tag must be a string/);
});
