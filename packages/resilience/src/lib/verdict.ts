// Writes the verdict of a classifier into a call.
import type { CallRecord } from "./call-record.ts";
import { type Classify, classify } from "./classify.ts";

/** The error, if it has one, and the value are in the call already. `hasFailed` tells a failure with `undefined`. */
export function judge(call: CallRecord, decide: Classify, hasFailed: boolean): void {
  const { error, value } = call;
  if (hasFailed && error === undefined) {
    call.outcome = "fail";
    return;
  }
  const verdict = decide(error, value, call) ?? classify(error, value, call);
  if (typeof verdict === "string") {
    call.outcome = verdict;
    return;
  }
  call.outcome = verdict.kind;
  call.retryAfterMs = verdict.retryAfterMs;
  call.untouched = verdict.untouched ?? false;
}

/** A call is what its last attempt was. */
export function settle(call: CallRecord, last: CallRecord): void {
  if (call === last) return;
  call.endedAt = last.endedAt;
  call.endpoint = last.endpoint;
  call.error = last.error;
  call.value = last.value;
  call.outcome = last.outcome;
  call.retryAfterMs = last.retryAfterMs;
  call.untouched = last.untouched;
}
