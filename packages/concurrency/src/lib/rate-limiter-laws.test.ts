// The laws of the algorithms, against an exact log of what was admitted.
import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { fixedWindow } from "./fixed-window.ts";
import { leakyBucket } from "./leaky-bucket.ts";
import type { RateLimiter } from "./rate-limiter.ts";
import { slidingWindow } from "./sliding-window.ts";
import { TestClock } from "./test-clock.ts";
import { tokenBucket } from "./token-bucket.ts";

fc.configureGlobal({ numRuns: propertyRuns(100) });

/** Something happens after a pause: a take of some cost. */
const arrivals = fc.array(
  fc.record({
    pause: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 50 }), fc.double({ min: 0, max: 5_000, noNaN: true })),
    cost: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 12 })),
  }),
  { maxLength: 120 },
);

interface Admission {
  readonly at: number;
  readonly cost: number;
}

/** Lets time stand and go on without timers: the algorithms only read it. */
class HandClock extends TestClock {
  #now = 0;
  override now(): number {
    return this.#now;
  }
  pass(ms: number): void {
    this.#now += ms;
  }
}

function admit(
  limiter: RateLimiter,
  clock: HandClock,
  schedule: readonly { pause: number; cost: number }[],
): Admission[] {
  const admitted: Admission[] = [];
  for (const { pause, cost } of schedule) {
    clock.pass(pause);
    const delay = limiter.delay(undefined, cost);
    const told = limiter.peek(undefined, cost);
    const wait = limiter.tryTake(undefined, cost);
    expect(wait).toBe(delay);
    expect(told.retryAfterMs).toBe(delay);
    if (wait === 0) {
      admitted.push({ at: clock.now(), cost });
      if (told.limit > 1) expect(told.remaining).toBeGreaterThanOrEqual(cost);
    } else {
      expect(Number.isInteger(wait) || wait === Number.POSITIVE_INFINITY).toBe(true);
    }
  }
  return admitted;
}

/** The most that was admitted in any interval that begins with an admission, minus what `law` allows in its length. */
function excess(admitted: readonly Admission[], law: (length: number) => number): number {
  let worst = Number.NEGATIVE_INFINITY;
  for (let first = 0; first < admitted.length; first++) {
    let sum = 0;
    for (const { at, cost } of admitted.slice(first)) {
      sum += cost;
      worst = Math.max(worst, sum - law(at - (admitted[first]?.at ?? 0)));
    }
  }
  return worst;
}

test("A token bucket admits at most rate * T + burst in any interval of length T", () => {
  const specs = fc.record({
    rate: fc.oneof(fc.integer({ min: 1, max: 2_000 }), fc.double({ min: 0.01, max: 50, noNaN: true })),
    per: fc.constantFrom(1, 7, 1_000, 60_000),
    burst: fc.integer({ min: 1, max: 20 }),
  });
  fc.assert(
    fc.property(specs, arrivals, ({ rate, per, burst }, schedule) => {
      const clock = new HandClock();
      const admitted = admit(tokenBucket({ rate, per, burst, clock }), clock, schedule);
      expect(excess(admitted, (length) => (rate * length) / per + burst)).toBeLessThanOrEqual(1e-5);
    }),
  );
});

test("A token bucket decides as a bucket of exact fractions would", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), arrivals, (rate, burst, schedule) => {
      const clock = new HandClock();
      const limiter = tokenBucket({ rate, per: 1_000, burst, clock });
      let tokens = BigInt(burst) * 1_000n; // in thousandths, so that a millisecond fills in `rate` of them
      for (const { pause, cost } of schedule) {
        const ms = Math.floor(pause);
        clock.pass(ms);
        tokens += BigInt(ms * rate);
        if (tokens > BigInt(burst) * 1_000n) tokens = BigInt(burst) * 1_000n;
        const fits = tokens >= BigInt(cost) * 1_000n;
        expect(limiter.tryTake(undefined, cost) === 0).toBe(fits);
        if (fits) tokens -= BigInt(cost) * 1_000n;
      }
    }),
  );
});

test("A leaky bucket leaves cost * per / rate between two admissions", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2_000 }), arrivals, (rate, schedule) => {
      const clock = new HandClock();
      const admitted = admit(leakyBucket({ rate, clock }), clock, schedule);
      admitted.slice(1).forEach(({ at }, index) => {
        const before = admitted[index] as Admission;
        expect(at - before.at).toBeGreaterThanOrEqual((before.cost * 1_000) / rate - 1e-6);
      });
    }),
  );
});

test("A fixed window never admits more than its limit, and twice that within any time as long as it", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.constantFrom(1, 10, 1_000), arrivals, (limit, window, schedule) => {
      const clock = new HandClock();
      const admitted = admit(fixedWindow({ limit, window, clock }), clock, schedule);
      let opened = Number.NEGATIVE_INFINITY;
      let used = 0;
      for (const { at, cost } of admitted) {
        if (at >= opened + window) {
          opened = at;
          used = 0;
        }
        used += cost;
        expect(used).toBeLessThanOrEqual(limit);
      }
      expect(
        excess(admitted, (length) => (length < window ? 2 * limit : Number.POSITIVE_INFINITY)),
      ).toBeLessThanOrEqual(0);
    }),
  );
});

