import { Context } from "@proj/concurrency";
import { components } from "@proj/concurrency/inspect";
import { TestClock } from "@proj/concurrency/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { GateClock } from "../../test/support/gate-calls.ts";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { constant } from "./backoff.ts";
import { budgetIn, repeatedAbove, repetitionContext, retryBudget, sharedBudget } from "./budget.ts";
import { compose } from "./compose.ts";
import { retry } from "./retry.ts";
import { RollingCounts } from "./rolling-counts.ts";

function withdrawAll(budget: ReturnType<typeof retryBudget>): number {
  let taken = 0;
  while (budget.tryWithdraw()) taken++;
  return taken;
}

/** As often as it is allowed, in each of so many seconds. */
function withdrawFor(seconds: number, budget: ReturnType<typeof retryBudget>, clock: GateClock): number[] {
  return Array.from({ length: seconds }, () => {
    const taken = withdrawAll(budget);
    clock.pass(1_000);
    return taken;
  });
}

test("A budget pays for its share of the requests, and not one more", () => {
  for (const [ratio, requests, retries] of [
    [0.2, 10, 2],
    [0.29, 30, 8],
    [0.07, 100, 7],
    [0.7, 10, 7],
    [0, 1_000, 0],
    [1, 3, 3],
  ] as const) {
    // biome-ignore format: a table
    const budget = retryBudget({ ratio, minPerSecond: 0, clock: new GateClock() });
    for (let request = 0; request < requests; request++) budget.deposit();
    expect(budget.stats().available).toBe(retries);
    expect(withdrawAll(budget)).toBe(retries);
    expect(budget.stats()).toEqual({ requests, retries, refused: 1, available: 0 });
  }
});

test("A budget allows a few repetitions a second without any request, for the whole of its window", () => {
  const clock = new GateClock();
  const budget = retryBudget({ clock, minPerSecond: 3, window: 10_000 });
  expect(withdrawFor(10, budget, clock)).toEqual([10, 10, 10, 0, 0, 0, 0, 0, 0, 0]);
  expect(withdrawAll(budget)).toBe(10);
});

test("What a budget has saved is spent by and by, and then as evenly as it comes in", () => {
  const clock = new GateClock();
  const budget = retryBudget({ clock, ratio: 0.2, minPerSecond: 0 });
  const perSecond = (withdraw: boolean): number => {
    let taken = 0;
    for (let request = 0; request < 500; request++) {
      budget.deposit();
      if (withdraw && budget.tryWithdraw()) taken++;
      clock.pass(2);
    }
    return taken;
  };
  for (let second = 0; second < 10; second++) perSecond(false);
  const taken = Array.from({ length: 30 }, () => perSecond(true));
  expect(taken[0]).toBeGreaterThan(200); // what goes wrong for a moment only can be made good
  expect(taken[0]).toBeLessThan(260);
  for (const later of taken.slice(10)) expect(Math.abs(later - 100)).toBeLessThan(3);
});

test("A budget never pays for more than its share of any window, for any traffic", () => {
  const step = fc.record({ requests: fc.nat({ max: 60 }), wanted: fc.nat({ max: 60 }), pass: fc.nat({ max: 900 }) });
  const options = { ratio: fc.constantFrom(0, 0.1, 0.2, 1), minPerSecond: fc.constantFrom(0, 1, 10) };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.record(options), (steps, { ratio, minPerSecond }) => {
      const clock = new GateClock();
      const window = 1_000;
      const budget = retryBudget({ clock, ratio, minPerSecond, window });
      const log: { readonly tick: number; readonly requests: number; readonly retries: number }[] = [];
      for (const { requests, wanted, pass } of steps) {
        clock.pass(pass);
        for (let request = 0; request < requests; request++) budget.deposit();
        let retries = 0;
        while (retries < wanted && budget.tryWithdraw()) retries++;
        log.push({ tick: Math.floor((clock.now() * 10) / window), requests, retries });
        const tick = log.at(-1)?.tick ?? 0;
        const recent = log.filter((entry) => entry.tick > tick - 10);
        const sum = (of: "requests" | "retries"): number => recent.reduce((all, entry) => all + entry[of], 0);
        const share = ratio * sum("requests") + minPerSecond;
        if (retries > 0) expect(sum("retries")).toBeLessThanOrEqual(share + 1e-6);
        if (retries < wanted && share - sum("retries") >= 1) {
          const now = recent.filter((entry) => entry.tick === tick).reduce((all, entry) => all + entry.retries, 0);
          expect(now).toBeGreaterThanOrEqual(10); // it refuses only what would be more than a tenth of a window may have
        }
      }
    }),
    { numRuns: propertyRuns(300) },
  );
});

