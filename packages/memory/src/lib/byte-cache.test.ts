import { TestClock } from "@proj/concurrency/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteCache } from "./byte-cache.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const small = { maxBytes: 3 * 65_536, segmentBytes: 1_024 };

test("ByteCache.get() returns a copy of what was set", () => {
  const cache = new ByteCache(small);
  const value = bytes("value");
  expect(cache.set("key", value)).toBe(true);
  value.fill(0);

  const first = cache.get("key");
  expect(first?.toString()).toBe("value");
  first?.fill(0);
  expect(cache.get("key")?.toString()).toBe("value");
  expect(cache.get("other")).toBeUndefined();
  expect(cache.stats()).toMatchObject({ entries: 1, hits: 2, misses: 1 });
});

test("ByteCache.read() lends the bytes themselves, and the cache cannot be changed meanwhile", () => {
  const cache = new ByteCache(small);
  cache.set("key", bytes("value"));

  expect(cache.read("key", (view) => new TextDecoder().decode(view))).toBe("value");
  expect(cache.read("none", () => 1)).toBeUndefined();
  for (const change of [() => cache.set("a", bytes("b")), () => cache.delete("key"), () => cache.clear()]) {
    expect(() => cache.read("key", change)).toThrow(/while read\(\) looks at a value/);
  }
  expect(() =>
    cache.read("key", () => {
      throw new Error("from use");
    }),
  ).toThrow("from use");
  expect(cache.set("a", bytes("b"))).toBe(true);
});

test("ByteCache takes never more than maxBytes and drops the oldest first, but for what was read", () => {
  const cache = new ByteCache({ maxBytes: 3 * 65_536, segmentBytes: 65_536 });
  cache.set("wanted", bytes("w"));
  for (let index = 0; index < 10_000; index++) {
    cache.set(`key ${index}`, new Uint8Array(50));
    cache.get("wanted");
    if (index % 100 === 0) expect(cache.stats().bytes).toBeLessThanOrEqual(3 * 65_536);
  }

  expect(cache.get("wanted")?.toString()).toBe("w");
  expect(cache.has("key 0")).toBe(false);
  expect(cache.has("key 9999")).toBe(true);
  const { evicted, entries } = cache.stats();
  expect(evicted + entries).toBe(10_001);
});

test("ByteCache refuses a value above half a segment and keeps all others", () => {
  const cache = new ByteCache(small);
  cache.set("a", bytes("small"));
  cache.set("b", bytes("old"));

  expect(cache.set("b", new Uint8Array(600))).toBe(false);
  expect(cache.get("b")).toBeUndefined(); // the old value would be wrong
  expect(cache.get("a")?.toString()).toBe("small");
  expect(cache.stats().refused).toBe(1);
});

test("ByteCache forgets a value when its time has come", async () => {
  const clock = new TestClock();
  const cache = new ByteCache({ ...small, ttl: 100, clock });
  cache.set("a", bytes("1"));
  cache.set("b", bytes("2"), 200);

  await clock.advance(100);
  expect(cache.has("a")).toBe(false);
  expect([...cache.keys()]).toEqual(["b"]);
  expect(cache.get("a")).toBeUndefined();
  expect(cache.get("b")?.toString()).toBe("2");
  expect(cache.stats()).toMatchObject({ entries: 1, expired: 1 });
});

test.each(["é", "a\ud800", "a\udbff", "a\ufffd", "", "\u00ff", "日本"])(
  "ByteCache keeps the key %j apart from all others",
  (key) => {
    const cache = new ByteCache(small);
    for (const other of ["é", "a\ud800", "a\udbff", "a\ufffd", "", "\u00ff", "日本"]) cache.set(other, bytes(other));
    cache.set(key, bytes("mine"));
    expect(cache.get(key)?.toString()).toBe("mine");
    expect(cache.size).toBe(7);
    expect([...cache.keys()]).toContain(key);
  },
);

test("ByteCache.shrink() and clear() give memory back", () => {
  const cache = new ByteCache(small);
  for (let index = 0; index < 1_000; index++) cache.set(`key ${index}`, new Uint8Array(50));
  const before = cache.stats().bytes;

  expect(cache.shrink(0.5)).toBeGreaterThan(before * 0.4);
  expect(cache.has("key 999")).toBe(true);
  expect(cache.has("key 0")).toBe(false);
  expect(cache.shrink(1)).toBeGreaterThan(0);
  expect(cache.stats()).toMatchObject({ bytes: 0, liveBytes: 0, entries: 0 });
  expect(cache.set("again", bytes("1"))).toBe(true);
});

test.each([
  [{ maxBytes: 1 }, /maxBytes must be an integer of at least 3072, got 1/],
  [
    { maxBytes: 200_000, segmentBytes: 131_072 },
    /segmentBytes must be at most a third of maxBytes, 200000, got 131072/,
  ],
  [{ maxBytes: 200_000, segmentBytes: 3_000 }, /segmentBytes must be a power of two from 1 KiB to 1 GiB, got 3000/],
  [{ maxBytes: 2 ** 40 }, /at most 32 GiB/],
  [{ maxBytes: 200_000, ttl: -1 }, /ttl must be 0 ms or more, got -1/],
])("ByteCache refuses %j", (options, message) => {
  expect(() => new ByteCache(options)).toThrow(message);
});

test("ByteCache.set() refuses what is no bytes", () => {
  // @ts-expect-error a string is no Uint8Array
  expect(() => new ByteCache(small).set("key", "text")).toThrow(/it must be a Uint8Array, got "text"/);
  // @ts-expect-error a number is no key
  expect(() => new ByteCache(small).get(1)).toThrow(/must be a string, got 1/);
});

