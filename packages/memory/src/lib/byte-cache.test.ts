import { TestClock } from "@proj/concurrency/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteCache } from "./byte-cache.ts";
import { ByteIndex } from "./byte-index.ts";

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
    { maxBytes: 200_000, segmentBytes: 100_000 },
    /segmentBytes must be at most a third of maxBytes, 200000, got 100000/,
  ],
  [{ maxBytes: 2 ** 40 }, /below 32 GiB/],
  [{ maxBytes: 200_000, ttl: -1 }, /ttl must be 0 ms or more, got -1/],
])("ByteCache refuses %j", (options, message) => {
  expect(() => new ByteCache(options)).toThrow(message);
});

test("ByteCache.set() refuses what is no bytes", () => {
  // @ts-expect-error a string is no Uint8Array
  expect(() => new ByteCache(small).set("key", "text")).toThrow(/value must be a Uint8Array, got "text"/);
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
        expect(stats.bytes).toBeLessThanOrEqual(32_768);
        expect(stats.liveBytes).toBeLessThanOrEqual(stats.bytes);
        expect(stats.entries).toBeLessThanOrEqual(model.size);
      }
      for (const key of cache.keys()) expect(cache.get(key)?.toString()).toBe(model.get(key)?.text);
    }),
    { numRuns: 60 },
  );
}, 60_000);

test("ByteIndex finds all that was added and not deleted, whatever the hashes", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(40)), { maxLength: 400 }), (operations) => {
      const index = new ByteIndex();
      const model = new Map<number, number>(); // position by hash
      let next = 1;
      for (const [adds, n] of operations) {
        const hash = (n % 7) + 1_020; // all near the end of the table: chains wrap around
        const at = model.get(n);
        if (adds && at === undefined) {
          index.add(hash, next);
          model.set(n, next++);
        } else if (!adds && at !== undefined) {
          index.delete(hash, at);
          model.delete(n);
        }
        expect(index.size).toBe(model.size);
        for (const [n, at] of model) expect(index.find((n % 7) + 1_020, (found) => found === at)).toBe(at);
      }
    }),
  );
});
