// What the end of an attempt says about the dependency: one verdict for retry, breaker, limits and balancer.
import type { Call, OutcomeKind } from "./call.ts";
import { classifyError } from "./classify-error.ts";
import { classifyStatus } from "./classify-http.ts";

/** A verdict with details. */
export interface Classification {
  /** How the attempt has ended. */
  readonly kind: OutcomeKind;
  /** Milliseconds for which the dependency asks to be left alone. */
  readonly retryAfterMs?: number | undefined;
  /** Whether the work has certainly not begun, so that any call may be repeated. Default: `false`. */
  readonly untouched?: boolean | undefined;
}

/**
 * Says how an attempt has ended: by a kind, or by a kind with details, or by `undefined` for what {@link classify} says.
 * `error` is what it failed with, and `undefined` if it returned `value`.
 */
export type Classify = (error: unknown, value: unknown, call: Call) => OutcomeKind | Classification | undefined;

/**
 * The verdict unless another classifier is given.
 *
 * - **Returned values** are `"ok"`, but for HTTP responses (a number `status` or `statusCode`, and `headers`): 408 and 504
 *   are `"timeout"`, 429 and other 5xx `"fail"`, other 4xx `"ignore"`. `Retry-After` is read, in seconds or as a date.
 * - **Errors** with such a status, as HTTP clients throw them, likewise. gRPC codes: `DEADLINE_EXCEEDED` is `"timeout"`;
 *   `UNAVAILABLE`, `RESOURCE_EXHAUSTED`, `ABORTED`, `INTERNAL`, `UNKNOWN` and `DATA_LOSS` are `"fail"`, the others
 *   `"ignore"`. Codes of Node and undici are known, those of `cause` included, as of the `TypeError` of `fetch`.
 * - **Untouched** is what cannot have had an effect: no connection was made (`ECONNREFUSED`, `ENOTFOUND`, `EAI_AGAIN`, …), a
 *   429, a refused HTTP/2 stream, a rejection by a policy.
 * - An error named `"TimeoutError"` is a `"timeout"`. Rejections by policies, a `TypeError` or `ReferenceError` that comes
 *   from a bug in the task, and an `AbortError` of a call that was given up are `"ignore"`. Any other error is `"fail"`, and
 *   `retryAfterMs` is read from it.
 *
 * @example
 * ```ts
 * import { classify } from "@proj/resilience";
 *
 * const headers = new Headers({ "retry-after": "2" });
 * console.log(classify(undefined, { status: 503, headers }));
 * // prints: { kind: 'fail', retryAfterMs: 2000, untouched: false }
 * console.log(classify(undefined, { id: 7 }), classify(new Error("broken"))); // prints: ok fail
 * ```
 */
export function classify(error: unknown, value?: unknown, call?: Call): OutcomeKind | Classification {
  return error === undefined ? classifyValue(value) : classifyError(error, call);
}

function classifyValue(value: unknown): OutcomeKind | Classification {
  if (typeof value !== "object" || value === null) return "ok";
  // Most values are no responses: nothing is made for them.
  const { status = (value as { statusCode?: unknown }).statusCode } = value as { status?: unknown };
  if (typeof status !== "number" || status < 400) return "ok";
  const { headers } = value as { headers?: unknown };
  return typeof headers === "object" && headers !== null ? classifyStatus(status, headers) : "ok";
}
