// Header fields of a decision.
import { expect, test } from "vitest";
import { fixedWindow } from "./fixed-window.ts";
import { rateLimitHeaders } from "./rate-limiter-headers.ts";
import { TestClock } from "./test-clock.ts";
import { tokenBucket } from "./token-bucket.ts";

test("rateLimitHeaders() tells the policy, what is left of it, and when to come back", async () => {
  const clock = new TestClock();
  const limiter = fixedWindow({ limit: 100, window: 60_000, clock });
  limiter.tryTake(undefined, 40);
  await clock.advance(500);
  expect(rateLimitHeaders(limiter.peek())).toEqual({
    "ratelimit-policy": '"default";q=100;w=60',
    ratelimit: '"default";r=60;t=60',
  });
  limiter.tryTake(undefined, 60);
  await clock.advance(10_000);
  expect(rateLimitHeaders(limiter.peek(), { name: 'per "user"' })).toEqual({
    "ratelimit-policy": '"per \\"user\\"";q=100;w=60',
    ratelimit: '"per \\"user\\"";r=0;t=50',
    "retry-after": "50",
  });
});

test("rateLimitHeaders() rounds up, so that nobody who obeys comes too early, and says nothing of never", () => {
  const limiter = tokenBucket({ rate: 10, burst: 1, clock: new TestClock() });
  limiter.tryTake();
  expect(rateLimitHeaders(limiter.peek())["retry-after"]).toBe("1");
  expect(rateLimitHeaders(limiter.peek(undefined, 2))["retry-after"]).toBeUndefined();
});

test("A name that cannot stand in a header is refused", () => {
  const limiter = tokenBucket({ rate: 10 });
  for (const name of ["", "naïve", "a\r\nb"]) {
    expect(() => rateLimitHeaders(limiter.peek(), { name })).toThrow(/name must be printable ASCII/);
  }
});
