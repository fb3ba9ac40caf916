import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { LatencyEstimator, quantile } from "./quantile.ts";

const width = 2 ** (1 / 8);

/** Numbers from 0 up to 1 that look random, always the same. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

test("An estimate is above the exact quantile by at most the width of a class, for any latencies", () => {
  const latency = fc.double({ min: 0.1, max: 600_000, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(latency, { minLength: 20, maxLength: 63 }),
      fc.constantFrom(0.5, 0.9, 0.95, 0.99),
      (latencies, share) => {
        const estimator = new LatencyEstimator(quantile(share));
        for (const ms of latencies) estimator.record(ms, 0);
        const sorted = latencies.toSorted((a, b) => a - b);
        const exact = sorted[Math.ceil(share * latencies.length) - 1] ?? Number.NaN;
        const estimate = estimator.estimate(0) ?? Number.NaN;
        expect(estimate >= exact && estimate <= exact * width * 1.000_001).toBe(true);
      },
    ),
    { numRuns: propertyRuns(300) },
  );
});

test("Nothing is known before the warm-up is over", () => {
  const estimator = new LatencyEstimator(quantile(0.95, { warmUp: 3 }));
  const estimates = [10, 10, 10].map((ms) => {
    estimator.record(ms, 0);
    return estimator.estimate(0);
  });
  expect([estimates[0], estimates[1], Math.round(estimates[2] ?? 0)]).toEqual([undefined, undefined, 10]);
});

test("Latencies leave with the window: an estimate follows a dependency that gets faster, and ends with silence", () => {
  const estimator = new LatencyEstimator(quantile(0.95, { window: 60_000 }));
  let now = 0;
  for (; now < 60_000; now += 100) estimator.record(1_000, now);
  expect(estimator.estimate(now)).toBeGreaterThan(1_000);
  for (; now < 120_000; now += 100) estimator.record(10, now);
  expect(estimator.estimate(now)).toBeLessThan(11);
  expect(estimator.estimate(now + 60_000)).toBe(undefined);
});

test("An estimate of many latencies lags by at most 3% of them", () => {
  const random = randomFrom(7);
  const estimator = new LatencyEstimator(quantile(0.95));
  for (let call = 0; call < 10_000; call++) estimator.record(1_000 * random(), 0);
  expect(estimator.estimate(0)).toBeGreaterThan(920);
  expect(estimator.estimate(0)).toBeLessThan(1_040);
});

test("Extreme latencies land in the outer classes", () => {
  const estimator = new LatencyEstimator(quantile(0.5, { warmUp: 1 }));
  estimator.record(0, 0);
  estimator.record(-5, 0);
  estimator.record(Number.NaN, 0);
  expect(estimator.estimate(0)).toBeLessThan(0.07);
  for (let call = 0; call < 10; call++) estimator.record(Number.POSITIVE_INFINITY, 0);
  expect(estimator.estimate(0)).toBe(2 ** 22);
});

test("Calls that were given up count only where they had taken longer than most", () => {
  const estimator = new LatencyEstimator(quantile(0.95, { warmUp: 10 }));
  for (let call = 0; call < 100; call++) estimator.record(100, 0);
  for (let call = 0; call < 1_000; call++) estimator.recordAtLeast(5, 0);
  expect([estimator.size, Math.round(estimator.estimate(0) ?? 0)]).toEqual([100, 108]);
  for (let call = 0; call < 10; call++) estimator.recordAtLeast(400, 0);
  expect(estimator.estimate(0)).toBeGreaterThan(400);
});

test("quantile() refuses options that are none", () => {
  expect(() => quantile(95)).toThrow("Cannot make a quantile: share must be a number between 0 and 1, got 95");
  expect(() => quantile(0)).toThrow(RangeError);
  // @ts-expect-error no number
  expect(() => quantile("p95")).toThrow(TypeError);
  expect(() => quantile(0.9, { min: 10, max: 5 })).toThrow("max must be at least min, got 5");
  expect(() => quantile(0.9, { warmUp: 0 })).toThrow("warmUp must be an integer of at least 1, got 0");
});
