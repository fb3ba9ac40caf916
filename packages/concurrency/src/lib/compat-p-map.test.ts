import { getEventListeners } from "node:events";
import fc from "fast-check";
import peer, { pMapSkip as peerSkip, pMapStop as peerStop } from "p-map";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { pMap, pMapSkip, pMapStop } from "../compat.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Item = { readonly turns: number; readonly kind: "value" | "skip" | "stop" | "fail" };
const item: fc.Arbitrary<Item> = fc.record({
  turns: fc.integer({ min: 1, max: 4 }), // within a turn the two differ by microtasks
  kind: fc.constantFrom("value", "value", "value", "value", "skip", "stop", "fail"),
});

async function trace(
  lib: { readonly map: typeof pMap | typeof peer; readonly skip: symbol; readonly stop: symbol },
  items: readonly Item[],
  options: { readonly concurrency: number; readonly stopOnError: boolean },
  isAsync: boolean,
): Promise<unknown> {
  const log: unknown[] = [];
  let running = 0;
  let most = 0;
  async function* stream(): AsyncGenerator<Item> {
    for (const item of items) yield item;
  }
  const mapper = async (item: Item, index: number): Promise<unknown> => {
    most = Math.max(most, ++running);
    log.push(`start ${index}`);
    for (let left = item.turns; left > 0; left--) await turn();
    running--;
    if (item.kind === "fail") throw new Error(`item ${index}`);
    return item.kind === "skip" ? lib.skip : item.kind === "stop" ? lib.stop : index;
  };
  try {
    log.push(await lib.map(isAsync ? stream() : items, mapper, options));
  } catch (error) {
    log.push(error instanceof AggregateError ? error.errors.map(String) : String(error));
  }
  return [log, most];
}

test("pMap() leaves the same trace as p-map for any items", { timeout: 60_000 }, async () => {
  const options = fc.record({
    concurrency: fc.constantFrom(1, 2, 3, Number.POSITIVE_INFINITY),
    stopOnError: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(item, { maxLength: 10 }), options, fc.boolean(), async (items, options, isAsync) => {
      const ours = await trace({ map: pMap, skip: pMapSkip, stop: pMapStop }, items, options, isAsync);
      expect(ours).toEqual(await trace({ map: peer, skip: peerSkip, stop: peerStop }, items, options, isAsync));
    }),
    { numRuns: propertyRuns(400) },
  );
});

test("pMap() awaits items that are promises, and closes its source when it fails", async () => {
  expect(await pMap([Promise.resolve(1), 2], (value) => value * 2)).toEqual([2, 4]);
  let isClosed = false;
  function* source(): Generator<number> {
    try {
      for (let value = 0; ; value++) yield value;
    } finally {
      isClosed = true;
    }
  }
  const failing = pMap(source(), async (value) => (value === 3 ? Promise.reject("three") : value), { concurrency: 2 });
  await expect(failing).rejects.toBe("three");
  expect(isClosed).toBe(true);
});

test("[p-map#75] no listener stays on a signal, however it ends", async () => {
  const { signal } = new AbortController();
  await pMap([1, 2, 3], async (value) => value, { signal, concurrency: 2 });
  await pMap([1, 2, 3], () => Promise.reject("failed"), { signal }).catch(() => {});
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
});

test("pMap() rejects with the reason of its signal in the same turn, before and meanwhile", async () => {
  const caller = new AbortController();
  const mapped: number[] = [];
  const mapping = pMap([0, 1, 2], async (value) => void mapped.push(await turn().then(() => value)), {
    signal: caller.signal,
    concurrency: 1,
  });
  caller.abort("left");
  await expect(mapping).rejects.toBe("left");
  await expect(pMap([0], (value) => mapped.push(value), { signal: caller.signal })).rejects.toBe("left");
  await turn();
  await turn();
  expect(mapped.length).toBeLessThanOrEqual(1);
});

test("pMap() refuses what it cannot map", async () => {
  // @ts-expect-error: a number is no iterable
  await expect(pMap(5, (value) => value)).rejects.toThrow("input must be an iterable or an async iterable, got 5");
  // @ts-expect-error: no mapper
  await expect(pMap([1])).rejects.toThrow("mapper must be a function, got undefined");
  await expect(pMap([1], (value) => value, { concurrency: 0 })).rejects.toThrow("concurrency must be");
});

test("an error of a mapper shows the leaf and the caller of pMap()", async () => {
  async function leaf(): Promise<never> {
    await Promise.resolve();
    throw new Error("deep");
  }
  async function callerOfMap(): Promise<void> {
    await pMap([1], leaf);
  }
  const error = await callerOfMap().catch((error: Error) => error);
  expect(error?.stack).toMatch(/leaf[\s\S]*callerOfMap/);
});
