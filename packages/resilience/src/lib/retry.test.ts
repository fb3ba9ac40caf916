import { Context } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { events } from "../../test/support/events.ts";
import {
  attemptErrors,
  attemptTimeout,
  type Call,
  CircuitOpenError,
  compose,
  constant,
  extractAttempt,
  injectAttempt,
  type RetryOptions,
  repeatedAbove,
  resilient,
  retry,
  retryBudget,
  sharedBudget,
  timeout,
} from "../index.ts";

/** Fails so many times, then returns the number of the attempt. */
function failing(times: number, error: (attempt: number) => unknown = (attempt) => new Error(`attempt ${attempt}`)) {
  return async (_context: Context, { attempt }: Call): Promise<number> => {
    if (attempt <= times) throw error(attempt);
    return attempt;
  };
}

function repeating(options: RetryOptions = {}, idempotent = true) {
  const clock = new TestClock();
  return { clock, stack: compose({ clock, idempotent }, retry({ backoff: constant(0), ...options })) };
}

const now = new Error("down");
const refused = (): Error => Object.assign(new Error("refused"), { code: "ECONNREFUSED" });

test("an attempt that fails is repeated until one succeeds", async () => {
  expect(await repeating().stack(failing(2))).toBe(3);
});

test("the caller gets the last error itself, and earlier ones beside it", async () => {
  const errors = [new Error("a"), new Error("b"), new Error("c")];
  const error = await repeating()
    .stack(failing(3, (attempt) => errors[attempt - 1]))
    .catch((error: unknown) => error);
  expect(error).toBe(errors[2]);
  expect(attemptErrors(error)).toEqual([errors[0], errors[1]]);
  expect([attemptErrors("text"), attemptErrors(errors[0])]).toEqual([[], []]);
});

test("errors that are no objects, and none at all, pass as they are", async () => {
  await expect(repeating().stack(failing(3, () => "text"))).rejects.toBe("text");
  await expect(repeating().stack(failing(3, () => undefined))).rejects.toBe(undefined);
  expect(await repeating().stack(failing(2, () => undefined))).toBe(3);
});

test("a value that the classifier finds fault with is repeated, its body let go, and the last one returned", async () => {
  const cancelled: number[] = [];
  const respond = async (_: Context, { attempt }: Call): Promise<Response> => {
    const body = new ReadableStream({ cancel: () => void cancelled.push(attempt) });
    return new Response(body, { status: 503, headers: { attempt: String(attempt) } });
  };
  const last = await repeating().stack(respond);
  expect([last.headers.get("attempt"), cancelled]).toEqual(["3", [1, 2]]);
});

test("work that is not idempotent is repeated only if it has certainly not begun", async () => {
  await expect(repeating({}, false).stack(failing(1))).rejects.toThrow("attempt 1");
  expect(await repeating({}, false).stack(failing(1, refused))).toBe(2);
  expect(await repeating({}, false).stack(failing(1), { idempotent: true })).toBe(2);
});

test("what the classifier ignores is not repeated: a 404, a bug, a rejection that does not say when", async () => {
  for (const error of [{ status: 404 }, new TypeError("a bug"), new CircuitOpenError("users", undefined, undefined)]) {
    await expect(repeating().stack(failing(1, () => error))).rejects.toBe(error);
  }
});

test("`when` decides instead of the verdict", async () => {
  const missing = { status: 404 };
  const { stack } = repeating({ when: ({ error }) => error === missing });
  expect(await stack(failing(1, () => missing))).toBe(2);
  await expect(stack(failing(1))).rejects.toThrow("attempt 1");
});

test("pauses come from the backoff, which is told the attempt, the pause before and the source of chance", async () => {
  const asked: unknown[] = [];
  const random = (): number => 0.5;
  const backoff = (attempt: number, previous: number, chance: () => number): number => {
    asked.push([attempt, previous, chance()]);
    return attempt * 100;
  };
  const { stack, clock } = repeating({ backoff, random });
  const result = stack(failing(2));
  await clock.advance(299);
  expect(asked).toEqual([
    [1, 0, 0.5],
    [2, 100, 0.5],
  ]);
  await clock.advance(1);
  expect(await result).toBe(3);
});

