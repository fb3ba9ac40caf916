// What to answer over HTTP when a call has failed.
import { classify } from "./classify.ts";
import { isAbort } from "./classify-error.ts";

/** An answer as RFC 9457 wants it: send `problem` as `application/problem+json`. */
export interface HttpProblem {
  /** The HTTP status. */
  readonly status: number;
  /** In lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body. It has no message of the error, which may tell more than clients should know. */
  readonly problem: {
    readonly type: "about:blank";
    readonly title: string;
    readonly status: number;
    /** Of the error, if it is one that policies reject with. */
    readonly code?: string;
  };
}

const titles: Readonly<Record<number, string>> = {
  409: "Conflict",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  499: "Client Closed Request",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

const statuses: ReadonlyMap<unknown, number> = new Map([
  ["ERR_RATE_LIMITED", 429],
  ["ERR_CIRCUIT_OPEN", 503],
  ["ERR_OVERLOADED", 503],
  ["ERR_QUEUE_FULL", 503],
  ["ERR_NO_ENDPOINT", 503],
  ["ERR_TIMEOUT", 504],
  // As the IETF draft "The Idempotency-Key HTTP Header Field" has it.
  ["ERR_IDEMPOTENCY_CONFLICT", 409],
  ["ERR_IDEMPOTENCY_CRASHED", 409],
  ["ERR_IDEMPOTENCY_MISMATCH", 422],
]);

/**
 * Makes the answer for a request that could not be served: 429 for a rate limit, 503 for an open circuit, overload or
 * want of an endpoint, 504 for a timeout, 409 for an idempotency key that is in use and 422 for one of another request, 499
 * for a client that has gone, 502 for a dependency that could not be reached or has failed with a status of its own, else
 * 500. `retry-after`, in whole seconds, where the error knows a time.
 *
 * @example
 * ```ts
 * import { RateLimitedError } from "@proj/concurrency";
 * import { toHttp } from "@proj/resilience";
 *
 * const { status, headers, problem } = toHttp(new RateLimitedError(1_200));
 * console.log(status, headers["retry-after"], problem.title); // prints: 429 2 Too Many Requests
 * ```
 */
export function toHttp(error: unknown): HttpProblem {
  const code: unknown = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  const status = statuses.get(code) ?? statusOf(error);
  const retryAfterMs = retryAfterOf(error);
  const headers: Record<string, string> = { "content-type": "application/problem+json" };
  if (retryAfterMs !== undefined && (status === 429 || status === 503)) {
    headers["retry-after"] = String(Math.ceil(retryAfterMs / 1_000));
  }
  const known = typeof code === "string" && statuses.has(code) ? { code } : {};
  return { status, headers, problem: { type: "about:blank", title: titles[status] ?? "", status, ...known } };
}

function statusOf(error: unknown): number {
  if (isAbort(error)) return 499;
  if (error === undefined) return 500;
  const verdict = classify(error);
  if (typeof verdict === "string") return verdict === "timeout" ? 504 : 500;
  if (verdict.kind === "timeout") return 504;
  return verdict.kind === "fail" ? 502 : 500;
}

function retryAfterOf(error: unknown): number | undefined {
  if (error === undefined) return undefined;
  const verdict = classify(error);
  const ms = typeof verdict === "string" ? undefined : verdict.retryAfterMs;
  return ms === undefined || ms === Number.POSITIVE_INFINITY ? undefined : ms;
}
