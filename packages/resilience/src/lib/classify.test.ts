import { Context, QueueFullError, RateLimitedError } from "@proj/concurrency";
import { expect, test } from "vitest";
import { CallRecord } from "./call-record.ts";
import { CircuitOpenError } from "./circuit-open-error.ts";
import { classify } from "./classify.ts";
import {
  IdempotencyConflictError,
  IdempotencyCrashedError,
  IdempotencyLostError,
  IdempotencyMismatchError,
} from "./idempotency-errors.ts";
import { NoEndpointError } from "./no-endpoint-error.ts";
import { OverloadedError } from "./overloaded-error.ts";

const response = (status: number, headers: Record<string, string> = {}) => new Response(null, { status, headers });
const coded = (code: unknown, fields: object = {}): Error => Object.assign(new Error("broken"), { code }, fields);

test.each([
  ["a primitive", 42, "ok"],
  ["nothing", undefined, "ok"],
  ["an object", { id: 7 }, "ok"],
  ["an object with a status that is no response", { status: 503, id: 7 }, "ok"],
  ["200", response(200), "ok"],
  ["302", response(302), "ok"],
  ["404", response(404), "ignore"],
  ["408", response(408), { kind: "timeout", retryAfterMs: undefined, untouched: false }],
  ["429", response(429, { "retry-after": "1.5" }), { kind: "fail", retryAfterMs: 1_500, untouched: true }],
  ["500", response(500), { kind: "fail", retryAfterMs: undefined, untouched: false }],
  ["503", response(503, { "retry-after": "2" }), { kind: "fail", retryAfterMs: 2_000, untouched: false }],
  ["504", response(504), { kind: "timeout", retryAfterMs: undefined, untouched: false }],
  [
    "undici's 502",
    { statusCode: 502, headers: { "retry-after": "0" } },
    { kind: "fail", retryAfterMs: 0, untouched: false },
  ],
])("classify() of the value %s", (_, value, verdict) => {
  expect(classify(undefined, value)).toEqual(verdict);
});

test("a Retry-After that is a date counts from the Date of the same response, so that no clock need be right", () => {
  const date = "Wed, 21 Oct 2026 07:28:00 GMT";
  const later = "Wed, 21 Oct 2026 07:28:30 GMT";
  expect(classify(undefined, response(503, { date, "retry-after": later }))).toMatchObject({ retryAfterMs: 30_000 });
  expect(classify(undefined, response(503, { date: later, "retry-after": date }))).toMatchObject({ retryAfterMs: 0 });
  expect(classify(undefined, response(503, { "retry-after": "soon" }))).toMatchObject({ retryAfterMs: undefined });
  const soon = new Date(Date.now() + 5_000).toUTCString();
  const { retryAfterMs } = classify(undefined, response(503, { "retry-after": soon })) as { retryAfterMs: number };
  expect(retryAfterMs > 3_000 && retryAfterMs <= 5_000).toBe(true);
});

const fail = { kind: "fail", untouched: true };

