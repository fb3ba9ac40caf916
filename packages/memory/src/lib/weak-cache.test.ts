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
