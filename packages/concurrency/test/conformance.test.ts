// The public suites for clocks, rate limiters and locks, on all of ours.
import {
  all,
  byKey,
  type Clock,
  fixedWindow,
  Keyed,
  leakyBucket,
  Mutex,
  type RateLimiter,
  Semaphore,
  slidingWindow,
  systemClock,
  tokenBucket,
} from "@proj/concurrency";
import {
  clockConformance,
  type LockUnderTest,
  lockConformance,
  rateLimiterConformance,
  TestClock,
} from "@proj/concurrency/testing";
import FakeTimers from "@sinonjs/fake-timers";
import { expect, test, vi } from "vitest";

const limiters: Readonly<Record<string, (clock: Clock) => RateLimiter<string>>> = {
  tokenBucket: (clock) => tokenBucket({ rate: 10, burst: 5, clock }),
  "tokenBucket, an odd rate": (clock) => tokenBucket({ rate: 7, per: 300, burst: 3, clock }),
  leakyBucket: (clock) => leakyBucket({ rate: 30, clock }),
  slidingWindow: (clock) => slidingWindow({ limit: 5, window: 100, clock }),
  "slidingWindow, exact": (clock) => slidingWindow({ limit: 5, window: 100, exact: true, clock }),
  fixedWindow: (clock) => fixedWindow({ limit: 5, window: 100, clock }),
  "all of two": (clock) =>
    all(tokenBucket({ rate: 10, burst: 5, clock }), fixedWindow({ limit: 3, window: 70, clock })),
  byKey: (clock) => byKey(slidingWindow<number>({ limit: 4, window: 100, clock }), (key: string) => numberOf(key)),
};

const numbers = new Map<string, number>();

function numberOf(key: string): number {
  const number = numbers.get(key) ?? numbers.size;
  numbers.set(key, number);
  return number;
}

for (const [name, make] of Object.entries(limiters)) {
  for (const { name: what, run } of rateLimiterConformance(make)) test(`${name}: ${what}`, run);
}

const clocks: Readonly<Record<string, Parameters<typeof clockConformance>[0]>> = {
  TestClock: () => {
    const clock = new TestClock();
    return { clock, advance: (ms) => clock.advance(ms) };
  },
  "the system's clock": () => ({
    clock: systemClock,
    async advance(ms) {
      const end = systemClock.now() + ms + 2;
      while (systemClock.now() < end) await new Promise((resolve) => setTimeout(resolve, 1));
      await new Promise((resolve) => setImmediate(resolve)); // behind all timers that are due, on a stalled machine too
    },
  }),
  "the system's clock under vitest's fake timers": () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] });
    return {
      clock: systemClock,
      advance: (ms) => vi.advanceTimersByTimeAsync(ms),
      [Symbol.dispose]: () => void vi.useRealTimers(),
    };
  },
  "the system's clock under @sinonjs/fake-timers": () => {
    const fake = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] });
    return {
      clock: systemClock,
      advance: (ms) => fake.tickAsync(ms),
      [Symbol.dispose]: () => void fake.uninstall(),
    };
  },
};

for (const [name, make] of Object.entries(clocks)) {
  const keepsFrames = !name.includes("fake"); // those call everything in the frame of who lets time pass
  for (const { name: what, run } of clockConformance(make, { keepsFrames })) test(`${name}: ${what}`, run);
}

const locks: Readonly<Record<string, () => LockUnderTest>> = {
  Mutex: () => new Mutex(),
  "Semaphore of one": () => new Semaphore(1),
  "Keyed mutex": () => new Keyed(() => new Mutex()).for("ada"),
};

for (const [name, make] of Object.entries(locks)) {
  for (const { name: what, run } of lockConformance(make)) test(`${name}: ${what}`, run);
}

test("a lock that does not conform is told so", async () => {
  const suite = lockConformance(() => new Semaphore(2));
  const outcomes = await Promise.allSettled(suite.map(({ run }) => run()));
  expect(outcomes.filter(({ status }) => status === "rejected").length).toBeGreaterThanOrEqual(2);
});

test("a clock that does not conform is told so, and disposed of", async () => {
  let disposed = 0;
  const suite = clockConformance(() => {
    const clock = new TestClock();
    const hasty: Clock = {
      now: () => clock.now(),
      wall: () => clock.wall(),
      setTimeout: (callback: (arg?: never) => void) => {
        callback();
        return { clear() {}, ref() {} };
      },
    };
    return { clock: hasty, advance: (ms) => clock.advance(ms), [Symbol.dispose]: () => void disposed++ };
  });
  const outcomes = await Promise.allSettled(suite.map(({ run }) => run()));
  expect(outcomes.map(({ status }) => status)).toContain("rejected");
  expect(disposed).toBe(suite.length);
});

test("a rate limiter that does not conform is told so", async () => {
  const suite = rateLimiterConformance((clock) => {
    const inner = tokenBucket<string>({ rate: 10, burst: 3, clock });
    return { ...byKey(inner, () => "one for all"), peek: () => inner.peek("nobody") };
  });
  const outcomes = await Promise.all(
    suite.map(({ name, run }) =>
      run().then(
        () => undefined,
        () => name,
      ),
    ),
  );
  expect(outcomes).toContain("keys do not count against one another");
});
