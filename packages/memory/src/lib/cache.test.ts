import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { components } from "@proj/concurrency/inspect";
import { TestClock } from "@proj/concurrency/testing";
import { afterEach, expect, test, vi } from "vitest";
import { Cache } from "./cache.ts";
import type { EvictionCause } from "./cache-options.ts";
import type { EvictionPolicy, PolicyName } from "./cache-policy.ts";
import { type MemoryEvent, memoryChannel } from "./events.ts";

const policies: readonly PolicyName[] = ["tlfu", "lru", "clock", "fifo", "lfu"];

afterEach(() => vi.restoreAllMocks());

test("Cache.get() returns what was set, and counts hits and misses", () => {
  const cache = new Cache<string, number | undefined>({ max: 3 });
  expect(cache.set("a", 1).set("b", undefined).get("a")).toBe(1);
  expect(cache.get("b")).toBeUndefined();
  expect(cache.get("c")).toBeUndefined();
  expect([cache.has("b"), cache.has("c"), cache.size]).toEqual([true, false, 2]);
  expect(cache.stats()).toMatchObject({ entries: 2, hits: 2, misses: 1, hitRatio: 2 / 3, bytes: 0 });
});

test.for(policies)("Cache keeps any keys apart as a Map does, with %s", (policy) => {
  const cache = new Cache<unknown, number>({ max: 20, policy });
  const keys = [undefined, null, Number.NaN, 0, "", "0", false, 2n ** 70n, Symbol("a"), {}, [], 1.5, -1, 2 ** 40];
  for (const [index, key] of keys.entries()) cache.set(key, index);
  expect(keys.map((key) => cache.get(key))).toEqual(keys.map((_, index) => index));
  expect(cache.get(-0)).toBe(3);
  expect([...cache.keys()]).toHaveLength(keys.length);
  expect(keys.every((key) => cache.delete(key))).toBe(true);
  expect(cache.size).toBe(0);
});

test("Cache.peek() and has() neither count nor keep an entry from leaving", () => {
  const cache = new Cache<string, number>({ max: 2, policy: "lru" });
  cache.set("a", 1).set("b", 2);
  expect([cache.peek("a"), cache.peek("c"), cache.has("a")]).toEqual([1, undefined, true]);
  cache.set("c", 3);
  expect(cache.has("a")).toBe(false);
  expect(cache.stats()).toMatchObject({ hits: 0, misses: 0 });
});

test("Cache.getMulti() returns those that are there, in the order of the keys", () => {
  const cache = new Cache<string, number | undefined>({ max: 9 });
  cache.set("a", 1).set("b", undefined).set("c", 3);
  expect([...cache.getMulti(["c", "x", "b"])]).toEqual([
    ["c", 3],
    ["b", undefined],
  ]);
  expect(cache.stats()).toMatchObject({ hits: 2, misses: 1 });
});

test("Cache forgets a value after its ttl, and removes it without being asked", async () => {
  const clock = new TestClock();
  const gone: [string, EvictionCause][] = [];
  const cache = new Cache<string, number>({
    max: 9,
    ttl: 1_000,
    jitter: 0,
    clock,
    onEvict: (key, _value, cause) => gone.push([key, cause]),
  });
  cache.set("a", 1);
  cache.set("b", 2, { ttl: 2_000 });
  cache.set("c", 3, { ttl: Number.POSITIVE_INFINITY });
  await clock.advance(999);
  expect(cache.get("a")).toBe(1);
  await clock.advance(1);
  expect([cache.get("a"), cache.peek("a"), cache.has("a")]).toEqual([undefined, undefined, false]);
  await clock.advance(1_100);
  expect(cache.size).toBe(1);
  expect(gone).toEqual([
    ["a", "ttl"],
    ["b", "ttl"],
  ]);
  await clock.advance(1e9);
  expect(cache.get("c")).toBe(3);
});

