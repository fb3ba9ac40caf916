// What everything here expects of a rate limiter, whatever it counts.
import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { type ConformanceCase, conformanceCase } from "./conformance.ts";
import { RateLimitedError } from "./rate-limited-error.ts";
import type { RateLimiter } from "./rate-limiter.ts";
import { TestClock } from "./test-clock.ts";

interface Subject {
  readonly clock: TestClock;
  readonly limiter: RateLimiter<string>;
}

/**
 * Checks a {@link RateLimiter} of your own, or what you have joined out of ours, in virtual time. `make` gets the clock to
 * count by. It must admit something to a key that has been idle, less than 10,000 units at a time, and never the same
 * for two keys.
 *
 * @example
 * ```ts
 * import { tokenBucket } from "@proj/concurrency";
 * import { rateLimiterConformance } from "@proj/concurrency/testing";
 *
 * const suite = rateLimiterConformance((clock) => tokenBucket<string>({ rate: 10, burst: 3, clock }));
 * for (const { run } of suite) await run(); // or: for (const { name, run } of suite) test(name, run);
 * ```
 */
export function rateLimiterConformance(make: (clock: TestClock) => RateLimiter<string>): readonly ConformanceCase[] {
  const prepare = (): Subject => {
    const clock = new TestClock();
    return { clock, limiter: make(clock) };
  };
  const check = (name: string, body: (subject: Subject) => unknown): ConformanceCase =>
    conformanceCase(name, prepare, body);
  return [
    check("a key that has been idle has its whole limit", ({ limiter }) => {
      const { limit, remaining, resetMs, retryAfterMs, windowMs } = limiter.peek("ada");
      ok(limit >= 1 && windowMs > 0, "limit and windowMs must be positive");
      deepEqual({ remaining, resetMs, retryAfterMs }, { remaining: limit, resetMs: 0, retryAfterMs: 0 });
      equal(limiter.tryTake("ada"), 0);
    }),
    check("who is refused is told whole milliseconds, after which it is admitted", async ({ clock, limiter }) => {
      const wait = exhaust(limiter, "ada");
      ok(Number.isInteger(wait) && wait >= 1, `told ${wait} ms`);
      await clock.advance(wait);
      equal(limiter.tryTake("ada"), 0);
    }),
    check("delay() and peek() tell what tryTake() would, and take nothing", async ({ clock, limiter }) => {
      for (let step = 0; step < 20; step++) {
        const delay = limiter.delay("ada");
        equal(limiter.peek("ada").retryAfterMs, delay);
        equal(limiter.delay("ada"), delay);
        equal(limiter.tryTake("ada"), delay);
        if (step % 3 === 2) await clock.advance(Math.ceil(limiter.peek("ada").windowMs / 7));
      }
    }),
    check("a take that is refused takes nothing", async ({ clock, limiter }) => {
      const wait = exhaust(limiter, "ada");
      for (let tries = 0; tries < 100; tries++) equal(limiter.tryTake("ada"), wait);
      await clock.advance(wait);
      equal(limiter.tryTake("ada"), 0);
    }),
    check("keys do not count against one another", ({ limiter }) => {
      exhaust(limiter, "ada");
      const { limit, remaining } = limiter.peek("bob");
      equal(remaining, limit);
      equal(limiter.tryTake("bob"), 0);
    }),
    check("after resetMs the key is as good as new", async ({ clock, limiter }) => {
      exhaust(limiter, "ada");
      // Several limits that are joined tell the reset of one of them at a time.
      for (let rounds = 0; rounds < 3; rounds++) await clock.advance(limiter.peek("ada").resetMs);
      const { limit, remaining, resetMs } = limiter.peek("ada");
      deepEqual([remaining, resetMs], [limit, 0]);
    }),
    check("reset() makes a key as good as new, and serves who waits for it", async ({ clock, limiter }) => {
      exhaust(limiter, "ada");
      const waiting = limiter.take("ada");
      limiter.reset("ada");
      await waiting;
      equal(clock.timers, 0);
      limiter.reset("ada");
      equal(limiter.peek("ada").remaining, limiter.peek("ada").limit);
    }),
    check("what can never be taken is refused for ever, and take() says so at once", async ({ limiter }) => {
      const cost = limiter.peek("ada").limit + 1;
      const delay = limiter.delay("ada", cost);
      ok(delay === 0 || delay === Number.POSITIVE_INFINITY, `told ${delay} ms for one unit above the limit`);
      if (delay === 0) return; // it is paid for by a longer pause
      equal(limiter.tryTake("ada", cost), Number.POSITIVE_INFINITY);
      await rejects(limiter.take("ada", cost), { code: "ERR_RATE_LIMITED", retryAfterMs: Number.POSITIVE_INFINITY });
      equal(limiter.peek("ada").remaining, cost - 1);
    }),
    check("a cost is a positive integer", async ({ limiter }) => {
      for (const cost of [0, -1, 1.5, Number.NaN]) {
        throws(() => limiter.tryTake("ada", cost), RangeError);
        throws(() => limiter.delay("ada", cost), RangeError);
        throws(() => limiter.peek("ada", cost), RangeError);
        await rejects(limiter.take("ada", cost), RangeError);
      }
      equal(limiter.peek("ada").remaining, limiter.peek("ada").limit);
    }),
    check("take() serves in the order of the calls, without being asked again", async ({ clock, limiter }) => {
      exhaust(limiter, "ada");
      const served: number[] = [];
      const all = [0, 1, 2].map((place) => limiter.take("ada").then(() => served.push(place)));
      while (served.length < 3) ok(await goOn(clock), "a waiter is left without a timer");
      await Promise.all(all);
      deepEqual(served, [0, 1, 2]);
      equal(clock.timers, 0);
    }),
    check("tryTake() does not overtake who waits", async ({ clock, limiter }) => {
      const wait = exhaust(limiter, "ada");
      const waiting = limiter.take("ada");
      ok(limiter.tryTake("ada") >= wait, "a newcomer is told less than who waits before it");
      await clock.advance(wait);
      await waiting;
    }),
    check("take() rejects at once when the turn would come after the timeout", async ({ clock, limiter }) => {
      const wait = exhaust(limiter, "ada");
      await rejects(limiter.take("ada", 1, { timeout: wait - 1 }), (error: unknown) => {
        ok(error instanceof RateLimitedError, "rejects with a RateLimitedError");
        equal(error.retryAfterMs, wait);
        return true;
      });
      equal(clock.timers, 0);
      await clock.advance(wait);
      equal(limiter.tryTake("ada"), 0);
    }),
    check(
      "who gives up leaves with the reason of its signal, takes nothing, and holds up nobody",
      async ({ clock, limiter }) => {
        const wait = exhaust(limiter, "ada");
        const caller = new AbortController();
        const first = limiter.take("ada", 1, { signal: caller.signal });
        let isServed = false;
        const second = limiter.take("ada").then(() => {
          isServed = true;
        });
        const reason = new Error("given up");
        caller.abort(reason);
        await rejects(first, reason);
        await clock.advance(wait); // when the first would have been served
        deepEqual([isServed, clock.timers], [true, 0]);
        await second;
        await rejects(limiter.take("ada", 1, { signal: caller.signal }), reason);
      },
    ),
    check("take() rejects when maxQueue others wait for the key", async ({ clock, limiter }) => {
      const wait = exhaust(limiter, "ada");
      const waiting = limiter.take("ada", 1, { maxQueue: 1 });
      await rejects(limiter.take("ada", 1, { maxQueue: 1 }), { code: "ERR_RATE_LIMITED" });
      await limiter.take("bob", 1, { maxQueue: 0 }); // there is room: nobody has to wait
      await clock.advance(wait);
      await waiting;
    }),
    check("nothing is left behind when nobody waits", async ({ clock, limiter }) => {
      for (let key = 0; key < 100; key++) exhaust(limiter, `key ${key}`);
      equal(clock.timers, 0);
    }),
  ];
}

/** Takes all there is, one by one, and returns what the next is told. */
function exhaust(limiter: RateLimiter<string>, key: string): number {
  for (let taken = 0; taken < 10_000; taken++) {
    const wait = limiter.tryTake(key);
    if (wait > 0) return wait;
  }
  throw new Error("Cannot check a rate limiter that admits 10,000 units at once");
}

async function goOn(clock: TestClock): Promise<boolean> {
  const isThere = clock.advanceToNext();
  await clock.advance(0);
  return isThere;
}
