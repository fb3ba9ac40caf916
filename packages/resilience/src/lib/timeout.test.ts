import { Context, TimeoutError } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test, vi } from "vitest";
import {
  adaptive,
  attemptTimeout,
  breaker,
  CallTimeoutError,
  compose,
  constant,
  resilient,
  retry,
  type TimeoutSource,
  timeout,
} from "../index.ts";

const forever = (): Promise<never> => new Promise(() => {});

test("the caller is released when the attempt times out, even if the task ignores its signal", async () => {
  const clock = new TestClock();
  const stack = compose({ name: "users", clock }, attemptTimeout(100));
  const result = stack(forever).catch((error: unknown) => error);
  await clock.advance(100);
  const error = await result;
  expect(error).toBeInstanceOf(CallTimeoutError);
  expect(error).toBeInstanceOf(TimeoutError);
  expect(error).toMatchObject({
    name: "TimeoutError",
    code: "ERR_TIMEOUT",
    phase: "attempt",
    timeoutMs: 100,
    elapsedMs: 100,
  });
  expect(String(error)).toBe("TimeoutError: Cannot finish the attempt of users: its 100 ms have passed");
  expect(clock.timers).toBe(0);
});

test("opossum#673: a timeout cancels the work, whose signal has the same error as its reason", async () => {
  const clock = new TestClock();
  const stack = compose({ clock }, timeout(100));
  let signal: AbortSignal | undefined;
  const result = stack((context) => {
    signal = context.signal;
    return forever();
  }).catch((error: unknown) => error);
  await clock.advance(100);
  const error = await result;
  expect(signal?.reason).toMatchObject({ name: "TimeoutError", timeoutMs: 100 });
  expect(error).toMatchObject({ phase: "call", timeoutMs: 100 });
  expect(clock.timers).toBe(0);
});

test("opossum#861: each attempt has a signal of its own, which an earlier timeout has not aborted", async () => {
  const clock = new TestClock();
  const stack = compose({ clock, idempotent: true }, retry({ backoff: constant(0) }), attemptTimeout(100));
  const signals: AbortSignal[] = [];
  const result = stack(({ signal }, { attempt }) => {
    signals.push(signal);
    return attempt === 1 ? forever() : Promise.resolve("done");
  });
  await clock.advance(100);
  expect(await result).toBe("done");
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
});

test("a task that obeys its signal ends with the timeout of the policy, however it wraps the reason", async () => {
  const clock = new TestClock();
  const stack = compose({ clock }, timeout(100));
  const wrappings = [
    (reason: unknown) => reason,
    (cause: unknown) => new DOMException("aborted", { name: "AbortError", cause }),
  ];
  for (const wrap of wrappings) {
    const result = stack(({ signal }) => {
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(wrap(signal.reason)));
      });
    }).catch((error: unknown) => error);
    await clock.advance(100);
    expect(await result).toMatchObject({ name: "TimeoutError", phase: "call", timeoutMs: 100, elapsedMs: 100 });
  }
});

test("a late result or rejection is dropped, and the policies are told once", async () => {
  const clock = new TestClock();
  const circuit = breaker();
  const stack = compose({ clock }, circuit, timeout(100));
  const late = Promise.withResolvers<string>();
  const lateFailure = Promise.withResolvers<string>();
  const results = [stack(() => late.promise), stack(() => lateFailure.promise)].map((result) =>
    result.catch((error: Error) => error.name),
  );
  await clock.advance(100);
  late.resolve("too late");
  lateFailure.reject(new Error("too late"));
  expect(await Promise.all(results)).toEqual(["TimeoutError", "TimeoutError"]);
  expect(circuit.counts()).toMatchObject({ calls: 2, failures: 2, timeouts: 2 });
});

test("the total timeout covers all attempts and pauses", async () => {
  const clock = new TestClock();
  const stack = resilient({
    clock,
    idempotent: true,
    timeout: 250,
    retry: { backoff: constant(10) },
    attemptTimeout: 100,
  });
  const remaining: number[] = [];
  const result = stack((context) => {
    remaining.push(context.remaining);
    return forever();
  }).catch((error: unknown) => error);
  await clock.advance(250);
  expect(remaining).toEqual([100, 100, 30]);
  expect(await result).toMatchObject({ phase: "call", timeoutMs: 250, elapsedMs: 250 });
  expect(clock.timers).toBe(0);
});

