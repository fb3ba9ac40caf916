import { getEventListeners } from "node:events";
import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { Context, Latch, type OwnedContext, TimeoutError } from "../index.ts";
import { cancelSweep, TestClock } from "../testing.ts";

async function ticks(count: number): Promise<void> {
  for (let tick = 0; tick < count; tick++) await Promise.resolve();
}

test("Latch opens for all, in order, when it was counted down, and stays open", async () => {
  const latch = new Latch(3, { name: "loaded" });
  const order: number[] = [];
  const waits = [0, 1, 2].map((index) => latch.wait().then(() => order.push(index)));
  latch.countDown();
  latch.countDown(1);
  await ticks(3);
  expect([order, latch.count, latch.waiting, latch.name]).toEqual([[], 1, 3, "loaded"]);
  latch.countDown(5);
  await Promise.all(waits);
  await latch.wait();
  expect([order, latch.count]).toEqual([[0, 1, 2], 0]);
});

test("a caller that gives up leaves in the same turn, and the count stays", async () => {
  const clock = new TestClock();
  const latch = new Latch(1, { clock });
  const caller = new AbortController();
  const aborted = latch.wait({ signal: caller.signal });
  const timed = latch.wait({ timeout: 20 });
  timed.catch(() => {});
  caller.abort("left");
  expect([latch.waiting, latch.count]).toEqual([1, 1]);
  await expect(aborted).rejects.toBe("left");
  await clock.advance(20);
  await expect(timed).rejects.toBeInstanceOf(TimeoutError);
  expect([latch.waiting, clock.timers, getEventListeners(caller.signal, "abort").length]).toEqual([0, 0, 0]);
  await expect(new Latch(0).wait({ signal: caller.signal })).rejects.toBe("left");
});

test("Latch refuses what is no count", async () => {
  expect(() => new Latch(-1)).toThrow("Cannot create a Latch: count must be an integer of at least 0, got -1");
  expect(() => new Latch(1).countDown(0)).toThrow(
    "Cannot count down a Latch: by must be an integer of at least 1, got 0",
  );
  await expect(new Latch(1).wait({ timeout: -1 })).rejects.toThrow(
    "Cannot wait for latch: timeout must be 0 ms or more",
  );
});

test("a latch cancelled at any step leaves nobody waiting", async () => {
  await cancelSweep(async (signal) => {
    const latch = new Latch(2);
    const waits = [latch.wait({ signal }), latch.wait()];
    for (const pause of [3, 4]) void ticks(pause).then(() => latch.countDown());
    await Promise.allSettled(waits);
    expect([latch.waiting, latch.count]).toEqual([0, 0]);
  });
});

test("a latch agrees with a naive model in any schedule", async () => {
  const step = fc.constantFrom("wait" as const, "wait" as const, "down" as const, "abort" as const);
  await fc.assert(
    fc.asyncProperty(fc.nat(4), fc.array(step, { maxLength: 15 }), async (count, steps) => {
      const latch = new Latch(count);
      const seen: string[] = [];
      const expected: string[] = [];
      let waiting: { id: number; signal: OwnedContext }[] = [];
      let left = count;
      for (const [id, kind] of steps.entries()) {
        if (kind === "wait") {
          const signal = Context.derive();
          waiting.push({ id, signal });
          latch.wait({ signal }).then(
            () => (seen[id] = "passed"),
            (reason: unknown) => (seen[id] = String(reason)),
          );
        } else if (kind === "down") {
          left = Math.max(0, left - 1);
          latch.countDown();
        } else {
          const first = waiting.shift();
          if (first !== undefined) expected[first.id] = "left";
          first?.signal.cancel("left");
        }
        if (left === 0) {
          for (const { id } of waiting) expected[id] = "passed";
          waiting = [];
        }
        expect([latch.waiting, latch.count]).toEqual([waiting.length, left]);
      }
      await ticks(6);
      expect(seen).toEqual(expected);
    }),
    { numRuns: propertyRuns(3_000) },
  );
});