test("ByteCache.keys() survives any change that is made meanwhile", () => {
  const cache = new ByteCache(small);
  for (let index = 0; index < 1_000; index++) cache.set(`old ${index}`, new Uint8Array(50));
  const seen: string[] = [];
  for (const key of cache.keys()) {
    seen.push(key);
    for (let index = 0; index < 100; index++) cache.set(`new ${seen.length} ${index}`, new Uint8Array(50));
    if (seen.length === 50) cache.shrink(0.5);
    if (seen.length === 100) cache.clear();
  }
  expect(seen.length).toBeGreaterThan(10);
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen.every((key) => /^(old \d+|new \d+ \d+)$/.test(key))).toBe(true);
});

test("ByteCache.read() can read others meanwhile, and counts what has expired once", async () => {
  const clock = new TestClock();
  const cache = new ByteCache({ ...small, clock });
  cache.set("a", bytes("1"));
  cache.set("b", bytes("2"), 10);
  await clock.advance(10);
  const inner = cache.read("a", () => [cache.get("b"), cache.get("b"), cache.read("a", (view) => view[0])]);
  expect(inner).toEqual([undefined, undefined, 49]);
  expect(cache.stats()).toMatchObject({ entries: 2, expired: 0 });
  expect(cache.get("b")).toBeUndefined();
  expect(cache.stats()).toMatchObject({ entries: 1, expired: 1, hits: 2, misses: 3 });
});

test("ByteCache finds no key that is longer than a segment, and refuses to set it", () => {
  const cache = new ByteCache(small);
  const key = "k".repeat(100_000);
  expect(cache.set(key, bytes("1"))).toBe(false);
  expect(cache.get(key)).toBeUndefined();
  expect(cache.delete(`${key}é`)).toBe(false);
  expect(cache.set("short", bytes("1"))).toBe(true);
  expect(cache.get("short")?.toString()).toBe("1");
  expect([...cache.keys()]).toEqual(["short"]);
});

test("a copy that ByteCache.get() returns holds no more than 4 KiB, and cannot take others along", () => {
  const cache = new ByteCache({ maxBytes: 2 ** 20, segmentBytes: 65_536 });
  for (const size of [1, 64, 65, 256, 1_024, 1_025, 20_000]) {
    cache.set("key", new Uint8Array(size).fill(size));
    const copy = cache.get("key") as Buffer;
    expect(copy).toEqual(Buffer.alloc(size, size));
    expect(copy.buffer.byteLength).toBeLessThanOrEqual(Math.max(4_096, size));
    if (size <= 1_024) expect(() => structuredClone(copy, { transfer: [copy.buffer as ArrayBuffer] })).toThrow();
  }
});

test("ByteCache.shrink() gives back what its table needs no more", () => {
  const cache = new ByteCache({ maxBytes: 2 ** 20 });
  for (let index = 0; index < 10_000; index++) cache.set(`key ${index}`, new Uint8Array(50));
  const before = cache.stats();
  const freed = cache.shrink(0.9);
  const after = cache.stats();
  expect(after.indexBytes).toBeLessThan(before.indexBytes / 2);
  expect(freed).toBe(before.bytes + before.indexBytes - after.bytes - after.indexBytes);
  for (const key of cache.keys()) expect(cache.get(key)).toHaveLength(50);
});

test("ByteCache does what a Map does, but for what it drops", () => {
  const operation = fc.oneof(
    { weight: 60, arbitrary: fc.tuple(fc.constant("set"), fc.nat(300), fc.nat(300)) },
    { weight: 40, arbitrary: fc.tuple(fc.constant("get"), fc.nat(300), fc.constant(0)) },
    { weight: 20, arbitrary: fc.tuple(fc.constant("delete"), fc.nat(300), fc.constant(0)) },
    { weight: 5, arbitrary: fc.tuple(fc.constant("tick"), fc.nat(50), fc.constant(0)) },
    { weight: 1, arbitrary: fc.tuple(fc.constant("shrink"), fc.nat(10), fc.constant(0)) },
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 2_000, minLength: 500 }), (operations) => {
      let now = 0;
      const clock = { now: () => now, wall: () => now, setTimeout: () => expect.fail("needs no timer") };
      const cache = new ByteCache({ maxBytes: 32_768, ttl: 1_000, clock, segmentBytes: 2_048 });
      const model = new Map<string, { text: string; until: number }>();
      for (const [index, [kind, a, b]] of operations.entries()) {
        const key = `key ${a}`;
        if (kind === "set") {
          const text = `${index}`.padEnd(b, ".");
          expect(cache.set(key, bytes(text))).toBe(true);
          model.set(key, { text, until: now + 1_000 });
          expect(cache.get(key)?.toString()).toBe(text); // the newest is never dropped
        } else if (kind === "get") {
          const known = model.get(key);
          const found = cache.get(key)?.toString();
          if (found !== undefined) expect(found).toBe(known?.text);
          if (known !== undefined && known.until <= now) expect(found).toBeUndefined();
        } else if (kind === "delete") {
          const found = cache.has(key);
          expect(cache.delete(key)).toBe(found);
          model.delete(key);
          expect(cache.has(key)).toBe(false);
        } else if (kind === "tick") now += a;
        else cache.shrink(a / 10);
        const stats = cache.stats();
        expect(stats.entries).toBe(cache.size);
        expect(stats.bytes).toBeLessThanOrEqual(32_768);
        expect(stats.liveBytes).toBeLessThanOrEqual(stats.bytes);
        expect(stats.entries).toBeLessThanOrEqual(model.size);
      }
      for (const key of cache.keys()) expect(cache.get(key)?.toString()).toBe(model.get(key)?.text);
    }),
    { numRuns: 60 },
  );
}, 60_000);
