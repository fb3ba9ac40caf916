import fc from "fast-check";
import { expect, test } from "vitest";
import { orderOfRound, quantile, summarize, summarizeRatios } from "./statistics.ts";

const numbers = fc.array(fc.double({ min: 1e-3, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 50 });

test("the summary of known numbers", () => {
  expect(summarize([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, max: 4, lowerQuartile: 1.75, upperQuartile: 3.25 });
  expect(summarize([7])).toEqual({ median: 7, min: 7, max: 7, lowerQuartile: 7, upperQuartile: 7 });
  expect(() => summarize([])).toThrow(RangeError);
});

test("a summary is ordered, within the numbers, and blind to their order", () => {
  fc.assert(
    fc.property(numbers, (values) => {
      const { min, lowerQuartile, median, upperQuartile, max } = summarize(values);
      expect(min).toBe(Math.min(...values));
      expect(max).toBe(Math.max(...values));
      const ordered = [min, lowerQuartile, median, upperQuartile, max];
      for (let at = 1; at < ordered.length; at++) {
        // Interpolation rounds, so neighbours may be off by the last digit.
        expect(ordered[at]).toBeGreaterThanOrEqual((ordered[at - 1] as number) * (1 - 1e-12));
      }
      expect(summarize(values.toReversed())).toEqual(summarize(values));
    }),
  );
});

test("about half of the numbers are on either side of the median", () => {
  fc.assert(
    fc.property(numbers, (values) => {
      const { median } = summarize(values);
      expect(values.filter((value) => value < median * (1 - 1e-12)).length).toBeLessThanOrEqual(values.length / 2);
      expect(values.filter((value) => value > median * (1 + 1e-12)).length).toBeLessThanOrEqual(values.length / 2);
    }),
  );
});

test("quantile() grows with the fraction", () => {
  fc.assert(
    fc.property(
      numbers,
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (values, a, b) => {
        const sorted = values.toSorted((x, y) => x - y);
        const low = quantile(sorted, Math.min(a, b));
        expect(quantile(sorted, Math.max(a, b))).toBeGreaterThanOrEqual(low * (1 - 1e-12));
      },
    ),
  );
});

test("a machine that is slow for some rounds does not change the ratio", () => {
  fc.assert(
    fc.property(numbers, fc.double({ min: 0.1, max: 10, noNaN: true }), (slowness, factor) => {
      const ours = slowness.map((slow) => slow * 100);
      const peer = ours.map((cost) => cost * factor);
      const { min, max, median } = summarizeRatios(peer, ours);
      for (const ratio of [min, max, median]) expect(ratio).toBeCloseTo(factor, 9);
    }),
  );
});

test("over as many rounds as there are cases each is in each place once", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 8 }), fc.nat(20), (cases, first) => {
      const orders = cases.map((_, round) => orderOfRound(cases, first + round));
      for (const order of orders) expect(order.toSorted()).toEqual(cases.toSorted());
      for (const place of cases.keys()) {
        expect(orders.map((order) => order[place]).sort()).toEqual(cases.toSorted());
      }
    }),
  );
});