test("Cache starts the time anew at each get, if it slides, and only then", async () => {
  const clock = new TestClock();
  const cache = new Cache<string, number>({ max: 9, ttl: 100, jitter: 0, sliding: true, clock });
  cache.set("a", 1);
  cache.set("b", 1);
  for (let turn = 0; turn < 5; turn++) {
    await clock.advance(90);
    expect(cache.get("a")).toBe(1);
    cache.peek("b");
  }
  expect(cache.has("b")).toBe(false);
  await clock.advance(120);
  expect(cache.size).toBe(0);
});

test("Cache shortens its ttl by up to the jitter, but not one that was given with the value", async () => {
  const clock = new TestClock();
  const cache = new Cache<string, number>({ max: 9, ttl: 1_000, clock, random: () => 0.5 });
  cache.set("jittered", 1).set("exact", 1, { ttl: 1_000 });
  await clock.advance(949);
  expect(cache.has("jittered")).toBe(true);
  await clock.advance(1);
  expect([cache.has("jittered"), cache.has("exact")]).toEqual([false, true]);
});

test("Cache has one timer for all entries, none when nothing expires, and none after it is disposed of", async () => {
  const clock = new TestClock();
  const cache = new Cache<number, number>({ max: 1_000, clock });
  cache.set(-1, 0);
  expect(clock.timers).toBe(0);
  for (let key = 0; key < 500; key++) cache.set(key, key, { ttl: 1_000 + key });
  await clock.advance(2); // the coarse clock's own has run
  expect(clock.timers).toBe(1);
  await clock.advance(2_000);
  expect([cache.size, clock.timers]).toEqual([1, 0]);
  cache.set(1, 1, { ttl: 50 });
  cache[Symbol.dispose]();
  await clock.advance(2);
  expect([cache.size, clock.timers]).toEqual([0, 0]);
});

test("Cache removes many that expire at once in slices", async () => {
  const clock = new TestClock();
  const cache = new Cache<number, number>({ max: 5_000, ttl: 100, jitter: 0, clock });
  for (let key = 0; key < 5_000; key++) cache.set(key, key);
  const sizes: number[] = [];
  while (cache.size > 0) {
    expect(clock.advanceToNext()).toBe(true);
    sizes.push(cache.size);
  }
  expect(sizes.filter((size) => size > 0 && size < 5_000).length).toBeGreaterThanOrEqual(4);
});

test.for(policies)("Cache lets expired entries leave before all others, with %s", async (policy) => {
  const clock = new TestClock();
  const gone: [number, EvictionCause][] = [];
  const cache = new Cache<number, number>({
    max: 6,
    policy,
    clock: { now: () => clock.now(), wall: () => clock.wall(), setTimeout: () => ({ clear() {}, ref() {} }) }, // no sweep
    onEvict: (key, _value, cause) => gone.push([key, cause]),
  });
  for (let key = 0; key < 6; key++) cache.set(key, key, { ttl: key === 3 || key === 5 ? 100 : 10_000 });
  await clock.advance(200);
  cache.set(6, 6).set(7, 7);
  expect(gone).toEqual([
    [3, "ttl"],
    [5, "ttl"],
  ]);
  cache.set(8, 8);
  expect(gone.at(-1)?.[1]).toBe("size");
});

test("Cache stays within maxBytes, and leaves a tenth free when it has to make room", () => {
  const cache = new Cache<number, string>({ maxBytes: 1_000, weigh: (value) => value.length });
  for (let key = 0; key < 100; key++) {
    const evicted = cache.stats().evicted.size;
    cache.set(key, "x".repeat(40));
    const { bytes, evicted: now } = cache.stats();
    expect(bytes).toBe(40 * cache.size);
    expect(bytes).toBeLessThanOrEqual(now.size > evicted ? 900 : 1_000);
  }
  expect(cache.size).toBeGreaterThan(20);
});

