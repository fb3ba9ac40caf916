// Memory within bounds: who is forgotten, and who is not.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { RateLimiterMemory } from "rate-limiter-flexible";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { fixedWindow } from "./fixed-window.ts";
import { TestClock } from "./test-clock.ts";
import { tokenBucket } from "./token-bucket.ts";

fc.configureGlobal({ numRuns: propertyRuns(100) });

test("Idle keys are forgotten before any other", async () => {
  const clock = new TestClock();
  const limiter = tokenBucket<string>({ rate: 1, burst: 2, maxKeys: 100, clock });
  for (let i = 0; i < 50; i++) limiter.tryTake(`idle ${i}`);
  await clock.advance(1_000);
  for (let i = 0; i < 50; i++) limiter.tryTake(`active ${i}`);
  for (let i = 0; i < 50; i++) limiter.tryTake(`new ${i}`);
  for (let i = 0; i < 50; i++) expect(limiter.peek(`active ${i}`).remaining, `active ${i}`).toBe(1);
  for (let i = 0; i < 50; i++) expect(limiter.peek(`new ${i}`).remaining, `new ${i}`).toBe(1);
});

test("A key over its limit is not pushed out by a flood of keys that are not", () => {
  const clock = new TestClock();
  for (const limiter of [
    tokenBucket<string>({ rate: 1, burst: 3, maxKeys: 1_000, clock }),
    tokenBucket<string>({ rate: 1, burst: 3, maxKeys: 5_000, clock }), // so many that a sample is taken
  ]) {
    while (limiter.tryTake("attacker") === 0);
    for (let i = 0; i < 20_000; i++) limiter.tryTake(`key ${i}`);
    expect(limiter.tryTake("attacker")).toBeGreaterThan(0);
  }
});

test("With any traffic, a forgotten key was never over its limit while one that was not is remembered", () => {
  const takes = fc.array(fc.record({ key: fc.nat(60), pause: fc.nat(300) }), { maxLength: 400 });
  fc.assert(
    fc.property(takes, fc.integer({ min: 1, max: 40 }), (schedule, maxKeys) => {
      let now = 0;
      const clock = Object.assign(new TestClock(), { now: () => now });
      const limiter = tokenBucket<number>({ rate: 1, burst: 2, maxKeys, clock });
      for (const { key, pause } of schedule) {
        now += pause;
        const known = new Set(
          Array.from({ length: 61 }, (_, key) => key).filter((key) => limiter.peek(key).resetMs > 0),
        );
        const full = new Set([...known].filter((key) => limiter.delay(key) > 0));
        if (limiter.tryTake(key) !== 0) continue;
        const forgotten = [...known].filter((other) => other !== key && limiter.peek(other).resetMs === 0);
        const kept = [...known].filter((other) => other !== key && limiter.peek(other).resetMs > 0);
        if (forgotten.some((key) => full.has(key))) expect(kept.every((key) => full.has(key))).toBe(true);
        expect(kept.length + 1).toBeLessThanOrEqual(maxKeys);
      }
    }),
  );
});

test("A key that comes back after it was forgotten starts anew", () => {
  const limiter = fixedWindow<number>({ limit: 1, window: 1_000, maxKeys: 1, clock: new TestClock() });
  expect(limiter.tryTake(1)).toBe(0);
  expect(limiter.tryTake(2)).toBe(0);
  expect(limiter.tryTake(1)).toBe(0);
});

test("A million keys leave no timer and less than 100 bytes each, while 100,000 are remembered", () => {
  const clock = new TestClock();
  const limiter = tokenBucket<number>({ rate: 1, maxKeys: 100_000, clock });
  const before = retained();
  for (let key = 0; key < 1_000_000; key++) limiter.tryTake(key);
  expect((retained() - before) / 100_000).toBeLessThan(100);
  expect(clock.timers).toBe(0);
  expect(limiter.peek(999_999).remaining).toBe(0);
});

test("A key takes a quarter of the memory that it takes in rate-limiter-flexible", async () => {
  const keys = Array.from({ length: 50_000 }, (_, index) => `user:${index}`);
  const start = retained();
  const limiter = tokenBucket<string>({ rate: 1, per: 3_600_000 });
  for (const key of keys) limiter.tryTake(key);
  const ours = retained() - start;
  const peer = new RateLimiterMemory({ points: 1, duration: 3_600 });
  for (const key of keys) await peer.consume(key);
  const theirs = retained() - start - ours;
  expect(ours * 4).toBeLessThanOrEqual(theirs);
  expect(limiter.peek("user:0").remaining).toBe(0);
  for (const key of keys) await peer.delete(key); // and its timers
});

function retained(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)(); // there is no other way to get at it from within a test
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
