// The laws of the algorithms, against an exact log of what was admitted; then what callers of one limiter see.
import fc from "fast-check";
import { expect, test } from "vitest";
import { cancelSweep } from "./cancel-sweep.ts";
import { Context } from "./context.ts";
import { fixedWindow } from "./fixed-window.ts";
import { leakyBucket } from "./leaky-bucket.ts";
import { RateLimitedError } from "./rate-limited-error.ts";
import type { RateLimiter } from "./rate-limiter.ts";
import { slidingWindow } from "./sliding-window.ts";
import { TestClock } from "./test-clock.ts";
import { tokenBucket } from "./token-bucket.ts";

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
      { numRuns: 30 },
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

test("A cost above the limit can never be taken, and does not use up anything", async () => {
  const limiter = tokenBucket({ rate: 10, burst: 5, clock: new TestClock() });
  expect(limiter.tryTake(undefined, 6)).toBe(Number.POSITIVE_INFINITY);
  expect(limiter.peek(undefined, 6).retryAfterMs).toBe(Number.POSITIVE_INFINITY);
  await expect(limiter.take(undefined, 6)).rejects.toMatchObject({ retryAfterMs: Number.POSITIVE_INFINITY });
  expect(limiter.peek().remaining).toBe(5);
});

test("A newcomer does not overtake those who wait", async () => {
  const clock = new TestClock();
  const limiter = tokenBucket({ rate: 10, burst: 4, clock });
  limiter.tryTake(undefined, 4);
  const heavy = limiter.take(undefined, 4);
  await clock.advance(200);
  expect(limiter.tryTake()).toBe(300); // 2 tokens are there, and 4 + 1 needed
  expect(limiter.peek()).toMatchObject({ remaining: 0, retryAfterMs: 300 });
  await clock.advance(200);
  await heavy;
  expect(limiter.tryTake()).toBe(100);
});

test("take() rejects at once when the turn would come after the timeout", async () => {
  const clock = new TestClock();
  const limiter = tokenBucket({ rate: 10, burst: 1, clock });
  await limiter.take();
  const waiting = limiter.take(undefined, 1, { timeout: 100 });
  const error = await limiter.take(undefined, 1, { timeout: 199 }).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(RateLimitedError);
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ code: "ERR_RATE_LIMITED", name: "RateLimitedError", retryAfterMs: 200 });
  await clock.advance(100);
  await waiting;
  expect(clock.timers).toBe(0);
});

test("take() rejects at once when the turn would come after the deadline of the context", async () => {
  const clock = new TestClock();
  const limiter = tokenBucket({ rate: 10, burst: 1, clock });
  await limiter.take();
  using context = Context.derive({ timeout: 99, clock });
  await expect(Context.run(context, () => limiter.take())).rejects.toBeInstanceOf(RateLimitedError);
  await expect(limiter.take(undefined, 1, { signal: context })).rejects.toBeInstanceOf(RateLimitedError);
});

test("A waiter that turns out to be too late behind others is rejected when that is known", async () => {
  const clock = new TestClock();
  const limiter = fixedWindow({ limit: 10, window: 100, clock });
  const served: number[] = [];
  await limiter.take(undefined, 10);
  const others = [6, 6, 6].map((cost) => limiter.take(undefined, cost).then(() => served.push(clock.now())));
  // By the sum of the units it would be the third window, since others have to wait for a window each it is the fourth.
  const late = limiter.take(undefined, 6, { timeout: 350 }).catch((error: unknown) => error);
  await clock.advance(300);
  await Promise.all(others);
  expect(served).toEqual([100, 200, 300]);
  expect(await late).toMatchObject({ code: "ERR_RATE_LIMITED" });
});

test("take() rejects at once when as many wait as maxQueue or the capacity of a leaky bucket allows", async () => {
  const clock = new TestClock();
  const limiter = leakyBucket({ rate: 10, capacity: 2, clock });
  await limiter.take();
  const waiting = [limiter.take(), limiter.take()];
  await expect(limiter.take()).rejects.toMatchObject({ code: "ERR_RATE_LIMITED", retryAfterMs: 300 });
  await expect(limiter.take(undefined, 1, { maxQueue: 0 })).rejects.toBeInstanceOf(RateLimitedError);
  await clock.advance(200);
  await Promise.all(waiting);
});

test("A waiter whose signal aborts leaves the line in the same turn, and the next one moves up", async () => {
  const clock = new TestClock();
  const limiter = tokenBucket({ rate: 10, burst: 5, clock });
  limiter.tryTake(undefined, 5);
  const caller = new AbortController();
  const heavy = limiter.take(undefined, 5, { signal: caller.signal });
  const light = limiter.take();
  const reason = new Error("caller left");
  const rejected = expect(heavy).rejects.toBe(reason);

  caller.abort(reason);
  expect(limiter.delay()).toBe(200);

  await rejected;
  await clock.advance(100);
  await light;
  expect(clock.timers).toBe(0);
});

