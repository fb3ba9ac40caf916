// What went wrong for users of other caches: each test names the thread.
import { setImmediate } from "node:timers/promises";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test, vi } from "vitest";
import { Cache } from "./cache.ts";
import type { PolicyName } from "./cache-policy.ts";
import { estimateBytes } from "./cache-weight.ts";

const policies: readonly PolicyName[] = ["tlfu", "lru", "clock", "fifo", "lfu"];

test("isaacs/node-lru-cache#358, #342: the bytes of an entry include its key and what the cache needs for it", () => {
  const cache = new Cache<string, number>({ maxBytes: 100_000 });
  for (let key = 0; key < 10_000; key++) cache.set(`a key of some length ${key}`, key);
  expect(cache.size).toBeLessThan(100_000 / 100); // numbers are small, entries are not
  expect(estimateBytes("k".repeat(1_000), 1)).toBeGreaterThan(1_000);
});

test.for(policies)("isaacs/node-lru-cache#227: maxBytes alone bounds the cache, whatever comes, with %s", (policy) => {
  const cache = new Cache<number, string>({ maxBytes: 10_000, policy });
  for (let key = 0; key < 5_000; key++) {
    cache.set(key, "x".repeat(key % 700));
    if (cache.stats().bytes > 10_000) throw new Error(`${cache.stats().bytes} bytes at ${key}`);
  }
  expect(cache.size).toBeLessThan(200);
});

test("isaacs/node-lru-cache#257: an empty value weighs something by default, so it cannot come without end", () => {
  const cache = new Cache<number, string>({ maxBytes: 10_000 });
  for (let key = 0; key < 5_000; key++) cache.set(key, "");
  expect(cache.size).toBeLessThan(200);
});

test("isaacs/node-lru-cache#410: a weight of 0 is a weight, and one that is none changes nothing", () => {
  const cache = new Cache<string, number>({ maxBytes: 10, weigh: (value) => value });
  cache.set("light", 0).set("a", 10);
  expect(() => cache.set("b", Number.NaN)).toThrow(RangeError);
  expect([...cache.keys()]).toEqual(["light", "a"]);
  expect(cache.stats().bytes).toBe(10);
});

test.for(policies)(
  "isaacs/node-lru-cache#208, #193: a large max takes no memory before entries come, with %s",
  (policy) => {
    const { arrayBuffers, heapUsed } = process.memoryUsage();
    const caches = Array.from({ length: 20 }, () => new Cache<number, number>({ max: 10_000_000, policy }));
    for (const cache of caches) cache.set(1, 1);
    const after = process.memoryUsage();
    expect(after.arrayBuffers - arrayBuffers + after.heapUsed - heapUsed).toBeLessThan(20 * 50_000);
  },
);

test("isaacs/node-lru-cache#408: one timer, not one for each entry, and it goes with the last of them", async () => {
  const clock = new TestClock();
  const cache = new Cache<number, number>({ max: 10_000, ttl: 60_000, clock });
  for (let key = 0; key < 10_000; key++) cache.set(key, key);
  await clock.advance(2);
  expect(clock.timers).toBe(1);
  cache.clear();
  expect(clock.timers).toBe(0);
});

test("isaacs/node-lru-cache#392: what has expired is let go of, with nobody asking for it", async () => {
  const clock = new TestClock();
  const cache = new Cache<number, { readonly large: string }>({ max: 100, ttl: 1_000, clock });
  for (let key = 0; key < 100; key++) cache.set(key, { large: "x" });
  await clock.advance(1_100);
  expect(cache.size).toBe(0);
});

test("isaacs/node-lru-cache#297: a new value has a time of its own, not what was left of the old one", async () => {
  const clock = new TestClock();
  const cache = new Cache<string, number>({ max: 9, ttl: 100, jitter: 0, clock });
  cache.set("a", 1);
  await clock.advance(80);
  cache.set("a", 2);
  await clock.advance(80);
  expect(cache.get("a")).toBe(2);
  cache.set("a", 3, { ttl: Number.POSITIVE_INFINITY });
  await clock.advance(1_000);
  expect(cache.get("a")).toBe(3);
});