test.for(policies)("Cache refuses what is heavier than its budget, and keeps all others, with %s", (policy) => {
  const gone: unknown[] = [];
  const cache = new Cache<string, string>({
    maxBytes: 100,
    weigh: (value) => value.length,
    policy,
    onEvict: (...told) => gone.push(told),
  });
  cache.set("a", "1234567890").set("b", "1234567890");
  cache.set("huge", "x".repeat(101));
  expect([cache.size, cache.stats().refused, gone]).toEqual([2, 1, []]);
  cache.set("a", "x".repeat(101)); // what it had is no longer so
  expect([cache.has("a"), cache.has("b"), gone]).toEqual([false, true, [["a", "1234567890", "replace"]]]);
  cache.set("c", "x".repeat(100));
  expect([...cache.keys()]).toEqual(["c"]);
});

test.for(policies)("Cache never lets a value leave for its own growth, with %s", (policy) => {
  const cache = new Cache<string, string>({ maxBytes: 100, weigh: (value) => value.length, policy, lowWatermark: 1 });
  cache.set("oldest", "x".repeat(30)).set("b", "x".repeat(30)).set("c", "x".repeat(30));
  cache.set("oldest", "x".repeat(60));
  expect(cache.peek("oldest")).toHaveLength(60);
  expect(cache.stats().bytes).toBeLessThanOrEqual(100);
  for (let key = 0; key < 50; key++) cache.set(`new ${key}`, "x".repeat(20));
  expect(cache.stats().bytes).toBe(cache.size * 20 + (cache.has("oldest") ? 40 : 0));
});

test("Cache tells each entry that leaves once, with the cause, when it is in order again", () => {
  const gone: unknown[] = [];
  const cache: Cache<string, number> = new Cache<string, number>({
    max: 3,
    policy: "fifo",
    onEvict: (key, value, cause) => {
      gone.push([key, value, cause]);
      if (key === "a") cache.set("from within", 0); // evicts another one
    },
  });
  cache.set("a", 1).set("b", 2).set("c", 3).set("b", 20).set("b", 20); // the same value replaces nothing
  cache.delete("c");
  cache.set("d", 4).set("e", 5);
  cache.shrink(0.3);
  cache.clear("d");
  cache.clear();
  expect(gone).toEqual([
    ["b", 2, "replace"],
    ["c", 3, "delete"],
    ["a", 1, "size"],
    ["b", 20, "size"],
    ["d", 4, "pressure"],
    ["e", 5, "invalidate"],
    ["from within", 0, "invalidate"],
  ]);
  expect(cache.stats().evicted).toEqual({ size: 2, ttl: 0, pressure: 1, invalidate: 2, replace: 1, delete: 1 });
});

test("Cache goes on when onEvict throws, and what it threw is not lost", () => {
  const thrown: (() => void)[] = [];
  vi.spyOn(process, "nextTick").mockImplementation((callback) => void thrown.push(callback as () => void));
  const cache = new Cache<string, number>({
    max: 1,
    onEvict: () => {
      throw new Error("from the observer");
    },
  });
  cache.set("a", 1).set("b", 2);
  expect([cache.get("b"), cache.size]).toEqual([2, 1]);
  expect(thrown[0]).toThrow("from the observer");
});

test("Cache.clear() forgets those keys that begin with a text or match an expression", () => {
  const cache = new Cache<string | number, number>({ max: 99 });
  for (const key of ["user:1", "user:2", "post:1", "admin:user:1", 7]) cache.set(key, 0);
  expect(cache.clear("user:")).toBe(2);
  expect(cache.clear(/:\d$/g)).toBe(2);
  expect([...cache.keys()]).toEqual([7]);
  expect(cache.clear()).toBe(1);
  expect(() => cache.clear(7 as never)).toThrow("Cannot clear a cache: match must be a string or a RegExp, got 7");
});

