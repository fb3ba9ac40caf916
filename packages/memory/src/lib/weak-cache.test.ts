import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { WeakCache } from "./weak-cache.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void; // what the flag has just exposed

/** A turn of the event loop ends the job in which references were read; then they can be collected. */
async function collectAll(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  await new Promise((resolve) => setImmediate(resolve));
}

test("WeakCache finds an object for as long as somebody else holds it", async () => {
  const cache = new WeakCache<string, { data: string }>({ strong: 0 });
  const held = { data: "held" };
  cache.set("held", held);
  cache.set("gone", { data: "gone" });

  await collectAll();

  expect(cache.get("held")).toBe(held);
  expect(cache.get("gone")).toBeUndefined();
  expect(cache.stats()).toMatchObject({ entries: 1, hits: 1, misses: 1, collected: 1 });
});

test("WeakCache holds the strong ones that were used last", async () => {
  const cache = new WeakCache<number, { n: number }>({ strong: 2 });
  for (let n = 0; n < 4; n++) cache.set(n, { n });
  cache.get(2);

  await collectAll();

  expect([0, 1, 2, 3].filter((n) => cache.has(n))).toEqual([2, 3]);
  expect(cache.shrink(0.5)).toBe(1); // 3 was used least
  await collectAll();
  expect([0, 1, 2, 3].filter((n) => cache.has(n))).toEqual([2]);
});

test("WeakCache does not forget a new value when the one before it is collected", async () => {
  const cache = new WeakCache<string, { n: number }>({ strong: 0 });
  cache.set("key", { n: 1 });
  const second = { n: 2 };
  cache.set("key", second);
  cache.set("key", second);
  await collectAll();
  expect(cache.get("key")).toBe(second);
});

test("WeakCache.delete() and clear() forget", () => {
  const cache = new WeakCache<string, object>();
  cache.set("a", {}).set("b", {});
  expect(cache.delete("a")).toBe(true);
  expect(cache.delete("a")).toBe(false);
  cache.clear();
  expect(cache.get("b")).toBeUndefined();
  expect(cache.stats()).toMatchObject({ entries: 0, strong: 0 });
  expect(() => new WeakCache({ strong: -1 })).toThrow(/strong must be an integer/);
});

test("WeakCache keeps neither keys nor references of values that are gone, however many there were", async () => {
  const cache = new WeakCache<number, object>({ strong: 10 });
  for (let round = 0; round < 20; round++) {
    for (let n = 0; n < 1_000; n++) cache.set(round * 1_000 + n, { n });
    for (let n = 0; n < 1_000; n++) cache.set(0, { n }); // one key, many values
    await collectAll();
    expect(cache.stats().entries).toBeLessThanOrEqual(11);
  }
  expect(cache.stats().collected).toBeGreaterThanOrEqual(20 * 990);
});

test("WeakCache forgets what it finds to be collected at once", async () => {
  const cache = new WeakCache<string, object>({ strong: 0 });
  cache.set("a", {});
  await new Promise((resolve) => setImmediate(resolve));
  collect(); // and no turn of the event loop: the registry has told nothing yet
  expect(cache.get("a")).toBeUndefined();
  expect(cache.stats()).toMatchObject({ entries: 0, collected: 1 });
  await collectAll();
  expect(cache.stats()).toMatchObject({ entries: 0, collected: 1 });
});

test("WeakCache refuses what cannot be held weakly, and shares that are none", () => {
  // @ts-expect-error a string is no object
  expect(() => new WeakCache().set("a", "text")).toThrow(/must be an object, got "text"/);
  expect(() => new WeakCache().shrink(-1)).toThrow(/fraction must be a number from 0 to 1, got -1/);
});
