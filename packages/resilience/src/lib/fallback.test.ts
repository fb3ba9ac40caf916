import { Context } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { events } from "../../test/support/events.ts";
import {
  balance,
  breaker,
  bulkhead,
  cached,
  compose,
  constant,
  type FallbackLevel,
  failFast,
  failover,
  fallback,
  resilient,
  retryBudget,
  roundRobin,
  service,
  sharedBudget,
  value,
} from "../index.ts";

const down = new Error("down");
const failing = async (): Promise<never> => {
  throw down;
};

test("the first level that has an answer gives it, and events and statistics tell which", async () => {
  using heard = events("fallback-answered", "fallback-failed");
  const broken: FallbackLevel<never> = {
    name: "broken",
    answer: () => {
      throw new Error("as well");
    },
  };
  const stack = compose({ name: "prices" }, fallback(cached(), broken, value("unknown"), value("never")));
  expect(await stack(failing, { key: "tea" })).toBe("unknown");
  expect(heard.list).toMatchObject([
    { kind: "fallback-failed", name: "prices", key: "tea", level: "broken", error: { message: "as well" } },
    { kind: "fallback-answered", name: "prices", key: "tea", level: "value", error: down },
  ]);
  expect(stack.stats()).toMatchObject({ calls: 1, failed: 1, policies: { fallback: { answered: { value: 1 } } } });
});

test("if no level has an answer the caller gets the error of the call itself", async () => {
  const stack = compose(
    fallback(
      cached(),
      service(async () => Promise.reject(new Error("backup is down"))),
    ),
  );
  await expect(stack(failing)).rejects.toBe(down);
});

test("nothing is made up for a bug in one's own code, for an answer such as a 404, or for a caller who has left", async () => {
  const stack = compose(fallback(value("made up", { when: () => true })));
  await expect(stack(() => (undefined as unknown as { x: { y: number } }).x.y)).rejects.toThrow(TypeError);
  const caller = new AbortController();
  const left = stack(
    async (context) => {
      caller.abort("gone");
      context.throwIfCancelled();
    },
    { signal: caller.signal },
  );
  await expect(left).rejects.toBe("gone");
  const missing = { status: 404 };
  await expect(compose(fallback(value("made up")))(async () => Promise.reject(missing))).rejects.toBe(missing);
  expect(await stack(async () => Promise.reject(missing))).toBe("made up"); // somebody has asked for it
});

test("a rejection by a policy is made up for", async () => {
  const circuit = breaker();
  circuit.force("open");
  expect(await compose(fallback(value([])), circuit)(async () => [1])).toEqual([]);
  const full = bulkhead({ max: 1 });
  const stack = resilient({ fallback: [value(0)], rate: full });
  const held = Promise.withResolvers<number>();
  const first = stack(() => held.promise);
  expect(await stack(async () => 1)).toBe(0);
  held.resolve(2);
  expect(await first).toBe(2);
});

test("a returned value that the classifier finds fault with is made up for, or returned if nobody can", async () => {
  const respond = async (): Promise<Response> => new Response("busy", { status: 503 });
  expect(await compose(fallback(value("made up")))(respond)).toBe("made up");
  const response = await compose(fallback(cached()))(respond);
  expect(response.status).toBe(503);
  expect(await response.text()).toBe("busy");
});

test("cached() gives the last good value of the same key, and none for calls without a key", async () => {
  const clock = new TestClock();
  const stack = compose({ clock }, fallback(cached({ max: 2, maxAge: 1_000 })));
  for (const key of ["a", "b", "c"]) await stack(async () => `value of ${key}`, { key });
  await stack(async () => "without a key");
  await expect(stack(failing)).rejects.toBe(down);
  await expect(stack(failing, { key: "a" })).rejects.toBe(down); // dropped for "c"
  expect(await stack(failing, { key: "b" })).toBe("value of b");
  await stack(async () => "value of d", { key: "d" });
  await expect(stack(failing, { key: "c" })).rejects.toBe(down); // "b" was used later
  await clock.advance(1_001);
  await expect(stack(failing, { key: "b" })).rejects.toBe(down);
});

test("cached() can be given keys, and keeps no response", async () => {
  const stack = compose(fallback(cached({ key: () => "all" })));
  await stack(async () => 42);
  expect(await stack(failing)).toBe(42);
  await stack(async () => new Response("body"));
  expect(await stack(failing)).toBe(42);
});

test("service() runs in the caller's context, with its own timeout", async () => {
  const clock = new TestClock();
  const stack = compose(
    { clock },
    fallback(
      service(() => new Promise<never>(() => {}), { timeout: 100 }),
      service((context, { key }) => [key, context.remaining, Context.current() === context]),
    ),
  );
  using context = Context.derive({ timeout: 1_000, clock });
  const result = stack(failing, { key: "a", signal: context });
  await clock.advance(100);
  expect(await result).toEqual(["a", 900, true]);
});

test("failover() calls the same task under another stack, on its endpoints", async () => {
  const backup = resilient({ name: "backup", balance: balance(["http://b"], roundRobin()) });
  const stack = compose({ name: "main", idempotent: true }, fallback(failover(backup)));
  const tried: unknown[] = [];
  const answer = await stack(
    async (_context, { name, endpoint, key }) => {
      tried.push([name, endpoint?.address, key]);
      if (name === "main") throw down;
      return endpoint?.address;
    },
    { key: "a" },
  );
  expect([answer, tried]).toEqual([
    "http://b",
    [
      ["main", undefined, "a"],
      ["backup", "http://b", "a"],
    ],
  ]);
});

test("failover() is a repetition: only for idempotent calls, paid, and not retried further inside", async () => {
  let calls = 0;
  const task = async (): Promise<never> => {
    calls++;
    throw down;
  };
  const backup = resilient({ idempotent: true, retry: { attempts: 5, backoff: constant(0) } });
  const stack = compose(fallback(failover(backup)));
  await expect(stack(task)).rejects.toBe(down);
  expect(calls).toBe(1);
  await expect(stack(task, { idempotent: true })).rejects.toBe(down);
  expect(calls).toBe(1 + 2);
  using context = Context.derive({ values: [sharedBudget.of(retryBudget({ ratio: 0, minPerSecond: 0 }))] });
  await expect(stack(task, { idempotent: true, signal: context })).rejects.toBe(down);
  expect(calls).toBe(1 + 2 + 1);
});

test("failFast() ends the levels, with the error or with what is made of it", async () => {
  const stack = compose(
    fallback(
      failFast(undefined, { when: ({ error }) => error === down }),
      failFast((cause) => new Error("unavailable", { cause })),
      value("never"),
    ),
  );
  await expect(stack(failing)).rejects.toBe(down);
  await expect(stack(async () => Promise.reject(new Error("other")))).rejects.toMatchObject({
    message: "unavailable",
    cause: { message: "other" },
  });
});

test("fallback() refuses what is no level", () => {
  expect(() => fallback()).toThrow(/at least one/);
  expect(() => fallback({} as never)).toThrow(/must have a method answer/);
  expect(() => failover((() => {}) as never)).toThrow(TypeError);
  expect(() => cached({ max: 0 })).toThrow(RangeError);
  expect(() => service("task" as never)).toThrow(TypeError);
});
