import fc from "fast-check";
import { expect, test } from "vitest";
import { type Backoff, constant, decorrelated, exponential, linear } from "./backoff.ts";

const least = () => 0;
const most = () => 1 - Number.EPSILON;
const plain = [exponential({ jitter: "none" }), linear({ jitter: "none" }), constant(100)];

test("exponential() doubles up to its cap, and stays there for ever", () => {
  const backoff = exponential({ base: 50, cap: 1_000, jitter: "none" });
  expect([1, 2, 3, 4, 5, 6, 7].map((attempt) => backoff(attempt))).toEqual([50, 100, 200, 400, 800, 1_000, 1_000]);
  expect(backoff(1e9)).toBe(1_000); // 2 ** 1e9 is infinite
});

test("Full jitter draws from zero to the pause, equal jitter from its half, a share from the rest", () => {
  const bounds = (jitter: "full" | "equal" | number) => {
    const backoff = exponential({ base: 100, jitter });
    return [backoff(2, 0, least), Math.round(backoff(2, 0, most))];
  };
  expect(bounds("full")).toEqual([0, 200]);
  expect(bounds("equal")).toEqual([100, 200]);
  expect(bounds(0.25)).toEqual([150, 200]);
});

test("linear() grows by its step", () => {
  const backoff = linear({ base: 100, step: 30, cap: 170, jitter: "none" });
  expect([1, 2, 3, 4, 99].map((attempt) => backoff(attempt))).toEqual([100, 130, 160, 170, 170]);
});

test("decorrelated() draws from its base to three times the pause before, up to its cap", () => {
  const backoff = decorrelated({ base: 100, cap: 1_000 });
  expect([backoff(1, 0, least), Math.round(backoff(1, 0, most))]).toEqual([100, 300]);
  expect([backoff(2, 250, least), Math.round(backoff(2, 250, most))]).toEqual([100, 750]);
  expect(backoff(3, 900, most)).toBe(1_000);
});

test("A backoff can be called with the attempt alone, as those of a Supervisor", () => {
  const supervised: (attempt: number) => number = exponential({ base: 10, cap: 20 });
  expect(supervised(1)).toBeLessThanOrEqual(10);
  expect(plain.map((backoff) => backoff(1))).toEqual([100, 100, 100]);
});

test("A pause is a finite number within its bounds, whatever the attempt and the draw", () => {
  const cap = 5_000;
  const backoffs: Backoff[] = [
    exponential({ base: 3, cap, factor: 1.7 }),
    exponential({ base: 9_000, cap, jitter: "equal" }),
    linear({ base: 7, step: 11, cap }),
    decorrelated({ base: 13, cap }),
    constant(cap, { jitter: 0.5 }),
  ];
  fc.assert(
    fc.property(
      fc.nat(),
      fc.double({ min: 0, max: cap, noNaN: true }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (attempt, previous, draw) => {
        for (const backoff of backoffs) {
          const pause = backoff(attempt + 1, previous, () => draw);
          expect(pause >= 0 && pause <= cap).toBe(true);
        }
      },
    ),
  );
});

test("Backoffs refuse options that are none", () => {
  expect(() => exponential({ base: 0 })).toThrow(
    "Cannot make an exponential backoff: base must be a positive number, got 0",
  );
  expect(() => exponential({ cap: Number.POSITIVE_INFINITY })).toThrow(RangeError);
  expect(() => exponential({ factor: 0.5 })).toThrow("factor must be at least 1, got 0.5");
  expect(() => exponential({ jitter: 1.5 })).toThrow("jitter must be a number from 0 to 1, got 1.5");
  // @ts-expect-error no such jitter
  expect(() => linear({ jitter: "some" })).toThrow('jitter must be one of "full", "equal", "none", got "some"');
  expect(() => decorrelated({ base: Number.NaN })).toThrow(RangeError);
  expect(() => constant(-1)).toThrow("Cannot make a constant backoff: ms must be 0 ms or more, got -1");
});
