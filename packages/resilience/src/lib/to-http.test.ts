import { CancelledError, QueueFullError, RateLimitedError, TimeoutError } from "@proj/concurrency";
import { expect, test } from "vitest";
import {
  CallTimeoutError,
  CircuitOpenError,
  IdempotencyConflictError,
  IdempotencyCrashedError,
  IdempotencyMismatchError,
  NoEndpointError,
  OverloadedError,
  toHttp,
} from "../index.ts";

test.each([
  ["a rate limit", new RateLimitedError(1_001), 429, "2", "ERR_RATE_LIMITED"],
  ["a rate that is never enough", new RateLimitedError(Number.POSITIVE_INFINITY), 429, undefined, "ERR_RATE_LIMITED"],
  ["an open circuit", new CircuitOpenError("users", "a", 4_000), 503, "4", "ERR_CIRCUIT_OPEN"],
  ["overload", new OverloadedError("users", "full", undefined), 503, undefined, "ERR_OVERLOADED"],
  ["a full queue", new QueueFullError("a permit", 1), 503, undefined, "ERR_QUEUE_FULL"],
  ["no endpoint", new NoEndpointError("users", { known: 0, ready: 0 }), 503, undefined, "ERR_NO_ENDPOINT"],
  ["a timeout of a policy", new CallTimeoutError("users", "call", 1, 1), 504, undefined, "ERR_TIMEOUT"],
  ["a deadline", new TimeoutError("late", 1), 504, undefined, "ERR_TIMEOUT"],
  ["a key in use", new IdempotencyConflictError("key"), 409, undefined, "ERR_IDEMPOTENCY_CONFLICT"],
  ["a key of a crashed run", new IdempotencyCrashedError("key", "id"), 409, undefined, "ERR_IDEMPOTENCY_CRASHED"],
  ["a key of another request", new IdempotencyMismatchError("key"), 422, undefined, "ERR_IDEMPOTENCY_MISMATCH"],
  ["a timeout of the platform", new DOMException("late", "TimeoutError"), 504, undefined, undefined],
  ["a caller who has left", new CancelledError(), 499, undefined, undefined],
  ["a refused connection", Object.assign(new Error("no"), { code: "ECONNREFUSED" }), 502, undefined, undefined],
  ["a failure of what is behind", { status: 503, headers: { "retry-after": "7" } }, 502, undefined, undefined],
  ["a 404 of what is behind", { status: 404 }, 500, undefined, undefined],
  ["a bug", new TypeError("x is not a function"), 500, undefined, undefined],
  ["no error at all", undefined, 500, undefined, undefined],
])("toHttp() of %s", (_, error, status, retryAfter, code) => {
  const answer = toHttp(error);
  expect([answer.status, answer.headers["retry-after"], answer.problem.code]).toEqual([status, retryAfter, code]);
  expect(answer.headers["content-type"]).toBe("application/problem+json");
  expect(answer.problem).toMatchObject({ type: "about:blank", status });
  expect(answer.problem.title).not.toBe("");
});

test("toHttp() tells clients nothing of what the error says", () => {
  expect(JSON.stringify(toHttp(new CircuitOpenError("secret-backend", "10.0.0.7", 1)))).not.toMatch(/secret|10\.0/);
});
