// A client that does not send what would be rejected.
import { TestClock } from "@proj/concurrency/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { enter } from "../../test/support/through.ts";
import { clientThrottle } from "../index.ts";

test("clientThrottle() lets everything pass while it is accepted", () => {
  const throttle = clientThrottle({ random: () => 0 });
  for (let call = 0; call < 1_000; call++) enter(throttle)("ok");

  expect([throttle.probability(), throttle.stats()]).toEqual([0, { keys: 1, throttled: 0 }]);
});

test("clientThrottle() sends about k calls for each one that is accepted", () => {
  const clock = new TestClock();
  let seed = 1;
  const random = () => {
    seed = (seed * 16_807) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const throttle = clientThrottle({ k: 2, random });
  let sent = 0;
  let accepted = 0;
  for (let call = 0; call < 20_000; call++) {
    try {
      const leave = enter(throttle, { clock });
      sent++;
      const isAccepted = call % 10 === 0;
      if (isAccepted) accepted++;
      leave(isAccepted ? "ok" : "fail");
    } catch (error) {
      expect(error).toMatchObject({ code: "ERR_OVERLOADED", reason: "throttled" });
    }
  }

  expect(sent / accepted).toBeGreaterThan(1.5);
  expect(sent / 20_000).toBeLessThan(0.4);
});

test("clientThrottle() goes on trying a dependency that accepts nothing, and forgets what is past", async () => {
  const clock = new TestClock();
  const throttle = clientThrottle({ window: 10_000, random: () => 0.999_999 });
  for (let call = 0; call < 1_000; call++) enter(throttle, { clock })("timeout");

  expect(throttle.probability()).toBeCloseTo(1_000 / 1_001);
  await clock.advance(10_000);
  enter(throttle, { clock })("ok");
  expect(throttle.probability()).toBe(0);
});

test("clientThrottle() learns nothing from calls that tell nothing", () => {
  const throttle = clientThrottle();
  for (let call = 0; call < 100; call++) enter(throttle)("ignore");

  expect(throttle.probability()).toBe(0);
  enter(throttle)("fail");
  expect(throttle.probability()).toBe(0.5);
});

test("clientThrottle() counts each key for itself, the least recently used ones not at all", () => {
  const throttle = clientThrottle({ maxKeys: 2, random: () => 0.999 });
  for (const key of ["a", "b", "a", "c"]) enter(throttle, { key })("fail");

  expect(["a", "b", "c"].map((key) => throttle.probability(key))).toEqual([2 / 3, 0, 0.5]);
  expect(throttle.stats().keys).toBe(2);
});

test("clientThrottle() spreads the times at which callers come back", () => {
  for (const [random, wait] of [
    [0.1, 600],
    [0.6, 1_100],
  ] as const) {
    // biome-ignore format: a table
    const throttle = clientThrottle({ random: () => random, retryAfter: 1_000 });
    const errors = [1, 2, 3, 4].map(() => {
      try {
        enter(throttle)("fail");
        return undefined;
      } catch (error) {
        return error;
      }
    });
    expect(errors.at(-1)).toMatchObject({ reason: "throttled", retryAfterMs: wait });
  }
});

test("clientThrottle() follows the formula for any history within one window", () => {
  const outcomes = fc.array(fc.constantFrom("ok" as const, "fail" as const, "timeout" as const, "ignore" as const));
  fc.assert(
    fc.property(outcomes, fc.double({ min: 1, max: 4, noNaN: true }), (history, k) => {
      const throttle = clientThrottle({ k, random: () => 1 });
      for (const outcome of history) enter(throttle, { clock: new TestClock() })(outcome);
      const counted = history.filter((outcome) => outcome !== "ignore");
      const accepts = counted.filter((outcome) => outcome === "ok").length;
      const expected = Math.max(0, (counted.length - k * accepts) / (counted.length + 1));
      expect(throttle.probability()).toBeCloseTo(expected, 12);
    }),
  );
});

test("clientThrottle() names the option that is none", () => {
  expect(() => clientThrottle({ k: 0.5 })).toThrow("Cannot make a client throttle: k must be at least 1, got 0.5");
  expect(() => clientThrottle({ window: 0 })).toThrow(RangeError);
});