test.for(policies)(
  "isaacs/node-lru-cache#310, #139: no live entry leaves while there is an expired one, with %s",
  async (policy) => {
    const clock = new TestClock();
    const gone: string[] = [];
    const cache = new Cache<string, number>({
      max: 50,
      policy,
      clock: { now: () => clock.now(), wall: () => clock.wall(), setTimeout: () => ({ clear() {}, ref() {} }) },
      onEvict: (key, _value, cause) => gone.push(`${key.split(" ")[0]} ${cause}`),
    });
    for (let key = 0; key < 25; key++) cache.set(`long ${key}`, key).set(`short ${key}`, key, { ttl: 10 });
    for (let key = 0; key < 25; key++) for (let times = 0; times < 9; times++) cache.get(`short ${key}`); // much wanted
    await clock.advance(100);
    for (let key = 0; key < 25; key++) cache.set(`new ${key}`, key);
    expect(new Set(gone)).toEqual(new Set(["short ttl"]));
    expect(gone).toHaveLength(25);
  },
);

test("dgraph-io/ristretto#96, #363: what was set is there at the next read, and never dropped by admission", () => {
  const cache = new Cache<number, number>({ max: 100 });
  for (let key = 0; key < 10_000; key++) {
    cache.set(key % 7 === 0 ? key : key % 100, key);
    if (cache.get(key % 7 === 0 ? key : key % 100) !== key) throw new Error(`lost ${key}`);
  }
});

test("dgraph-io/ristretto#373: weights of your own are taken as they are, without a hidden addition", () => {
  const cache = new Cache<number, number>({ maxBytes: 10, weigh: () => 1, lowWatermark: 1 });
  for (let key = 0; key < 10; key++) cache.set(key, key);
  expect([cache.size, cache.stats().bytes]).toEqual([10, 10]);
  expect(cache.stats().evicted.size).toBe(0);
});

test.for(policies)(
  "sindresorhus/quick-lru#17: never holds more than max, between operations either, with %s",
  (policy) => {
    const sizes: number[] = [];
    const cache: Cache<number, number> = new Cache<number, number>({
      max: 10,
      policy,
      onEvict: () => sizes.push(cache.size),
    });
    for (let key = 0; key < 100; key++) {
      cache.set(key, key);
      sizes.push(cache.size);
    }
    expect(Math.max(...sizes)).toBe(10);
  },
);

test("unjs/ocache#35, jaredwray/cacheable#632, jaredwray/keyv#56: there is no cache without a bound", () => {
  expect(() => new Cache({ ttl: 1_000 } as never)).toThrow("max or maxBytes must be given");
});

test("jaredwray/cacheable#686: a ttl of 0 is over at once, and is not taken for none", () => {
  const cache = new Cache<string, number>({ max: 9, clock: new TestClock() });
  cache.set("a", 1, { ttl: 0 });
  expect([cache.get("a"), cache.has("a")]).toEqual([undefined, false]);
});

test("misskey-dev/misskey#14311: reading many keys that have expired does not keep them", async () => {
  const clock = new TestClock();
  const cache = new Cache<number, number>({ max: 1_000, ttl: 50, sliding: true, clock });
  for (let key = 0; key < 1_000; key++) cache.set(key, key);
  await clock.advance(60);
  for (let key = 0; key < 1_000; key++) expect(cache.get(key)).toBeUndefined();
  expect(cache.size).toBe(0);
});

test("isaacs/node-lru-cache#395: reads write to no object of the caller's, and publish nothing", () => {
  const options = Object.freeze({ ttl: 1_000, weight: 1 });
  const cache = new Cache<string, number>(Object.freeze({ max: 2, policy: "lru" as const }));
  expect(cache.set("a", 1, options).get("a")).toBe(1);
});

test("jaredwray/cacheable#1015: values are the very objects that were set, never copies", () => {
  const value = { call: () => 1, symbol: Symbol("s") };
  const cache = new Cache<string, typeof value>({ max: 1 });
  expect(cache.set("a", value).get("a")).toBe(value);
});

test("a cache that expires entries is collected with them when nobody holds it", async () => {
  const { setFlagsFromString } = await import("node:v8");
  const { runInNewContext } = await import("node:vm");
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  const reference = (() => {
    const cache = new Cache<string, number>({ max: 9, ttl: 3_600_000, name: "forgotten" });
    cache.set("a", 1);
    return new WeakRef(cache);
  })();
  await vi.waitFor(
    async () => {
      await setImmediate();
      gc();
      expect(reference.deref()).toBeUndefined();
    },
    { timeout: 20_000 },
  );
});