test("A budget forgets requests that are older than its window, however long nobody looked", () => {
  const clock = new GateClock();
  const budget = retryBudget({ clock, ratio: 1, minPerSecond: 0, window: 10_000 });
  for (let request = 0; request < 50; request++) budget.deposit();
  clock.pass(10_000);
  expect(budget.tryWithdraw()).toBe(false);
  clock.pass(3_600_000);
  expect(budget.stats()).toEqual({ requests: 0, retries: 0, refused: 0, available: 0 });
});

test("With every request failing, three attempts each make 1.2 times the load and not 3 times", () => {
  const clock = new GateClock();
  const budget = retryBudget({ clock, ratio: 0.2, minPerSecond: 0 });
  let attempts = 0;
  const requests = 100_000;
  for (let request = 0; request < requests; request++) {
    budget.deposit();
    attempts++;
    for (let retry = 0; retry < 2 && budget.tryWithdraw(); retry++) attempts++;
    clock.pass(1);
  }
  expect(attempts / requests).toBeLessThanOrEqual(1.2);
  expect(attempts / requests).toBeGreaterThan(1.19);
});

test("The budget of the call tree goes before one's own", () => {
  const own = retryBudget();
  const tree = retryBudget();
  using context = Context.derive({ values: [sharedBudget.of(tree)] });
  expect(budgetIn(context, own)).toBe(tree);
  expect(budgetIn(Context.current(), own)).toBe(own);
  expect(budgetIn(Context.current(), undefined)).toBe(undefined);
});

test("The context of a repetition says so to all below it", () => {
  using context = Context.derive({ values: [sharedBudget.of(retryBudget())] });
  using repetition = repetitionContext(context);
  using below = Context.derive({ parent: repetition });
  expect([context, repetition, below].map((each) => each.get(repeatedAbove))).toEqual([undefined, true, true]);
  expect(below.get(sharedBudget)).toBe(context.get(sharedBudget));
});

test("Three layers with three attempts each make seven attempts at most, all paid from the budget of the call tree", async () => {
  const clock = new TestClock();
  const tree = retryBudget({ clock });
  using request = Context.derive({ clock, values: [sharedBudget.of(tree)] });
  const layer = () => compose({ clock, idempotent: true }, retry({ attempts: 3, backoff: constant(0) }));
  const [outer, middle, inner] = [layer(), layer(), layer()];
  let attempts = 0;
  const task = async () => {
    attempts++;
    throw new Error("down");
  };
  await outer(() => middle(() => inner(task)), { signal: request }).catch(() => {});
  expect([attempts, tree.stats()["retries"]]).toEqual([7, 6]);
});

test("A budget with a name is listed with what it has left", () => {
  const budget = retryBudget({ name: "all calls", minPerSecond: 1, clock: new GateClock() });
  budget.deposit();
  const [listed] = components("retry-budget").filter(({ name }) => name === "all calls");
  expect(listed?.stats).toEqual({ requests: 1, retries: 0, refused: 0, available: 10 });
});

test("retryBudget() refuses options that are none", () => {
  expect(() => retryBudget({ ratio: 2 })).toThrow(
    "Cannot make a retry budget: ratio must be a number from 0 to 1, got 2",
  );
  expect(() => retryBudget({ window: 0 })).toThrow(RangeError);
  expect(() => retryBudget({ minPerSecond: -1 })).toThrow("minPerSecond must be 0 or more, got -1");
  // @ts-expect-error no number
  expect(() => retryBudget({ minPerSecond: "1" })).toThrow(TypeError);
});

test("Rolling counts agree with a list of what happened, for any times", () => {
  const step = fc.record({ pass: fc.nat({ max: 40 }), kind: fc.nat({ max: 2 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 6 }), (steps, buckets) => {
      const width = 7;
      const counts = new RollingCounts(width * buckets, buckets, 3);
      const log: { tick: number; kind: number }[] = [];
      let now = 0;
      for (const { pass, kind } of steps) {
        now += pass;
        const tick = Math.floor(now / width);
        counts.advance(now);
        counts.add(kind);
        log.push({ tick, kind });
        for (const each of [0, 1, 2]) {
          const expected = log.filter((entry) => entry.kind === each && entry.tick > tick - buckets).length;
          expect(counts.total(each)).toBe(expected);
        }
      }
    }),
    { numRuns: propertyRuns(500) },
  );
});
