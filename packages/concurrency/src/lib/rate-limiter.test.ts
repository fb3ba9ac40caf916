// What callers of a limiter see: turns, timeouts, cancellations, misuse.
import { expect, test } from "vitest";
import { cancelSweep } from "./cancel-sweep.ts";
import { Context } from "./context.ts";
import { fixedWindow } from "./fixed-window.ts";
import { leakyBucket } from "./leaky-bucket.ts";
import { RateLimitedError } from "./rate-limited-error.ts";
import { TurnQueue } from "./rate-limiter-queue.ts";
import { slidingWindow } from "./sliding-window.ts";
import { TestClock } from "./test-clock.ts";
import { tokenBucket } from "./token-bucket.ts";

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
  expect(create({ burst: 1.5 })).toThrow(/burst must be an integer of at least 1, got 1.5/);
  expect(create({ maxKeys: 0 })).toThrow(/maxKeys must be an integer of at least 1, got 0/);
  expect(() => fixedWindow({ limit: 1, window: -1 })).toThrow(/window must be a positive number, got -1/);
  expect(() => slidingWindow({ limit: 1, window: 1, exact: 1 as never })).toThrow(/exact must be true or false, got 1/);
  expect(() => leakyBucket({ rate: 1, capacity: -1 })).toThrow(/capacity must be an integer of at least 0/);
  const limiter = create({})();
  for (const cost of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => limiter.tryTake(undefined, cost)).toThrow(RangeError);
  }
  await expect(limiter.take(undefined, 0)).rejects.toThrow(/cost must be an integer of at least 1, got 0/);
  await expect(limiter.take(undefined, 1, { timeout: -1 })).rejects.toThrow(/timeout must be 0 ms or more, got -1/);
  await expect(limiter.take(undefined, 1, { maxQueue: 0.5 })).rejects.toThrow(/maxQueue/);
});

test("Cancelled at any microtask, a caller whose answer comes from afar leaves with the reason", async () => {
  await cancelSweep(async (context) => {
    const clock = new TestClock();
    const afar = async () => {
      await Promise.resolve();
      return 60_000;
    };
    const queue = new TurnQueue<string>(clock, { tryTake: afar, admit: afar });
    const outcome = await queue.take("ada", 1, { signal: context }).catch((error: unknown) => error);
    expect([outcome, clock.timers]).toEqual([context.cause, 0]);
  });
});

test("Whoever hears of a refusal may let everybody in: the one that was refused stays refused", async () => {
  const clock = new TestClock();
  let isOpen = false;
  const queue = new TurnQueue<string>(clock, {
    tryTake: () => 10, // it takes longer than it seemed
    admit: () => (isOpen ? 0 : 100),
    refused() {
      isOpen = true;
      queue.hurry("ada");
    },
  });
  const patient = queue.take("ada", 1);
  const hasty = queue.take("ada", 1, { timeout: 50 });
  const refused = expect(hasty).rejects.toBeInstanceOf(RateLimitedError);
  await clock.advance(50);
  await Promise.all([patient, refused]);
  expect([queue.waiting, clock.timers]).toEqual([0, 0]);
});