test.each([
  ["any", new Error("broken"), "fail"],
  ["no error at all", "text", "fail"],
  ["null", null, "fail"],
  ["ECONNREFUSED", coded("ECONNREFUSED"), fail],
  ["ENOTFOUND", coded("ENOTFOUND"), fail],
  ["EAI_AGAIN", coded("EAI_AGAIN"), fail],
  ["ECONNRESET while connecting", coded("ECONNRESET", { syscall: "connect" }), fail],
  ["ECONNRESET after that", coded("ECONNRESET", { syscall: "read" }), "fail"],
  ["ETIMEDOUT while connecting", coded("ETIMEDOUT", { syscall: "connect" }), { kind: "timeout", untouched: true }],
  ["ETIMEDOUT", coded("ETIMEDOUT", { syscall: "read" }), "timeout"],
  ["EPIPE", coded("EPIPE"), "fail"],
  ["a connect timeout of undici", coded("UND_ERR_CONNECT_TIMEOUT"), { kind: "timeout", untouched: true }],
  ["a headers timeout of undici", coded("UND_ERR_HEADERS_TIMEOUT"), "timeout"],
  ["a body timeout of undici", coded("UND_ERR_BODY_TIMEOUT"), "timeout"],
  ["a socket error of undici", coded("UND_ERR_SOCKET"), "fail"],
  ["a bad argument", coded("ERR_INVALID_ARG_TYPE"), "ignore"],
  ["fetch that cannot connect", new TypeError("fetch failed", { cause: coded("ECONNREFUSED") }), fail],
  ["fetch whose body ends early", new TypeError("terminated", { cause: coded("UND_ERR_SOCKET") }), "fail"],
  ["a bug", new TypeError("x is not a function"), "ignore"],
  ["another bug", new ReferenceError("x is not defined"), "ignore"],
  ["JSON of a broken proxy", new SyntaxError("Unexpected token <"), "fail"],
  ["a timeout of the platform", new DOMException("late", "TimeoutError"), "timeout"],
  ["a wrapped timeout", new Error("late", { cause: new DOMException("late", "TimeoutError") }), "timeout"],
  ["an error that knows when to come back", coded("EBUSY", { retryAfterMs: 70 }), { kind: "fail", retryAfterMs: 70 }],
  ["a status of http-errors", coded(undefined, { status: 404 }), "ignore"],
  [
    "a status of got",
    coded("ERR_NON_2XX_3XX_RESPONSE", { response: { statusCode: 503, headers: { "retry-after": "1" } } }),
    { kind: "fail", retryAfterMs: 1_000, untouched: false },
  ],
  [
    "a status of axios",
    coded("ERR_BAD_RESPONSE", { response: { status: 429, headers: {} } }),
    { kind: "fail", retryAfterMs: undefined, untouched: true },
  ],
  ["gRPC UNAVAILABLE", coded(14, { details: "down" }), "fail"],
  ["gRPC DEADLINE_EXCEEDED", coded(4, { details: "late" }), "timeout"],
  ["gRPC NOT_FOUND", coded(5, { rawMessage: "none" }), "ignore"],
  ["gRPC with pushback", coded(14, { metadata: { get: () => ["250"] } }), { kind: "fail", retryAfterMs: 250 }],
  [
    "gRPC that wants no retry",
    coded(14, { metadata: { get: () => ["-1"] } }),
    { kind: "fail", retryAfterMs: Number.POSITIVE_INFINITY },
  ],
  ["a number that is no gRPC code", coded(14), "fail"],
  [
    "a refused HTTP/2 stream",
    Object.assign(new Error("Stream closed with error code NGHTTP2_REFUSED_STREAM"), {
      code: "ERR_HTTP2_STREAM_ERROR",
    }),
    fail,
  ],
])("classify() of the error %s", (_, error, verdict) => {
  expect(classify(error)).toEqual(verdict);
});

test("what an idempotency guard refuses tells nothing of the dependency, and trips no breaker", () => {
  const errors = [
    new IdempotencyConflictError("order-1"),
    new IdempotencyCrashedError("order-1", "run-1"),
    new IdempotencyLostError("order-1", { cause: new Error("too late") }),
    new IdempotencyMismatchError("order-1"),
  ];
  for (const error of errors) expect([error.code, classify(error, undefined)]).toEqual([error.code, "ignore"]);
});

test("rejections by policies tell nothing of the dependency, and when to come back", () => {
  const rejections = [
    [new CircuitOpenError("users", undefined, 500), 500],
    [new OverloadedError("users", "full", 20), 20],
    [new RateLimitedError(30), 30],
    [new QueueFullError("a permit", 1), undefined],
    [new NoEndpointError("users", { known: 0, ready: 0 }), undefined],
  ] as const;
  for (const [error, retryAfterMs] of rejections) {
    expect(classify(error)).toEqual({ kind: "ignore", retryAfterMs, untouched: true });
  }
});

test("an AbortError is nobody's fault if the call was given up, and a failure if somebody else has aborted", () => {
  const context = Context.derive();
  const call = new CallRecord("users", context, undefined, false, 0, 1, context.clock, 0, undefined);
  const error = new DOMException("aborted", "AbortError");
  expect(classify(error, undefined, call)).toBe("fail");
  context.cancel();
  expect(classify(error, undefined, call)).toBe("ignore");
});

test("errors that cause each other in a circle end", () => {
  const error = new Error("a");
  error.cause = new Error("b", { cause: error });
  expect(classify(error)).toBe("fail");
});