test.for(policies)("Cache.resize() and shrink() remove what is too much and no more, with %s", (policy) => {
  const cache = new Cache<number, number>({ max: 100, policy });
  for (let key = 0; key < 100; key++) cache.set(key, key);
  cache.resize({ max: 40 });
  expect(cache.size).toBe(40);
  cache.resize({ max: 200 });
  for (let key = 0; key < 300; key++) cache.set(key, key);
  expect(cache.size).toBe(200);
  expect(cache.shrink(0.25)).toBe(50);
  expect(cache.shrink(0)).toBe(0);
  expect(cache.shrink(1)).toBe(150);
  expect(() => cache.resize({ maxBytes: 1 })).toThrow("maxBytes must be left out where the cache does not weigh");

  const heavy = new Cache<number, number>({ maxBytes: 100, weigh: () => 10, policy });
  for (let key = 0; key < 10; key++) heavy.set(key, key);
  expect(heavy.shrink(0.5)).toBe(50);
  heavy.resize({ maxBytes: 25 });
  expect(heavy.stats().bytes).toBe(20);
});

test.for(policies)("Cache.snapshot() lets another cache go on with Cache.warm(), with %s", async (policy) => {
  const clock = new TestClock();
  const cache = new Cache<string, number>({ max: 9, maxBytes: 1_000, weigh: () => 7, clock, policy });
  cache.set("a", 1).set("b", 2, { ttl: 1_000 }).set("c", 3, { weight: 9 }).set("late", 4, { ttl: 100 });
  await clock.advance(400);
  const snapshot = [...cache.snapshot()];
  expect(snapshot).toEqual([
    ["a", 1, { ttl: undefined, weight: 7 }],
    ["b", 2, { ttl: 600, weight: 7 }],
    ["c", 3, { ttl: undefined, weight: 9 }],
  ]);
  const next = new Cache<string, number>({ max: 9, maxBytes: 1_000, weigh: () => 1, clock, policy });
  next.set("a", 100);
  expect(next.warm(snapshot)).toBe(2);
  expect([...next]).toEqual([
    ["a", 100],
    ["b", 2],
    ["c", 3],
  ]);
  expect(next.stats().bytes).toBe(1 + 7 + 9);
  await clock.advance(600);
  expect(next.has("b")).toBe(false);
});

test.for(policies)("Cache can be changed while it is iterated over, with %s", (policy) => {
  const cache = new Cache<number, number>({ max: 10, policy });
  for (let key = 0; key < 10; key++) cache.set(key, key);
  const seen: number[] = [];
  for (const key of cache.keys()) {
    seen.push(key);
    cache.delete(key);
    cache.delete(key + 1);
  }
  expect(seen).toEqual([0, 2, 4, 6, 8]);
  expect([...cache.values()]).toEqual([]);
});

test("Cache publishes evictions on the diagnostics channel when somebody listens", () => {
  const heard: MemoryEvent[] = [];
  const listener = (event: unknown): void => void heard.push(event as MemoryEvent);
  const cache = new Cache<string, number>({ max: 1, name: "heard" });
  cache.set("a", 1).set("b", 2);
  subscribe(memoryChannel, listener);
  cache.set("c", 3).get("c");
  unsubscribe(memoryChannel, listener);
  cache.set("d", 4);
  expect(heard).toEqual([{ kind: "cache-evicted", name: "heard", key: "b", cause: "size" }]);
});

test("Cache with a name is listed until it is disposed of", () => {
  const cache = new Cache<string, number>({ max: 1, name: "listed" });
  cache.get("a");
  const listed = () => components("cache").filter(({ name }) => name === "listed");
  expect(listed()).toMatchObject([{ stats: { misses: 1, entries: 0 } }]);
  cache[Symbol.dispose]();
  cache[Symbol.dispose]();
  expect(listed()).toEqual([]);
});

