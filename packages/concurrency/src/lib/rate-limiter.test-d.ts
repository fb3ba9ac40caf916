// What the types of the limiters allow.
import { expectTypeOf, test } from "vitest";
import type { RateLimiter } from "./rate-limiter.ts";
import { all, byKey } from "./rate-limiter-all.ts";
import { tokenBucket } from "./token-bucket.ts";

test("A limiter without keys is called without one", () => {
  const limiter = tokenBucket({ rate: 1 });
  expectTypeOf(limiter).toEqualTypeOf<RateLimiter<void>>();
  expectTypeOf(limiter.tryTake()).toBeNumber();
  // @ts-expect-error there are no keys
  limiter.tryTake("ada");
});

test("A limiter with keys wants one, of its type", () => {
  const limiter = tokenBucket<string>({ rate: 1 });
  expectTypeOf(limiter.take("ada")).resolves.toBeVoid();
  // @ts-expect-error the key is missing
  limiter.tryTake();
  // @ts-expect-error the key is of another type
  limiter.tryTake(1);
});

test("Limiters are joined under one type of key", () => {
  const joint = all(
    tokenBucket<string>({ rate: 1 }),
    byKey(tokenBucket({ rate: 1 }), (_key: string) => undefined),
  );
  expectTypeOf(joint).toEqualTypeOf<RateLimiter<string>>();
});
