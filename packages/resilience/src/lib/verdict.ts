// Writes the verdict of a classifier into a call.
import type { CallRecord } from "./call-record.ts";
import { type Classify, classify } from "./classify.ts";
import { isRejection } from "./classify-error.ts";

/** Rejections by policies are never taken for failures, and a failure with `undefined` never for a success. */
export function judge(call: CallRecord, decide: Classify): void {
  const { error, value, hasThrown } = call;
  if (hasThrown && error === undefined) {
    call.outcome = "fail";
    return;
  }
  const given = decide === classify || isRejection(error) ? undefined : decide(error, value, call);
  const verdict = given ?? classify(error, value, call);
  if (typeof verdict === "string") {
    call.outcome = verdict;
    return;
  }
  call.outcome = verdict.kind;
  call.retryAfterMs = verdict.retryAfterMs;
  call.untouched = verdict.untouched ?? false;
}

/** A gate has turned the call away, by whatever error: nothing was done. */
export function turnAway(call: CallRecord, error: unknown): void {
  call.endedAt = call.startedAt;
  call.error = error;
  call.hasThrown = true;
  call.outcome = "ignore";
  call.untouched = true;
  if (typeof error !== "object" || error === null) return;
  const { retryAfterMs } = error as { retryAfterMs?: unknown };
  if (typeof retryAfterMs === "number") call.retryAfterMs = retryAfterMs;
}

/** A call is what its last attempt was. */
export function settle(call: CallRecord, last: CallRecord): void {
  if (call === last) return;
  call.endedAt = last.endedAt;
  call.endpoint = last.endpoint;
  call.error = last.error;
  call.value = last.value;
  call.hasThrown = last.hasThrown;
  call.outcome = last.outcome;
  call.retryAfterMs = last.retryAfterMs;
  call.untouched = last.untouched;
}
