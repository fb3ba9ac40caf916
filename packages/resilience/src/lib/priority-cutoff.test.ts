// Which calls go when not all can stay.
import fc from "fast-check";
import { expect, test } from "vitest";
import { PriorityCutoff } from "./priority-cutoff.ts";

function cutoff(counts: Readonly<Record<number, number>>, share: number): PriorityCutoff {
  const priorities = new PriorityCutoff();
  for (const [priority, count] of Object.entries(counts)) {
    for (let call = 0; call < count; call++) priorities.count(Number(priority));
  }
  priorities.share = share;
  priorities.update();
  return priorities;
}

test("a PriorityCutoff sheds all below a level, and some at it", () => {
  const priorities = cutoff({ 0: 50, 1: 30, 2: 20 }, 0.65);

  expect(priorities.sheds(0, () => 0.999)).toBe(true);
  expect([0.499, 0.501].map((random) => priorities.sheds(1, () => random))).toEqual([true, false]);
  expect(priorities.sheds(2, () => 0)).toBe(false);
  expect(priorities.sheds(-1, () => 0.999)).toBe(true);
});

test("a PriorityCutoff keeps places for what is more important", () => {
  const priorities = cutoff({ 0: 50, 1: 30, 2: 20 }, 0);
  const parts = [0, 1, 2, 3].map((priority) => priorities.partOf(priority));

  expect(parts.map((part) => Math.round(part * 1_000))).toEqual([819, 931, 1_000, 1_000]);
  expect(cutoff({ 7: 10 }, 0).partOf(7)).toBe(1);
});

test("a PriorityCutoff forgets priorities that come no more, and tells only so many apart", () => {
  const priorities = cutoff({ 0: 10, 1: 10 }, 0);
  for (let interval = 0; interval < 12; interval++) {
    priorities.count(1);
    priorities.update();
  }
  expect([priorities.isNeeded, priorities.isTop(1)]).toEqual([false, true]);

  for (let priority = 0; priority < 1_000; priority++) priorities.count(priority);
  priorities.share = 1;
  priorities.update();
  expect(priorities.sheds(999, () => 0)).toBe(false);
});

test("a PriorityCutoff sheds the share that it is told to, for any mix of priorities", () => {
  const mix = fc.dictionary(fc.integer({ min: 0, max: 9 }).map(String), fc.integer({ min: 1, max: 50 }), {
    minKeys: 1,
  });
  fc.assert(
    fc.property(mix, fc.double({ min: 0, max: 1, noNaN: true }), (counts, share) => {
      const priorities = cutoff(counts, share);
      const levels = Object.entries(counts).map(([priority, count]) => ({ priority: Number(priority), count }));
      const total = levels.reduce((sum, { count }) => sum + count, 0);
      const shed = levels.map(({ priority, count }) => {
        // The probability, by bisection of the random numbers that make it shed.
        let [low, high] = [0, 1];
        for (let step = 0; step < 40; step++) {
          const middle = (low + high) / 2;
          if (priorities.sheds(priority, () => middle)) low = middle;
          else high = middle;
        }
        return { priority, expected: count * low, probability: low };
      });
      expect(shed.reduce((sum, { expected }) => sum + expected, 0) / total).toBeCloseTo(share, 6);
      const byPriority = shed.toSorted((a, b) => a.priority - b.priority);
      for (const [index, { probability }] of byPriority.entries()) {
        const above = byPriority[index + 1];
        if (above !== undefined && above.probability > 1e-9) expect(probability).toBeCloseTo(1, 6);
      }
    }),
  );
});