test("A cancellation at any step of take() takes nothing or is too late", async () => {
  await cancelSweep(async (signal) => {
    const clock = new TestClock();
    const limiter = tokenBucket({ rate: 10, burst: 2, clock });
    limiter.tryTake(undefined, 2);
    const waiting = limiter.take(undefined, 1, { signal }).then(
      () => 1,
      () => 0,
    );
    const behind = limiter.take();
    await clock.advance(100);
    const taken = await waiting;
    await clock.advance(100);
    await behind;
    expect(limiter.delay(undefined, 1)).toBe(taken === 1 ? 100 : 0);
    expect(clock.timers).toBe(0);
  });
});

test("take() rejects with the reason of a signal that has ended before, and takes nothing", async () => {
  const limiter = tokenBucket({ rate: 1, burst: 1, clock: new TestClock() });
  const reason = new Error("too late");
  await expect(limiter.take(undefined, 1, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  using context = Context.derive();
  context.cancel(reason);
  await expect(Context.run(context, () => limiter.take())).rejects.toBe(reason);
  expect(limiter.tryTake()).toBe(0);
});

test("reset() serves those who wait", async () => {
  const limiter = tokenBucket<string>({ rate: 1, per: 3_600_000, burst: 2, clock: new TestClock() });
  limiter.tryTake("ada", 2);
  const waiting = [limiter.take("ada"), limiter.take("ada")];
  limiter.reset("ada");
  await Promise.all(waiting);
  expect(limiter.tryTake("ada")).toBeGreaterThan(0);
});

test("A wait of more than 2^31 ms is kept", async () => {
  const clock = new TestClock();
  const year = 365 * 86_400_000;
  const limiter = fixedWindow({ limit: 1, window: year, clock });
  await limiter.take();
  let served = false;
  const waiting = limiter.take().then(() => {
    served = true;
  });
  await clock.advance(2 ** 31 + 1);
  expect(served).toBe(false);
  await clock.advance(year);
  await waiting;
});

test("A wait of more than 2^31 ms does not fire at once on the system's clock either", async () => {
  const limiter = tokenBucket({ rate: 1, per: 2 ** 40, burst: 1 });
  await limiter.take();
  const caller = new AbortController();
  const waiting = limiter.take(undefined, 1, { signal: caller.signal });
  const first = await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 20, "still waiting"))]);
  expect(first).toBe("still waiting");
  caller.abort();
  await expect(waiting).rejects.toThrow();
});

test("The stack of a rejection shows who called", async () => {
  const limiter = tokenBucket({ rate: 1, burst: 1, clock: new TestClock() });
  await limiter.take();
  async function theCaller(): Promise<void> {
    await limiter.take(undefined, 1, { timeout: 0 });
  }
  const error = await theCaller().catch((error: Error) => error);
  expect((error as Error).stack).toContain("theCaller");
});

test("Misuse is told at once, with the option and the value", async () => {
  const create = (options: object) => () => tokenBucket({ rate: 1, ...options } as never);
  expect(create({ rate: 0 })).toThrow(
    new RangeError("Cannot create a token bucket: rate must be a positive number, got 0"),
  );
  expect(create({ rate: "5" })).toThrow(TypeError);
  expect(create({ per: Number.NaN })).toThrow(/per must be a positive number, got NaN/);
  expect(create({ burst: 1.5 })).toThrow(/burst must be a positive integer, got 1.5/);
  expect(create({ maxKeys: 0 })).toThrow(/maxKeys must be an integer of at least 1, got 0/);
  expect(() => fixedWindow({ limit: 1, window: -1 })).toThrow(/window must be a positive number, got -1/);
  expect(() => slidingWindow({ limit: 1, window: 1, exact: 1 as never })).toThrow(/exact must be true or false, got 1/);
  expect(() => leakyBucket({ rate: 1, capacity: -1 })).toThrow(/capacity must be an integer of at least 0/);
  const limiter = create({})();
  for (const cost of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => limiter.tryTake(undefined, cost)).toThrow(RangeError);
  }
  await expect(limiter.take(undefined, 0)).rejects.toThrow(/cost must be a positive integer, got 0/);
  await expect(limiter.take(undefined, 1, { timeout: -1 })).rejects.toThrow(/timeout must be 0 ms or more, got -1/);
  await expect(limiter.take(undefined, 1, { maxQueue: 0.5 })).rejects.toThrow(/maxQueue/);
});
