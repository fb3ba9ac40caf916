// What an error says: by its status, its code or its name, or those of what caused it.
import type { Call, OutcomeKind } from "./call.ts";
import type { Classification } from "./classify.ts";
import { classifyStatus } from "./classify-http.ts";

type Verdict = OutcomeKind | Classification;

/** No connection was made, or nothing was sent on it. */
const untouched: Verdict = { kind: "fail", untouched: true };
const untouchedTimeout: Verdict = { kind: "timeout", untouched: true };

const codes: ReadonlyMap<unknown, Verdict> = new Map<unknown, Verdict>([
  ...["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "ENETDOWN"].map(
    (code) => [code, untouched] as const,
  ),
  ...["ENODATA", "EADDRNOTAVAIL", "UND_ERR_CLOSED", "UND_ERR_DESTROYED"].map((code) => [code, untouched] as const),
  ["UND_ERR_CONNECT_TIMEOUT", untouchedTimeout],
  ["UND_ERR_HEADERS_TIMEOUT", "timeout"],
  ["UND_ERR_BODY_TIMEOUT", "timeout"],
  ["ETIMEDOUT", "timeout"],
  ["ESOCKETTIMEDOUT", "timeout"],
  ["ERR_TIMEOUT", "timeout"],
  ["UND_ERR_ABORTED", "ignore"],
  ["UND_ERR_INVALID_ARG", "ignore"],
  ["UND_ERR_NOT_SUPPORTED", "ignore"],
  ["ERR_INVALID_ARG_TYPE", "ignore"],
  ["ERR_INVALID_ARG_VALUE", "ignore"],
  ["ERR_INVALID_URL", "ignore"],
  ["ERR_CANCELLED", "ignore"],
  ["ERR_IDEMPOTENCY_CONFLICT", "ignore"],
  ["ERR_IDEMPOTENCY_CRASHED", "ignore"],
  ["ERR_IDEMPOTENCY_LOST", "ignore"],
  ["ERR_IDEMPOTENCY_MISMATCH", "ignore"],
]);

/** Codes that a connection can also fail with later: only the step that failed tells. */
const connecting: ReadonlySet<unknown> = new Set(["ECONNRESET", "ETIMEDOUT", "EPIPE", "ENOENT", "ECONNABORTED"]);

/** Those of google.rpc.Code that say something of the server; the others are the caller's. */
const grpc: ReadonlyMap<unknown, OutcomeKind> = new Map<unknown, OutcomeKind>([
  [2, "fail"],
  [4, "timeout"],
  [8, "fail"],
  [10, "fail"],
  [13, "fail"],
  [14, "fail"],
  [15, "fail"],
]);

const rejections: ReadonlySet<unknown> = new Set([
  "ERR_CIRCUIT_OPEN",
  "ERR_OVERLOADED",
  "ERR_RATE_LIMITED",
  "ERR_QUEUE_FULL",
  "ERR_NO_ENDPOINT",
]);

/** Errors may cause each other in a circle. */
const deepest = 5;

interface ErrorShape {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly cause?: unknown;
  readonly syscall?: unknown;
  readonly message?: unknown;
  readonly status?: unknown;
  readonly statusCode?: unknown;
  readonly headers?: unknown;
  readonly response?: unknown;
  readonly metadata?: unknown;
  readonly details?: unknown;
  readonly rawMessage?: unknown;
  readonly retryAfterMs?: unknown;
}

/** Whether a policy has turned the call away, here or in a stack further inside: nothing was done. */
export function isRejection(error: unknown): boolean {
  return isObject(error) && rejections.has((error as ErrorShape).code);
}

/** Whether it says that work was given up because somebody wanted it to be. */
export function isAbort(error: unknown): boolean {
  return isObject(error) && (error as ErrorShape).name === "AbortError";
}

/** Whether it comes from code that is wrong, and not from what the code has met. The errors of `fetch` have a cause. */
export function isBug(error: unknown): boolean {
  if (!(error instanceof TypeError || error instanceof ReferenceError)) return false;
  const { cause, code } = error as ErrorShape;
  return cause === undefined && code === undefined;
}

export function classifyError(error: unknown, call: Call | undefined): Verdict {
  if (!isObject(error)) return "fail";
  if (isRejection(error)) {
    return { kind: "ignore", retryAfterMs: numberOf((error as ErrorShape).retryAfterMs), untouched: true };
  }
  if (isAbort(error) && call?.context.cancelled === true) return "ignore";
  if (isBug(error)) return "ignore";
  let shape: ErrorShape = error;
  for (let depth = 0; depth < deepest; depth++) {
    const verdict = verdictOf(shape);
    if (verdict !== undefined) return withRetryAfter(verdict, error);
    if (!isObject(shape.cause)) break;
    shape = shape.cause;
  }
  return withRetryAfter((error as ErrorShape).name === "TimeoutError" ? "timeout" : "fail", error);
}

function verdictOf(error: ErrorShape): Verdict | undefined {
  const { code, syscall } = error;
  if (code !== undefined) {
    if (syscall === "connect" && connecting.has(code)) return code === "ETIMEDOUT" ? untouchedTimeout : untouched;
    if (code === "ERR_HTTP2_STREAM_ERROR" && String(error.message).includes("REFUSED_STREAM")) return untouched;
    const known = codes.get(code);
    if (known !== undefined) return known;
    if (isGrpc(error)) return grpc.get(code) ?? "ignore";
  }
  return verdictOfStatus(error) ?? (error.name === "TimeoutError" ? "timeout" : undefined);
}

/** `status` of fetch wrappers and http-errors, `statusCode` of got and undici, `response` of axios, ky and got. */
function verdictOfStatus(error: ErrorShape): Verdict | undefined {
  const response: ErrorShape = isObject(error.response) ? error.response : {};
  for (const status of [error.status, error.statusCode, response.status, response.statusCode]) {
    if (typeof status === "number" && status >= 400 && status < 600) {
      const headers = isObject(error.headers) ? error.headers : response.headers;
      return classifyStatus(status, isObject(headers) ? headers : undefined);
    }
  }
  return undefined;
}

/** `details` and `metadata` of grpc-js, `rawMessage` of Connect. */
function isGrpc({ code, metadata, details, rawMessage }: ErrorShape): boolean {
  if (typeof code !== "number" || code < 1 || code > 16) return false;
  return typeof details === "string" || typeof rawMessage === "string" || isObject(metadata);
}

function withRetryAfter(verdict: Verdict, error: ErrorShape): Verdict {
  const retryAfterMs = numberOf(error.retryAfterMs) ?? pushbackOf(error.metadata);
  if (retryAfterMs === undefined) return verdict;
  return typeof verdict === "string" ? { kind: verdict, retryAfterMs } : { retryAfterMs, ...verdict };
}

/** gRPC's `grpc-retry-pushback-ms` (proposal A6): a server that gives a negative one wants no retry at all. */
function pushbackOf(metadata: unknown): number | undefined {
  if (!isObject(metadata)) return undefined;
  const { get } = metadata as { get?: unknown };
  if (typeof get !== "function") return undefined;
  const found: unknown = get.call(metadata, "grpc-retry-pushback-ms");
  const text: unknown = Array.isArray(found) ? found[0] : found;
  if (typeof text !== "string" || text === "") return undefined;
  const ms = Number(text);
  return Number.isNaN(ms) || ms < 0 ? Number.POSITIVE_INFINITY : ms;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" && value >= 0 ? value : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