test("Cache asks a policy of your own, and believes only slots that are in use", () => {
  const order: number[] = [];
  let chosen: number | undefined;
  const newestFirst: EvictionPolicy = {
    onInsert: (slot) => void order.push(slot),
    onHit: (slot) => void order.push(order.splice(order.indexOf(slot), 1)[0] as number),
    onRemove: (slot) => void order.splice(order.indexOf(slot), 1),
    victim: () => chosen ?? (order.at(-1) as number),
    grow: () => {},
  };
  const cache = new Cache<string, number>({ max: 3, policy: newestFirst });
  cache.set("a", 1).set("b", 2).set("c", 3);
  cache.get("a");
  cache.set("d", 4);
  expect([...cache.keys()]).toEqual(["b", "c", "d"]);
  chosen = 17;
  expect(() => cache.set("e", 5)).toThrow("Cannot evict: policy.victim() must return a slot in use, got 17");
  expect(cache.size).toBe(3);
  chosen = undefined;
  cache.clear();
  expect(order).toEqual([]);
  cache.set("e", 5);
  expect(cache.get("e")).toBe(5);
  expect(() => cache.advise()).toThrow("policy must be one by name");
});

test("Cache says what is wrong with its options", () => {
  const make = (options: object) => () => new Cache(options as never);
  expect(make({})).toThrow("Cannot create a Cache: max or maxBytes must be given, got neither");
  expect(make({ max: 0 })).toThrow("max must be an integer of at least 1, got 0");
  expect(make({ max: Number.POSITIVE_INFINITY })).toThrow(RangeError);
  expect(make({ max: 2 ** 25 })).toThrow("which a Map can hold");
  expect(make({ maxBytes: 1.5 })).toThrow("maxBytes must be an integer");
  expect(make({ max: 1, policy: "mru" })).toThrow('policy must be one of "tlfu"');
  expect(make({ max: 1, policy: { victim() {} } })).toThrow("policy.onInsert must be a function");
  expect(make({ max: 1, ttl: -1 })).toThrow("ttl must be 0 ms or more");
  expect(make({ max: 1, jitter: 2 })).toThrow("jitter must be a number from 0 to 1");
  expect(make({ max: 1, lowWatermark: "a" })).toThrow("lowWatermark");
  for (const option of ["weigh", "onEvict", "random"]) expect(make({ max: 1, [option]: 1 })).toThrow(option);

  const cache = new Cache<string, number>({ maxBytes: 10, weigh: (value) => value });
  for (const weight of [-1, Number.NaN, Number.POSITIVE_INFINITY, "1" as never]) {
    expect(() => cache.set("a", weight)).toThrow("Cannot set a value: its weight must be a finite number from 0");
  }
  expect(() => cache.set("a", 1, { ttl: -1 })).toThrow("Cannot set a value: ttl must be 0 ms or more, got -1");
  expect(() => cache.shrink(2)).toThrow("Cannot shrink a cache: fraction");
  expect(cache.size).toBe(0);
});

test("Cache.advise() tells about what more and less room would do", () => {
  const sizes = [250, 1_000, 4_000];
  const caches = sizes.map((max) => new Cache<number, number>({ max, policy: "lru" }));
  caches[1]?.advise();
  for (let index = 0, state = 1; index < 60_000; index++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const key = Math.floor(20_000 * (state / 2 ** 32) ** 3);
    for (const cache of caches) if (cache.get(key) === undefined) cache.set(key, key);
  }
  const { sampled, capacities } = (caches[1] as Cache<number, number>).advise();
  expect(sampled).toBe(60_000); // all: it is a small cache
  for (const [index, max] of sizes.entries()) {
    const { hitRatio } = capacities.find(({ entries }) => entries === max) ?? { hitRatio: 0 };
    expect(hitRatio).toBeCloseTo(caches[index]?.stats().hitRatio ?? 1, 5);
  }
  expect(new Cache({ max: 5 }).advise()).toMatchObject({ sampled: 0 });
});
