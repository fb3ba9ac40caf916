import { Context } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { constant } from "./backoff.ts";
import { CallTimeoutError } from "./call-timeout-error.ts";
import { compose } from "./compose.ts";
import { resilient } from "./resilient.ts";
import { retry } from "./retry.ts";
import { timeout } from "./timeout.ts";

test("a call that succeeds gives the value of the task, which runs in the context that it is given", async () => {
  const users = resilient({ timeout: 2_000, retry: {}, breaker: {}, attemptTimeout: 500 });
  const seen = await users(async (context) => {
    expect(Context.current()).toBe(context);
    await Promise.resolve();
    expect(Context.current()).toBe(context);
    return context.remaining;
  });
  expect(seen).toBeLessThanOrEqual(500);
});

test("the caller is released when the attempt times out, even if the task ignores its signal", async () => {
  const clock = new TestClock();
  const users = resilient({
    name: "users",
    clock,
    timeout: 1_000,
    retry: { attempts: 3, backoff: constant(10) },
    attemptTimeout: 100,
  });
  let attempts = 0;
  const result = users(
    () => {
      attempts++;
      return new Promise<never>(() => {});
    },
    { idempotent: true },
  ).catch((error: unknown) => error);
  await clock.advance(320);
  const error = await result;
  expect(error).toBeInstanceOf(CallTimeoutError);
  expect(error).toMatchObject({
    name: "TimeoutError",
    code: "ERR_TIMEOUT",
    phase: "attempt",
    timeoutMs: 100,
    elapsedMs: 100,
  });
  expect(attempts).toBe(3);
  expect(clock.timers).toBe(0);
});

test("compose", async () => {
  const clock = new TestClock();
  const stack = compose({ clock, idempotent: true }, timeout(50), retry({ backoff: constant(0) }));
  const result = stack(() => new Promise<never>(() => {})).catch((error: unknown) => error);
  await clock.advance(60);
  expect(await result).toMatchObject({ phase: "call", timeoutMs: 50 });
  expect(clock.timers).toBe(0);
});