test("what the dependency asks for is waited for if it is longer, and not beyond `maxRetryAfter`", async () => {
  const busy = (ms: number) => () => Object.assign(new Error("busy"), { retryAfterMs: ms });
  const { stack, clock } = repeating({ backoff: constant(100), maxRetryAfter: 5_000 });
  const result = stack(failing(1, busy(5_000)));
  await clock.advance(4_999);
  expect(clock.timers).toBe(1);
  await clock.advance(1);
  expect(await result).toBe(2);
  await expect(stack(failing(1, busy(5_001)))).rejects.toThrow("busy");
});

test("a rejection by a policy is waited for a moment, if it says when, and not paid for", async () => {
  const budget = retryBudget({ minPerSecond: 0, ratio: 0 });
  const { stack, clock } = repeating({ budget });
  const result = stack(failing(1, () => new CircuitOpenError("users", undefined, 1_000)));
  await clock.advance(1_000);
  expect(await result).toBe(2);
  await expect(stack(failing(1, () => new CircuitOpenError("users", undefined, 1_001)))).rejects.toThrow("1001 ms");
});

test("no attempt begins that could not end before the deadline", async () => {
  const { clock, stack } = repeating({ backoff: constant(60), minAttempt: 50 });
  using context = Context.derive({ timeout: 110, clock });
  await expect(stack(failing(1), { signal: context })).rejects.toThrow("attempt 1");
  using longer = Context.derive({ timeout: 111, clock });
  const result = stack(failing(1), { signal: longer });
  await clock.advance(60);
  expect(await result).toBe(2);
});

test("what the fastest attempts have taken counts as the least that another one needs", async () => {
  const clock = new TestClock();
  const stack = compose({ clock, idempotent: true }, timeout(100), retry({ backoff: constant(10) }));
  const slow = stack(() => new Promise((resolve) => clock.setTimeout(resolve, 95, 1)));
  await clock.advance(95);
  await slow;
  await expect(stack(failing(1))).rejects.toThrow("attempt 1"); // 90 ms would be left
});

test("repetitions are paid from the budget, or from that of the call tree", async () => {
  const empty = retryBudget({ minPerSecond: 0, ratio: 0 });
  await expect(repeating({ budget: empty }).stack(failing(1))).rejects.toThrow("attempt 1");
  expect(empty.stats()).toMatchObject({ requests: 1, retries: 0, refused: 1 });

  const tree = retryBudget({ minPerSecond: 0, ratio: 1 });
  using context = Context.derive({ values: [sharedBudget.of(tree)] });
  expect(await repeating({ budget: empty }).stack(failing(1), { signal: context })).toBe(2);
  expect([tree.stats().retries, empty.stats().requests]).toEqual([1, 1]);
});

test("below a repetition nothing is repeated: two layers of three attempts make five and not nine", async () => {
  let calls = 0;
  const inner = repeating().stack;
  const outer = repeating().stack;
  const task = async (): Promise<never> => {
    calls++;
    throw now;
  };
  await expect(outer(() => inner(task))).rejects.toBe(now);
  expect(calls).toBe(3 + 1 + 1);
  calls = 0;
  await expect(outer(() => repeating({ nested: "repeat" }).stack(task))).rejects.toBe(now);
  expect(calls).toBe(9);
});

test("x-attempt carries a repetition to the next service, which does not repeat", async () => {
  const seen: (string | null)[] = [];
  let calls = 0;
  const server = async (headers: Headers): Promise<never> => {
    seen.push(headers.get("x-attempt"));
    using context = Context.extract(headers, { values: extractAttempt(headers) });
    return await Context.run(context, () =>
      repeating().stack(async () => {
        calls++;
        throw now;
      }),
    );
  };
  const client = repeating().stack(async (_context, call) => {
    const headers = new Headers();
    injectAttempt(call, headers);
    return await server(headers);
  });
  await expect(client).rejects.toBe(now);
  expect([seen, calls]).toEqual([[null, "2", "3"], 5]);
  for (const text of ["1", "0", "-2", "two", ""]) expect(extractAttempt({ "x-attempt": text })).toEqual([]);
  expect(extractAttempt({ "x-attempt": "12" })).toEqual([repeatedAbove.of(true)]);
});

