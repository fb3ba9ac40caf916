import { expect, test } from "vitest";
import { Context, limit } from "../index.ts";

test("limit() calls functions with their arguments, a few at a time", async () => {
  const two = limit(2);
  let most = 0;
  let running = 0;
  const task = async (a: number, b: number): Promise<number> => {
    most = Math.max(most, ++running);
    await Promise.resolve();
    running--;
    return a + b;
  };
  expect(await Promise.all([1, 2, 3, 4].map((a) => two(task, a, 10)))).toEqual([11, 12, 13, 14]);
  expect(most).toBe(2);
  expect([two.running, two.waiting, two.concurrency]).toEqual([0, 0, 2]);
});

test("limit().concurrency can be changed", async () => {
  const one = limit(1);
  const gate = Promise.withResolvers<void>();
  const all = [one(() => gate.promise), one(() => gate.promise)];
  expect([one.running, one.waiting]).toEqual([1, 1]);
  one.concurrency = 2;
  expect([one.running, one.waiting]).toEqual([2, 0]);
  gate.resolve();
  await Promise.all(all);
});

test("limit().map() keeps the order of the items and takes them only as there is room", async () => {
  const three = limit(3);
  let taken = 0;
  let running = 0;
  async function* items(): AsyncGenerator<number> {
    for (let item = 0; item < 20; item++) {
      expect(taken++ - (three.running > 0 ? item - three.running : item)).toBeLessThanOrEqual(4);
      yield item;
    }
  }
  const results = await three.map(items(), async (item, index) => {
    expect(++running).toBeLessThanOrEqual(3);
    for (let step = 0; step < (item * 7) % 5; step++) await Promise.resolve();
    running--;
    return item * index;
  });
  expect(results).toEqual(Array.from({ length: 20 }, (_, item) => item * item));
});

test("[p-map#75] the first failure of limit().map() cancels the rest, and it rejects when those that ran have ended", async () => {
  const two = limit(2);
  const failure = new Error("third");
  const started: number[] = [];
  let ended = 0;
  const mapping = two.map([0, 1, 2, 3, 4, 5], async (item, _index, context) => {
    started.push(item);
    await Promise.resolve();
    if (item === 2) throw failure;
    await new Promise<void>((resolve) => {
      Context.after(context, () => setImmediate(resolve));
      if (item < 2) resolve();
    });
    ended++;
  });
  await expect(mapping).rejects.toBe(failure);
  expect(started).toEqual([0, 1, 2, 3]);
  expect(ended).toBe(3);
  expect(two.running).toBe(0);
});

test("limit().map() gives up when its signal aborts, and closes its source", async () => {
  const one = limit(1);
  const controller = new AbortController();
  let closed = false;
  function* items(): Generator<number> {
    try {
      for (let item = 0; ; item++) yield item;
    } finally {
      closed = true;
    }
  }
  const mapping = one.map(items(), async (item) => void (item === 5 && controller.abort("enough")), {
    signal: controller.signal,
  });
  await expect(mapping).rejects.toBe("enough");
  expect([closed, one.running, one.waiting]).toEqual([true, 0, 0]);
});

test("limit() refuses what is no count", () => {
  expect(() => limit(0)).toThrow(
    "Cannot create a limit: concurrency must be an integer of at least 1 or Infinity, got 0",
  );
});
