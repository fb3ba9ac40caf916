import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import type { Timer } from "../index.ts";
import { TestClock } from "../testing.ts";

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("set" as const), ms: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("clear" as const), at: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("next" as const) }) },
);

test("a TestClock calls its timers by time, and by arrival among equals, however many are cleared", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const clock = new TestClock();
      const timers: Timer[] = [];
      const called: number[] = [];
      const model: { readonly id: number; readonly due: number }[] = [];
      const expected: number[] = [];
      const advance = (): void => {
        const [first] = model.toSorted((a, b) => a.due - b.due || a.id - b.id);
        expect(clock.advanceToNext()).toBe(first !== undefined);
        if (first === undefined) return;
        expected.push(first.id);
        model.splice(model.indexOf(first), 1);
        expect(clock.now()).toBe(first.due);
      };
      for (const action of steps) {
        if (action.kind === "set") {
          const id = timers.length;
          timers.push(clock.setTimeout((which: number) => called.push(which), action.ms, id));
          model.push({ id, due: clock.now() + action.ms });
        } else if (action.kind === "clear") {
          const id = action.at % Math.max(1, timers.length);
          timers[id]?.clear(); // harmless for one that is gone
          const index = model.findIndex((timer) => timer.id === id);
          if (index >= 0) model.splice(index, 1);
        } else {
          advance();
        }
        expect(clock.timers).toBe(model.length);
      }
      while (model.length > 0) advance();
      expect([called, clock.timers]).toEqual([expected, 0]);
    }),
    { numRuns: propertyRuns(2_000) },
  );
});

test("TestClock.advance() calls what falls due in its own time, timers set meanwhile included", async () => {
  const clock = new TestClock({ now: 1_000, wall: 5_000 });
  const called: [string, number][] = [];
  clock.setTimeout(() => {
    called.push(["first", clock.now()]);
    clock.setTimeout(() => called.push(["third", clock.now()]), 5);
    void Promise.resolve().then(() => called.push(["microtask", clock.now()]));
  }, 10);
  clock.setTimeout(() => called.push(["second", clock.now()]), 12);
  clock.setTimeout(() => called.push(["never", clock.now()]), Number.POSITIVE_INFINITY);
  await Promise.all([clock.advance(11), clock.advance(9)]);
  expect(called).toEqual([
    ["first", 1_010],
    ["microtask", 1_010],
    ["second", 1_012],
    ["third", 1_015],
  ]);
  expect([clock.now(), clock.wall(), clock.timers]).toEqual([1_020, 5_020, 0]);
});

test("TestClock.advance() rejects with what a callback throws, and goes on with the next call", async () => {
  const clock = new TestClock();
  clock.setTimeout(() => {
    throw new Error("thrown by a callback");
  }, 10);
  await expect(clock.advance(20)).rejects.toThrow("thrown by a callback");
  await clock.advance(5);
  expect(clock.now()).toBe(15); // where the callback was called, and 5 ms on
  expect(() => clock.advance(Number.POSITIVE_INFINITY)).toThrow("ms must be finite");
});

test("a hundred thousand timers are set and cleared in no particular order in a moment", () => {
  const clock = new TestClock();
  const timers = Array.from({ length: 100_000 }, (_, index) => clock.setTimeout(() => {}, (index * 7_919) % 100_003));
  for (let index = 0; index < timers.length; index++) timers[(index * 31_607) % timers.length]?.clear();
  expect(clock.timers).toBe(0); // in linear time each, it would be the test's timeout
});