test("a pause ends at once when the caller gives up, with its reason, untouched", async () => {
  const { stack, clock } = repeating({ backoff: constant(1_000) });
  const caller = new AbortController();
  const result = stack(failing(3), { signal: caller.signal }).catch((error: unknown) => error);
  await clock.advance(500);
  const reason = { any: "thing" };
  caller.abort(reason);
  expect(await result).toBe(reason);
  expect(attemptErrors(reason)).toEqual([expect.objectContaining({ message: "attempt 1" })]);
  expect(clock.timers).toBe(0);
});

test("a function of the user's that throws fails the call with that error", async () => {
  const bug = new Error("bug");
  const throwing = (): never => {
    throw bug;
  };
  for (const options of [{ when: throwing }, { backoff: throwing }]) {
    await expect(repeating(options).stack(failing(1))).rejects.toBe(bug);
  }
  for (const task of [failing(1), async () => ({})]) {
    const stack = compose({ classify: throwing, idempotent: true }, retry());
    await expect(stack(task)).rejects.toBe(bug);
    expect(stack.stats()).toMatchObject({ calls: 1, active: 0, ignored: 1 });
  }
});

test("an attempt is told which one it is, in a context in which lower layers know as well", async () => {
  const seen: unknown[] = [];
  await repeating().stack(async (context, call) => {
    seen.push([call.attempt, context === Context.current(), context.get(repeatedAbove)]);
    if (call.attempt < 3) throw now;
  });
  expect(seen).toEqual([
    [1, true, undefined],
    [2, true, true],
    [3, true, true],
  ]);
});

test("events tell of each repetition, and why there was no other", async () => {
  using heard = events("call-retried", "call-given-up");
  const stack = resilient({ name: "users", retry: { attempts: 2, backoff: constant(0) } });
  await stack(failing(2), { key: "a", idempotent: true }).catch(() => {});
  await stack(failing(1)).catch(() => {});
  await stack(failing(1, () => ({ status: 404 }))).catch(() => {});
  expect(heard.list).toMatchObject([
    { kind: "call-retried", name: "users", key: "a", attempt: 1, pauseMs: 0, error: { message: "attempt 1" } },
    { kind: "call-given-up", name: "users", key: "a", attempts: 2, reason: "attempts" },
    { kind: "call-given-up", name: "users", attempts: 1, reason: "not-idempotent" },
  ]);
  expect(stack.stats()).toMatchObject({
    policies: { retry: { retries: 1, stopped: { attempts: 1, "not-idempotent": 1, verdict: 1 } } },
  });
});

test("an attempt that times out is repeated", async () => {
  const clock = new TestClock();
  const stack = compose({ clock, idempotent: true }, retry({ backoff: constant(0) }), attemptTimeout(100));
  const result = stack((_, { attempt }) => (attempt < 3 ? new Promise<never>(() => {}) : attempt));
  await clock.advance(200);
  expect(await result).toBe(3);
});

test.each([
  [{ attempts: 0 }, RangeError],
  [{ attempts: "3" }, TypeError],
  [{ backoff: "fast" }, TypeError],
  [{ when: true }, TypeError],
  [{ maxRetryAfter: -1 }, RangeError],
  [{ maxRejectionWait: Number.NaN }, RangeError],
  [{ minAttempt: "1" }, TypeError],
  [{ nested: "twice" }, TypeError],
  [{ budget: {} }, TypeError],
  [{ random: "4" }, TypeError],
])("retry(%o) is refused", (options, kind) => {
  expect(() => retry(options as never)).toThrow(kind);
});
