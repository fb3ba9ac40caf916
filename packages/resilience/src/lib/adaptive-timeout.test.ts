import { Context, sleep } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { type AdaptiveTimeout, type AdaptiveTimeoutOptions, adaptive } from "./adaptive-timeout.ts";
import type { OutcomeKind } from "./call.ts";
import { CallRecord } from "./call-record.ts";
import { compose } from "./compose.ts";
import { attemptTimeout } from "./timeout.ts";

const options: AdaptiveTimeoutOptions = { quantile: 0.95, factor: 2, buffer: 50, min: 100, max: 5_000, warmUp: 20 };

function callAt(now: number, clock: TestClock, context: Context = Context.current()): CallRecord {
  return new CallRecord("test", context, undefined, true, 0, 1, clock, now, undefined);
}

/** Attempts against a dependency that takes as long as `latency` says, cut off by the timeout as a real one would be. */
function simulate(limit: AdaptiveTimeout, attempts: number, latency: (attempt: number) => number): number[] {
  const clock = new TestClock();
  const timeouts: number[] = [];
  for (let attempt = 0; attempt < attempts; attempt++) {
    const call = callAt(attempt * 10, clock);
    const timeout = limit.timeoutFor(call);
    const took = latency(attempt);
    call.endedAt = call.startedAt + Math.min(took, timeout);
    call.outcome = took > timeout ? "timeout" : "ok";
    limit.observe(call);
    timeouts.push(timeout);
  }
  return timeouts;
}

test("Until enough is known the timeout is the longest; then it is what most calls take, twice, and some more", () => {
  const timeouts = simulate(adaptive(options), 100, () => 100);
  expect(timeouts.slice(0, 20)).toEqual(Array(20).fill(5_000));
  expect(timeouts[99]).toBeGreaterThan(250);
  expect(timeouts[99]).toBeLessThan(270);
});

test("The timeout stays between its bounds", () => {
  expect(simulate(adaptive({ ...options, buffer: 0 }), 50, () => 1).at(-1)).toBe(100);
  expect(simulate(adaptive(options), 50, () => 4_000).at(-1)).toBe(5_000);
});

test("When every call gets ten times slower the timeout follows it up, and does not shrink to what is left", () => {
  const limit = adaptive(options);
  const timeouts = simulate(limit, 4_000, (attempt) => (attempt < 1_000 ? 100 : 1_000));
  expect(timeouts[1_001]).toBeLessThan(300); // all time out
  expect(timeouts.at(-1)).toBeGreaterThan(1_000); // and recover
});

test("With a tenth of the calls hanging, the others keep their timeout and do not drag it down with them", () => {
  const timeouts = simulate(adaptive(options), 5_000, (attempt) => (attempt % 10 === 0 ? 1e9 : 100));
  for (const timeout of timeouts.slice(100)) expect(timeout).toBeGreaterThanOrEqual(250);
});

test("Survivors alone would say less: a slow tenth that is cut off still counts as slow", () => {
  const timeouts = simulate(adaptive(options), 5_000, (attempt) => (attempt % 10 === 0 ? 800 : 50));
  expect(timeouts.at(-1)).toBeGreaterThan(800);
});

test("Attempts that their caller's deadline cut short tell nothing", () => {
  const limit = adaptive(options);
  simulate(limit, 100, () => 100);
  const before = limit.stats()["timeoutMs"];
  const clock = new TestClock();
  for (let attempt = 0; attempt < 1_000; attempt++) {
    const call = callAt(1_000, clock);
    Object.assign(call, { outcome: attempt % 2 === 0 ? "timeout" : "ignore", endedAt: 1_005 });
    limit.observe(call);
    limit.timeoutFor(call);
  }
  expect(limit.stats()).toEqual({ timeoutMs: before, samples: 100 });
});

test("Fast failures do not make the timeout short", () => {
  const limit = adaptive(options);
  simulate(limit, 100, () => 100);
  const clock = new TestClock();
  for (let attempt = 0; attempt < 1_000; attempt++) {
    const call = callAt(1_000, clock);
    Object.assign(call, { outcome: "fail" satisfies OutcomeKind, endedAt: 1_000.1 });
    limit.observe(call);
  }
  expect(limit.timeoutFor(callAt(1_001, clock))).toBeGreaterThan(250);
});

test("It never gives more than the call has left", () => {
  const clock = new TestClock();
  using context = Context.derive({ timeout: 30, clock });
  expect(adaptive(options).timeoutFor(callAt(0, clock, context))).toBe(30);
});

test("In a stack it ends the attempts that take unusually long", async () => {
  const clock = new TestClock();
  const limit = adaptive({ ...options, max: 60_000 });
  const stack = compose({ clock }, attemptTimeout(limit));
  using context = Context.derive({ clock });
  const call = (ms: number) => stack(() => sleep(ms, { clock }), { signal: context });
  for (let attempt = 0; attempt < 30; attempt++) {
    const done = call(100);
    await clock.advance(100);
    await done;
  }
  const slow = call(30_000).catch((error: Error) => error);
  await clock.advance(300);
  expect(await slow).toMatchObject({ name: "TimeoutError", phase: "attempt" });
  expect(limit.stats()).toMatchObject({ samples: 31 });
});

test("adaptive() refuses options that are none", () => {
  expect(() => adaptive({ quantile: 1 })).toThrow(
    "Cannot make an adaptive timeout: quantile must be a number between 0 and 1, got 1",
  );
  expect(() => adaptive({ factor: 0.5 })).toThrow("factor must be at least 1, got 0.5");
  expect(() => adaptive({ min: 10, max: 5 })).toThrow("max must be at least min, got 5");
  expect(() => adaptive({ warmUp: 0 })).toThrow(RangeError);
});
