import { AsyncLocalStorage } from "node:async_hooks";
import fc from "fast-check";
import { expect, expectTypeOf, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { batcher } from "./batcher.ts";
import { ClosedError } from "./closed-error.ts";
import { Context } from "./context.ts";
import { TestClock } from "./test-clock.ts";

/** Doubles numbers and keeps the batches it saw. */
function doubler() {
  const batches: (readonly number[])[] = [];
  const load = async (keys: readonly number[]) => {
    batches.push(keys);
    await Promise.resolve();
    return keys.map((key) => key * 2);
  };
  return { batches, load };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("loads of one turn become one batch, promise callbacks included", async () => {
  const { batches, load } = doubler();
  const numbers = batcher(load);
  const late = (async () => {
    for (let i = 0; i < 20; i++) await Promise.resolve();
    return await numbers.load(3);
  })();
  expect(await Promise.all([numbers.load(1), numbers.load(2), late])).toEqual([2, 4, 6]);
  expect(batches).toEqual([[1, 2, 3]]);
});

test("a full batch departs at once", async () => {
  const { batches, load } = doubler();
  const numbers = batcher(load, { maxSize: 2 });
  const loading = [1, 2, 3].map((n) => numbers.load(n));
  expect(batches).toEqual([[1, 2]]);
  expect(await Promise.all(loading)).toEqual([2, 4, 6]);
  expect(batches).toEqual([[1, 2], [3]]);
});

test("maxWait holds a batch open for that long, and no longer", async () => {
  const clock = new TestClock();
  const { batches, load } = doubler();
  const numbers = batcher(load, { maxWait: 5, clock });
  const first = numbers.load(1);
  await clock.advance(4);
  const second = numbers.load(2);
  expect(batches).toEqual([]);
  await clock.advance(1);
  expect(batches).toEqual([[1, 2]]);
  expect(await Promise.all([first, second])).toEqual([2, 4]);
  expect(clock.timers).toBe(0);
});

test("an Error in a place is the failure of that key alone", async () => {
  const numbers = batcher((keys: readonly number[]) => keys.map((key) => (key === 2 ? new Error("no 2") : `n${key}`)));
  expectTypeOf(numbers.load(1)).toEqualTypeOf<Promise<string>>();
  expect(await Promise.allSettled([1, 2, 3].map((n) => numbers.load(n)))).toMatchObject([
    { value: "n1" },
    { reason: new Error("no 2") },
    { value: "n3" },
  ]);
});

test("a rejection of load is the failure of all, with that very error", async () => {
  const error = new Error("down");
  const numbers = batcher<number, number>(() => Promise.reject(error));
  const settled = await Promise.allSettled([numbers.load(1), numbers.load(2)]);
  expect(settled.map((one) => one.status === "rejected" && one.reason === error)).toEqual([true, true]);
});

test("a load that gives the wrong number of results is a TypeError for all", async () => {
  const numbers = batcher<number, number>((keys) => keys.slice(1));
  await expect(numbers.load(1)).rejects.toThrow(/one result for each of the 1 keys, got 0/);
  const broken = batcher<number, number>(() => undefined as unknown as number[]);
  await expect(broken.load(1)).rejects.toThrow(/must be an array of results, got undefined/);
});

test("a caller that leaves before departure is not loaded; a batch without callers never departs", async () => {
  const clock = new TestClock();
  const { batches, load } = doubler();
  const numbers = batcher(load, { maxWait: 5, clock });
  const [first, second] = [new AbortController(), new AbortController()];
  const waits = [numbers.load(1, { signal: first.signal }), numbers.load(2, { signal: second.signal })];
  const settled = Promise.allSettled(waits);
  first.abort("left");
  expect(numbers.waiting).toBe(1);
  await clock.advance(5);
  expect(batches).toEqual([[2]]);
  expect(await settled).toMatchObject([{ reason: "left" }, { value: 4 }]);

  const third = new AbortController();
  const alone = numbers.load(3, { signal: third.signal });
  third.abort("left");
  await expect(alone).rejects.toBe("left");
  expect([clock.timers, numbers.waiting]).toEqual([0, 0]);
  await clock.advance(5);
  expect(batches).toEqual([[2]]);
});

test("a batch in flight is cancelled when its last caller has left, not before", async () => {
  let context: Context | undefined;
  const numbers = batcher<number, number>((_, own) => {
    context = own;
    return new Promise((_, reject) => void Context.after(own, reject));
  });
  const callers = [new AbortController(), new AbortController()];
  const waits = callers.map(({ signal }, i) => numbers.load(i, { signal }));
  numbers.flush();
  callers[0]?.abort("first");
  expect(context?.cancelled).toBe(false);
  callers[1]?.abort("last");
  expect(context?.cause).toBe("last");
  expect(await Promise.allSettled(waits)).toMatchObject([{ reason: "first" }, { reason: "last" }]);
});

test("close() loads what waits, refuses what comes and waits for all", async () => {
  const { batches, load } = doubler();
  const clock = new TestClock();
  const numbers = batcher(load, { name: "numbers", maxWait: 1_000, clock });
  const last = numbers.load(1);
  const closing = numbers.close();
  await expect(numbers.load(2)).rejects.toBeInstanceOf(ClosedError);
  await closing;
  expect(await last).toBe(2);
  expect(batches).toEqual([[1]]);
  expect([numbers.inFlight, clock.timers]).toEqual([0, 0]);
});

test("adaptive batches grow while they are quick and shrink when they are slow", async () => {
  const clock = new TestClock();
  let perKey = 1;
  const numbers = batcher(
    async (keys: readonly number[]) => {
      const slept = Promise.withResolvers<void>();
      clock.setTimeout(() => slept.resolve(), keys.length * perKey);
      await slept.promise;
      return keys;
    },
    { maxSize: 320, clock, adaptive: { targetLatency: 100 } },
  );
  const round = async () => {
    const loading = Array.from({ length: numbers.size }, (_, n) => numbers.load(n));
    await clock.advance(2_000);
    await Promise.all(loading);
  };
  expect(numbers.size).toBe(10);
  for (let i = 0; i < 40; i++) await round();
  expect(numbers.size).toBeGreaterThan(70); // 100 keys take 100 ms
  expect(numbers.size).toBeLessThanOrEqual(110);
  perKey = 4;
  for (let i = 0; i < 40; i++) await round();
  expect(numbers.size).toBeGreaterThan(15); // now 25 do
  expect(numbers.size).toBeLessThanOrEqual(35);
});

test("a small batch says nothing about larger ones", async () => {
  const clock = new TestClock();
  const numbers = batcher(async (keys: readonly number[]) => keys, {
    maxSize: 64,
    clock,
    adaptive: { targetLatency: 5 },
  });
  for (let i = 0; i < 10; i++) await numbers.load(i);
  expect(numbers.size).toBe(2);
});

test("misuse is answered with the option and the value", () => {
  expect(() => batcher(async () => [], { maxSize: 0 })).toThrow(/maxSize must be an integer of at least 1.*got 0/);
  expect(() => batcher(async () => [], { maxWait: -1 })).toThrow(RangeError);
  expect(() => batcher(async () => [], { maxSize: Number.POSITIVE_INFINITY, adaptive: { targetLatency: 1 } })).toThrow(
    /maxSize/,
  );
  // @ts-expect-error: not a function
  expect(() => batcher(5)).toThrow(/load must be a function, got 5/);
});

test("cancelled at any microtask, every caller gets its value or its reason", async () => {
  for (let at = 0; at < 16; at++) {
    const { load } = doubler();
    const numbers = batcher(load, { maxSize: 2 });
    const caller = new AbortController();
    const waits = [1, 2, 3].map((n) => numbers.load(n, { signal: caller.signal }).catch((reason: unknown) => reason));
    for (let i = 0; i < at; i++) await Promise.resolve();
    caller.abort("cancelled");
    for (const [i, outcome] of (await Promise.all(waits)).entries())
      expect([(i + 1) * 2, "cancelled"]).toContain(outcome);
    await turn();
    expect([numbers.waiting, numbers.inFlight]).toEqual([0, 0]);
  }
});

test("whoever loads and leaves when, each key that stays is loaded exactly once and gets its own value", async () => {
  const action = fc.record({ kind: fc.constantFrom("load", "load", "abort", "tick", "flush"), nth: fc.nat(20) });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(action, { maxLength: 40 }), async (maxSize, actions) => {
      const clock = new TestClock();
      const { batches, load } = doubler();
      const numbers = batcher(load, { maxSize, maxWait: 3, clock });
      const callers: { controller: AbortController; outcome: Promise<unknown>; aborted: boolean }[] = [];
      for (const { kind, nth } of actions) {
        if (kind === "load") {
          const controller = new AbortController();
          const outcome = numbers
            .load(callers.length, { signal: controller.signal })
            .catch((reason: unknown) => reason);
          callers.push({ controller, outcome, aborted: false });
        } else if (kind === "abort") {
          const caller = callers[nth];
          caller?.controller.abort("left");
          if (caller !== undefined) caller.aborted = true;
        } else if (kind === "flush") numbers.flush();
        else await clock.advance(nth % 4);
      }
      await clock.advance(3);
      const loaded = batches.flat();
      expect(new Set(loaded).size).toBe(loaded.length);
      for (const batch of batches) expect(batch.length).toBeLessThanOrEqual(maxSize);
      for (const [key, { outcome, aborted }] of callers.entries()) {
        const result = await outcome;
        if (aborted) expect([key * 2, "left"]).toContain(result);
        else expect(result).toBe(key * 2);
      }
      expect([numbers.waiting, numbers.inFlight, clock.timers]).toEqual([0, 0, 0]);
    }),
    { numRuns: propertyRuns(300) },
  );
});

test("each batch is loaded in the AsyncLocalStorage frames of the caller that opened it, whoever sends it off", async () => {
  const clock = new TestClock();
  const storage = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const load = (keys: readonly number[]) => {
    seen.push([...keys, storage.getStore()]);
    return keys;
  };
  const numbers = batcher(load, { maxSize: 2 });
  const inTime = batcher(load, { maxWait: 10, clock });
  const add = (name: string, key: number) => storage.run(name, () => numbers.load(key));
  const loading = [add("ada", 1), add("bob", 2), add("eve", 3)];
  const later = [storage.run("kim", () => inTime.load(4)), storage.run("leo", () => inTime.load(5))];
  await Promise.all(loading);
  storage.run("max", () => inTime.flush());
  await Promise.all(later);
  expect(seen).toEqual([
    [1, 2, "ada"],
    [3, "eve"],
    [4, 5, "kim"],
  ]);
  expect(storage.getStore()).toBe(undefined);
});