test("the caller's own deadline, if it is nearer, ends the call with the caller's own reason, by its own timer", async () => {
  const clock = new TestClock();
  const circuit = breaker();
  const stack = compose({ clock }, circuit, timeout(1_000));
  using context = Context.derive({ timeout: 100, clock });
  const result = stack(forever, { signal: context }).catch((error: unknown) => error);
  expect(clock.timers).toBe(1);
  await clock.advance(100);
  expect(await result).toBe(context.cause);
  expect(await result).not.toBeInstanceOf(CallTimeoutError);
  expect(circuit.counts().calls).toBe(0); // it tells nothing of the dependency
  expect(clock.timers).toBe(0);
});

test("p-timeout#16: the fake timers of a test runner reach it", async () => {
  vi.useFakeTimers();
  try {
    const stack = compose(timeout(1_000));
    const results = [stack(forever), stack(forever), stack(async () => "done")].map((result) =>
      result.catch((error: Error) => error.name),
    );
    await vi.advanceTimersByTimeAsync(1_001);
    expect(await Promise.all(results)).toEqual(["TimeoutError", "TimeoutError", "done"]);
  } finally {
    vi.useRealTimers();
  }
});

test("attempts with different deadlines share a timer, and each ends at its own time", async () => {
  vi.useFakeTimers();
  try {
    const limits = [300, 100, 200, 100];
    const source: TimeoutSource = { timeoutFor: () => limits.shift() ?? 0 };
    const stack = compose(attemptTimeout(source));
    const ended: number[] = [];
    const start = performance.now();
    for (const limit of [...limits]) {
      stack(forever).catch((error: CallTimeoutError) => ended.push(error.timeoutMs, limit, performance.now() - start));
    }
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(400);
    expect(ended).toEqual([100, 100, 100, 100, 100, 100, 200, 200, 200, 300, 300, 300]);
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test("a source gives each attempt its time, and learns how it has ended", async () => {
  const clock = new TestClock();
  const seen: unknown[] = [];
  const source: TimeoutSource = {
    timeoutFor: ({ attempt }) => attempt * 100,
    observe: ({ attempt, outcome, startedAt, endedAt }) => void seen.push([attempt, outcome, endedAt - startedAt]),
  };
  const stack = compose(
    { clock, idempotent: true },
    retry({ attempts: 2, backoff: constant(0) }),
    attemptTimeout(source),
  );
  const result = stack(forever).catch((error: unknown) => error);
  await clock.advance(300);
  expect(await result).toMatchObject({ phase: "attempt", timeoutMs: 200 });
  expect(seen).toEqual([
    [1, "timeout", 100],
    [2, "timeout", 200],
  ]);
});

test("an adaptive timeout in its slot follows what attempts take", async () => {
  const clock = new TestClock();
  const limit = adaptive({ warmUp: 5, min: 10, buffer: 0, factor: 2, max: 1_000 });
  const stack = resilient({ clock, attemptTimeout: limit });
  for (let call = 0; call < 20; call++) {
    const done = stack(() => new Promise<void>((resolve) => clock.setTimeout(resolve, 50)));
    await clock.advance(50);
    await done;
  }
  const remaining = await stack((context) => context.remaining);
  expect(remaining).toBeGreaterThan(90);
  expect(remaining).toBeLessThan(120);
});

test("a timeout of 0 ends what does not end at once, and work that is synchronous is never too late", async () => {
  const clock = new TestClock();
  const stack = compose({ clock }, attemptTimeout(0));
  const result = stack(forever).catch((error: Error) => error.name);
  await clock.advance(0);
  expect([await stack(() => 1), await result]).toEqual([1, "TimeoutError"]);
});

test("Infinity is no limit, and no timer", async () => {
  const clock = new TestClock();
  const stack = compose({ clock }, timeout(Number.POSITIVE_INFINITY));
  const done = Promise.withResolvers<number>();
  const result = stack(() => done.promise);
  expect(clock.timers).toBe(0);
  done.resolve(1);
  expect(await result).toBe(1);
});

test("the stack of the error shows who has called", async () => {
  async function theCaller(): Promise<unknown> {
    return await compose(timeout(1))(forever);
  }
  const error = await theCaller().catch((error: Error) => error);
  expect((error as Error).stack).toContain("theCaller");
});

test.each([[-1], ["1"], [Number.NaN], [null], [{}]])("timeout(%o) is refused", (limit) => {
  expect(() => timeout(limit as never)).toThrow(/limit must be/);
});
