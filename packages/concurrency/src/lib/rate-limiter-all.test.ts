// Several limits at once: all or none.
import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { fixedWindow } from "./fixed-window.ts";
import { leakyBucket } from "./leaky-bucket.ts";
import { all, byKey } from "./rate-limiter-all.ts";
import { TestClock } from "./test-clock.ts";
import { tokenBucket } from "./token-bucket.ts";

fc.configureGlobal({ numRuns: propertyRuns(100) });

test("all() takes from each limiter or from none", () => {
  const takes = fc.array(fc.record({ cost: fc.integer({ min: 1, max: 6 }), pause: fc.nat(400) }), { maxLength: 80 });
  fc.assert(
    fc.property(takes, (schedule) => {
      let now = 0;
      const clock = Object.assign(new TestClock(), { now: () => now });
      const parts = [
        tokenBucket({ rate: 5, burst: 5, clock }),
        fixedWindow({ limit: 8, window: 1_000, clock }),
        leakyBucket({ rate: 10, clock }),
      ];
      const joint = all(...parts);
      for (const { cost, pause } of schedule) {
        now += pause;
        const before = parts.map((part) => part.peek());
        const delays = parts.map((part) => part.delay(undefined, cost));
        expect(joint.delay(undefined, cost)).toBe(Math.max(...delays));
        expect(joint.tryTake(undefined, cost)).toBe(Math.max(...delays));
        const after = parts.map((part) => part.peek());
        if (Math.max(...delays) > 0) expect(after).toEqual(before);
        else for (const [index] of parts.entries()) expect(after[index]).not.toEqual(before[index]);
      }
    }),
  );
});

test("all() waits until each limiter agrees, in turn", async () => {
  const clock = new TestClock();
  const joint = all(tokenBucket({ rate: 10, burst: 1, clock }), fixedWindow({ limit: 2, window: 1_000, clock }));
  const served: number[] = [];
  const waiting = Promise.all([1, 2, 3].map(() => joint.take().then(() => served.push(clock.now()))));
  await clock.advance(900);
  expect(served).toEqual([0, 100]);
  await clock.advance(100);
  await waiting;
  expect(served).toEqual([0, 100, 1_000]);
  expect(clock.timers).toBe(0);
});

test("all() rejects at once what none will ever admit, or not in time", async () => {
  const clock = new TestClock();
  const joint = all(tokenBucket({ rate: 1, burst: 5, clock }), tokenBucket({ rate: 1, burst: 2, clock }));
  await expect(joint.take(undefined, 3)).rejects.toMatchObject({ retryAfterMs: Number.POSITIVE_INFINITY });
  await joint.take(undefined, 2);
  await expect(joint.take(undefined, 1, { timeout: 999 })).rejects.toMatchObject({ retryAfterMs: 1_000 });
});

test("A line of any length is turned away when it becomes clear that it is too late for all of it", async () => {
  const clock = new TestClock();
  const joint = all(tokenBucket({ rate: 1, burst: 1, clock }));
  await joint.take();
  const waiting = Array.from({ length: 20_000 }, () => joint.take(undefined, 1, { timeout: 1_500 }));
  const settled = Promise.allSettled(waiting);
  await clock.advance(1_000);
  const outcomes = (await settled).map(({ status }) => status);
  expect(outcomes.indexOf("rejected")).toBe(1);
  expect(outcomes.lastIndexOf("fulfilled")).toBe(0);
  expect(clock.timers).toBe(0);
});

test("all() tells of the tightest limiter", () => {
  const clock = new TestClock();
  const wide = tokenBucket({ rate: 100, clock });
  const narrow = tokenBucket({ rate: 1, burst: 3, clock });
  expect(all(wide, narrow).peek()).toEqual(narrow.peek());
  wide.tryTake(undefined, 100);
  expect(all(wide, narrow).peek()).toEqual(wide.peek());
});

test("byKey() joins the limit of each user with that of a tenant and of everybody", () => {
  const clock = new TestClock();
  const perUser = tokenBucket<string>({ rate: 1, burst: 3, clock });
  const perTenant = tokenBucket<string>({ rate: 1, burst: 4, clock });
  const everybody = tokenBucket({ rate: 1, burst: 5, clock });
  interface Caller {
    readonly user: string;
    readonly tenant: string;
  }
  const api = all(
    byKey(perUser, (caller: Caller) => caller.user),
    byKey(perTenant, (caller: Caller) => caller.tenant),
    byKey(everybody, (_caller: Caller) => undefined),
  );
  const admitted = (user: string, tenant: string): number => {
    let count = 0;
    while (api.tryTake({ user, tenant }) === 0) count++;
    return count;
  };
  expect(admitted("ada", "acme")).toBe(3);
  expect(admitted("bob", "acme")).toBe(1);
  expect(admitted("eve", "other")).toBe(1);
  api.reset({ user: "ada", tenant: "acme" });
  expect(everybody.peek().remaining).toBe(5);
});

test("Limiters that cannot be joined are refused", () => {
  const clock = new TestClock();
  const limiter = tokenBucket({ rate: 1, clock });
  expect(() => all()).toThrow(RangeError);
  expect(() => all(limiter, limiter)).toThrow(/each must be given once/);
  expect(() => all(limiter, tokenBucket({ rate: 1 }))).toThrow(/the same clock/);
});
