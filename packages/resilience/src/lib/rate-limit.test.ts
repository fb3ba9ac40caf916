// Any rate limiter of concurrency as a part of a stack.
import { Context, RateLimitedError, slidingWindow, tokenBucket } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { enter, isGate, through } from "../../test/support/through.ts";
import { rateLimit } from "../index.ts";

test("rateLimit() counts the calls of each key", () => {
  const clock = new TestClock();
  const limited = rateLimit(slidingWindow<string>({ limit: 1, window: 1_000, clock }));
  enter(limited, { key: "ada" });
  enter(limited, { key: "bob" });

  expect(() => enter(limited, { key: "ada" })).toThrow(RateLimitedError);
  expect(limited.stats()).toEqual({ rejected: 1 });
  expect(isGate(limited)).toBe(true);
});

test("rateLimit() asks for a key and a cost, or has one rate for all", () => {
  const clock = new TestClock();
  const perSecond = tokenBucket({ rate: 1, per: 1_000, clock });
  // @ts-expect-error: a limiter without keys would meet those of the calls
  rateLimit(perSecond);
  const all = rateLimit(perSecond, { key: () => undefined });
  enter(all, { key: "ada" });
  expect(() => enter(all, { key: "bob" })).toThrow(expect.objectContaining({ retryAfterMs: 1_000 }));

  const byPriority = rateLimit(tokenBucket<number>({ rate: 4, per: 1_000, burst: 4, clock }), {
    key: ({ priority }) => priority,
    cost: ({ key }) => (key === "heavy" ? 4 : 1),
  });
  enter(byPriority, { key: "heavy", priority: 1 });
  enter(byPriority, { key: "light", priority: 2 });
  expect(() => enter(byPriority, { key: "light", priority: 1 })).toThrow(RateLimitedError);
});

test("rateLimit({ timeout }) waits for its turn, and not for one that comes too late", async () => {
  const clock = new TestClock();
  const paced = rateLimit(tokenBucket({ rate: 1, per: 1_000, clock }), { timeout: 1_500 });
  const times: number[] = [];
  const call = () => through(paced, () => times.push(clock.now()), { clock });
  const calls = [call(), call()];
  await expect(call()).rejects.toMatchObject({ code: "ERR_RATE_LIMITED", retryAfterMs: 2_000 });
  await clock.advance(1_000);
  await Promise.all(calls);

  expect(times).toEqual([0, 1_000]);
});

test("rateLimit({ timeout }) lets a caller leave with its own reason", async () => {
  const clock = new TestClock();
  const paced = rateLimit(tokenBucket({ rate: 1, per: 1_000, clock }), { timeout: 1_500 });
  await through(paced, () => "first", { clock });
  const context = Context.derive();
  const waiting = through(paced, () => "second", { clock, context });
  context.cancel("caller left");

  await expect(waiting).rejects.toBe("caller left");
  expect([paced.stats().rejected, clock.timers]).toEqual([0, 0]);
});

test("rateLimit() names the option that is none", () => {
  expect(() => rateLimit({} as never)).toThrow(
    "Cannot make a rate limit: limiter must be a RateLimiter, got an object",
  );
  expect(() => rateLimit(tokenBucket({ rate: 1, per: 1 }), { timeout: -1 })).toThrow(RangeError);
});
