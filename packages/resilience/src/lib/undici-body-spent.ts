// Which attempts have ended with a body that cannot be sent again, or not even once, so that nobody tries.
import { type Classify, classify } from "./classify.ts";

/**
 * The body of a request was sent, as far as it came, and cannot be sent again: it is a stream whose length is not known,
 * or too long to be kept.
 */
export class BodySpentError extends Error {
  override readonly name = "BodySpentError";
  readonly code = "ERR_BODY_SPENT";

  constructor() {
    super("Cannot send the request again: its body is a stream that was read, and was not kept");
  }
}

const spent = new WeakSet<object>();

/** What this attempt has come to, an error or the head of a response, came after the body was read. */
export function markSpent(result: unknown): void {
  if (typeof result === "object" && result !== null) spent.add(result);
}

const broken = new WeakSet<object>();

/** The body itself has failed with this. */
export function markBroken(error: unknown): void {
  if (typeof error === "object" && error !== null) broken.add(error);
}

/** As `decide` says, but what was refused untouched cannot be repeated all the same if its body is gone. */
export function classifyUnspent(decide: Classify = classify): Classify {
  return (error, value, call) => {
    if (typeof error === "object" && error !== null && broken.has(error)) return "ignore";
    const verdict = decide(error, value, call) ?? classify(error, value, call);
    if (typeof verdict !== "object" || verdict.untouched !== true) return verdict;
    const result = error ?? value;
    const isSpent = typeof result === "object" && result !== null && spent.has(result);
    return isSpent ? { ...verdict, untouched: false } : verdict;
  };
}
