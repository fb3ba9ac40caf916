// Responses that come from a fallback, and not from a server.
import { checkCount, describe } from "@proj/concurrency/options";
import type { Dispatcher } from "undici";
import { Attempt } from "./undici-attempt.ts";
import { AttemptHead } from "./undici-response.ts";

/** What a fallback may return for a response. */
export interface CannedResponse {
  /** From 200 to 599. */
  readonly status: number;
  /** By name. Default: none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Default: empty. */
  readonly body?: string | Uint8Array | undefined;
}

/** An attempt that is over, with this response. */
export function cannedAttempt(
  result: unknown,
  handler: Dispatcher.DispatchHandler,
  controller: Dispatcher.DispatchController,
): Attempt {
  const { status, headers = {}, body = "" } = checked(result);
  const attempt = new Attempt(handler, controller, () => {});
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const still: Dispatcher.DispatchController = {
    aborted: false,
    paused: false,
    reason: null,
    rawHeaders: Object.entries(lower).flatMap(([name, value]) => [Buffer.from(name), Buffer.from(value, "latin1")]),
    rawTrailers: [],
    abort: (reason) => attempt.onResponseError(still, reason),
    pause() {},
    resume() {},
  };
  attempt.onRequestStart(still);
  attempt.onResponseStart(still, status, lower, "");
  if (body.length > 0) attempt.onResponseData(still, Buffer.from(body as Uint8Array)); // of a text too
  attempt.onResponseEnd(still, {});
  return attempt;
}

function checked(result: unknown): CannedResponse {
  const action = "answer a request";
  if (
    typeof result !== "object" ||
    result === null ||
    AttemptHead.attemptOf(result) !== undefined ||
    !("status" in result)
  ) {
    throw new TypeError(`Cannot ${action}: a fallback must return a CannedResponse, got ${describe(result)}`);
  }
  const { status, headers, body } = result as CannedResponse;
  checkCount(action, "status", status, 200);
  if (typeof (body ?? "") !== "string" && !(body instanceof Uint8Array)) {
    throw new TypeError(`Cannot ${action}: body must be a string or bytes, got ${describe(body)}`);
  }
  return { status, headers, body };
}
