import { expectTypeOf, test } from "vitest";
import {
  adaptive,
  attemptTimeout,
  breaker,
  cached,
  compose,
  constant,
  fallback,
  type Resilient,
  type ResilientOptions,
  resilient,
  retry,
  service,
  timeout,
  value,
} from "../index.ts";

test("a call gives what its task gives", () => {
  const users = resilient({ retry: { attempts: 3 }, breaker: {} });
  expectTypeOf(users).toEqualTypeOf<Resilient>();
  expectTypeOf(users(async () => 1)).toEqualTypeOf<Promise<number>>();
  expectTypeOf(users(() => "text")).toEqualTypeOf<Promise<string>>();
  expectTypeOf(compose(retry(), timeout(1))(() => true)).toEqualTypeOf<Promise<boolean>>();
});

test("or what its fallbacks may answer with", () => {
  const one = resilient({ fallback: [cached(), value(0), service(async () => "text")] });
  expectTypeOf(one(async () => true)).toEqualTypeOf<Promise<boolean | number | string>>();
  const two = compose(fallback(cached(), value(null)), retry());
  expectTypeOf(two(async () => 1)).toEqualTypeOf<Promise<number | null>>();
  expectTypeOf(resilient({ fallback: [cached()] })(async () => 1)).toEqualTypeOf<Promise<number>>();
});

test("a wrapped function keeps its arguments", () => {
  const users = resilient({});
  const find = users.wrap(async (id: number, deep?: boolean) => ({ id, deep }));
  expectTypeOf(find).toBeCallableWith(1);
  expectTypeOf(find(1, true)).resolves.toEqualTypeOf<{ id: number; deep: boolean | undefined }>();
  // @ts-expect-error: an id is a number
  void find("1");
  users.wrap(
    async (id: number) => id,
    (id) => ({ key: id.toFixed() }),
  );
});

test("slots take policies and their options, and nothing else", () => {
  expectTypeOf<{ timeout: number; retry: { attempts: number } }>().toExtend<ResilientOptions>();
  resilient({ timeout: timeout(1), retry: retry(), breaker: breaker(), attemptTimeout: attemptTimeout(adaptive()) });
  resilient({ attemptTimeout: adaptive(), retry: { backoff: constant(1) } });
  // @ts-expect-error: a time is a number
  resilient({ timeout: "1s" });
  // @ts-expect-error: there is no such option
  resilient({ retry: { times: 3 } });
  // @ts-expect-error: a breaker is no retry
  resilient({ retry: breaker() });
  // @ts-expect-error: no policy
  compose({ attempts: 3 });
});