test("An exact sliding window decides as a log of all admissions does", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.constantFrom(10, 100, 1_000),
      arrivals,
      (limit, window, schedule) => {
        const clock = new HandClock();
        const limiter = slidingWindow({ limit, window, exact: true, clock });
        const log: Admission[] = [];
        for (const { pause, cost } of schedule) {
          clock.pass(pause);
          const used = log.reduce((sum, { at, cost }) => (at > clock.now() - window ? sum + cost : sum), 0);
          const wait = limiter.tryTake(undefined, cost);
          expect(wait === 0).toBe(used + cost <= limit);
          if (wait === 0) log.push({ at: clock.now(), cost });
        }
      },
    ),
  );
});

test("An estimated sliding window admits its limit in no window of its count twice", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.constantFrom(10, 100, 1_000),
      arrivals,
      (limit, window, schedule) => {
        const clock = new HandClock();
        const admitted = admit(slidingWindow({ limit, window, clock }), clock, schedule);
        expect(
          excess(admitted, (length) => (length < window ? 2 * limit : Number.POSITIVE_INFINITY)),
        ).toBeLessThanOrEqual(0);
      },
    ),
  );
});

test("An estimated sliding window admits steady traffic at its limit, and no more", () => {
  const clock = new HandClock();
  const limiter = slidingWindow({ limit: 100, window: 1_000, clock });
  let admitted = 0;
  for (let ms = 0; ms < 100_000; ms++) {
    if (limiter.tryTake() === 0) admitted++;
    clock.pass(1);
  }
  expect(admitted).toBeGreaterThan(9_800);
  expect(admitted).toBeLessThanOrEqual(10_100);
});

const algorithms: Record<string, (clock: TestClock) => RateLimiter<string>> = {
  "token bucket": (clock) => tokenBucket({ rate: 10, per: 1_000, burst: 5, clock }),
  "leaky bucket": (clock) => leakyBucket({ rate: 10, clock }),
  "fixed window": (clock) => fixedWindow({ limit: 5, window: 500, clock }),
  "sliding window": (clock) => slidingWindow({ limit: 5, window: 500, clock }),
  "exact sliding window": (clock) => slidingWindow({ limit: 5, window: 500, exact: true, clock }),
};

for (const [name, create] of Object.entries(algorithms)) {
  test(`Whoever waits as long as a ${name} says is admitted, and one millisecond less is not enough`, () => {
    fc.assert(
      fc.property(arrivals, fc.integer({ min: 1, max: 5 }), (schedule, last) => {
        const clock = new HandClock();
        const limiter = create(clock);
        for (const { pause, cost } of schedule) {
          clock.pass(Math.floor(pause / 10));
          if (cost <= 5) limiter.tryTake("key", cost);
        }
        const wait = limiter.tryTake("key", last);
        if (wait === 0) return;
        clock.pass(wait - 1);
        expect(limiter.delay("key", last)).not.toBe(0);
        clock.pass(1);
        expect(limiter.tryTake("key", last)).toBe(0);
      }),
    );
  });

  test(`Waiters at a ${name} are served in order, none before it is due, and nothing is left behind`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 20 }), async (costs) => {
        const clock = new TestClock();
        const limiter = create(clock);
        const reference = create(clock);
        const served: number[] = [];
        const all = costs.map(async (cost, index) => {
          await limiter.take("key", cost);
          expect(reference.tryTake("key", cost)).toBe(0); // a twin agrees at this very moment
          served.push(index);
        });
        for (let step = 0; step < 200 && served.length < costs.length; step++) await clock.advance(100);
        await Promise.all(all);
        expect(served).toEqual(costs.map((_cost, index) => index));
        expect(clock.timers).toBe(0);
      }),
      { numRuns: propertyRuns(30) },
    );
  });

  test(`A ${name} keeps the keys apart`, () => {
    const limiter = create(new TestClock());
    while (limiter.tryTake("ada") === 0);
    expect(limiter.tryTake("bob")).toBe(0);
    expect(limiter.peek("carl").resetMs).toBe(0);
  });

  test(`A ${name} forgets a key on reset()`, () => {
    const limiter = create(new TestClock());
    while (limiter.tryTake("ada") === 0);
    limiter.reset("ada");
    expect(limiter.tryTake("ada")).toBe(0);
  });

  test(`A ${name} tells how it stands without changing anything`, () => {
    const limiter = create(new TestClock());
    const fresh = limiter.peek("ada");
    expect(fresh).toMatchObject({ remaining: fresh.limit, resetMs: 0, retryAfterMs: 0 });
    while (limiter.tryTake("ada") === 0) limiter.peek("ada");
    expect(limiter.peek("ada")).toEqual(limiter.peek("ada"));
    expect(limiter.peek("ada")).toMatchObject({ remaining: 0, retryAfterMs: limiter.tryTake("ada") });
  });
}
