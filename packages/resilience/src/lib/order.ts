// Orders of policies that are known to do something else than what they look like.
import type { Policy, PolicyKind } from "./policy.ts";
import { Retry } from "./retry.ts";
import { TimeLimit } from "./timeout.ts";

/**
 * An order of policies that is refused, unless `allow` has it:
 *
 * - `"two-retries"`: their attempts multiply;
 * - `"unpaid-retry-in-hedge"`: each hedge is retried as well, with nothing to limit it;
 * - `"breaker-outside-retry"`: it sees one failure where there were several, and the retry goes on after it should be open;
 * - `"breaker-outside-balance"`: one bad endpoint closes the way to all;
 * - `"attempt-timeout-too-long"`: the timeout outside of it always comes first;
 * - `"attempt-timeout-outside-retry"`: an attempt that hangs is never given up for another one;
 * - `"fallback-inside"`: a failure that was made up for is none for the retry, hedge, breaker or balancer around it;
 * - `"bulkhead-outside-retry"`: a call keeps its place while it only waits for its next attempt.
 */
export type OrderTrap =
  | "two-retries"
  | "unpaid-retry-in-hedge"
  | "breaker-outside-retry"
  | "breaker-outside-balance"
  | "attempt-timeout-too-long"
  | "attempt-timeout-outside-retry"
  | "fallback-inside"
  | "bulkhead-outside-retry";

/** What is wrong when `outer` is anywhere outside of `inner`, and what to do. */
interface Rule {
  readonly trap: OrderTrap;
  readonly outer: readonly PolicyKind[];
  readonly inner: readonly PolicyKind[];
  readonly isTrap?: (outer: Policy, inner: Policy) => boolean;
  readonly message: string;
}

const rules: readonly Rule[] = [
  {
    trap: "two-retries",
    outer: ["retry"],
    inner: ["retry"],
    message: "one retry inside of another multiplies their attempts; leave one out",
  },
  {
    trap: "unpaid-retry-in-hedge",
    outer: ["hedge"],
    inner: ["retry"],
    isTrap: (_hedge, retry) => !(retry instanceof Retry && retry.budget !== undefined),
    message: "a retry inside of a hedge repeats what is done twice already; put it outside, or give both one budget",
  },
  {
    trap: "breaker-outside-retry",
    outer: ["breaker"],
    inner: ["retry", "hedge"],
    message: "a breaker outside of a retry or hedge is told of calls and not of attempts; put it inside",
  },
  {
    trap: "breaker-outside-balance",
    outer: ["breaker"],
    inner: ["balance"],
    message: "a breaker outside of a balancer closes the way to all endpoints because of one; put it inside",
  },
  {
    trap: "attempt-timeout-too-long",
    outer: ["timeout", "attempt-timeout"],
    inner: ["timeout", "attempt-timeout"],
    isTrap: (outer, inner) => msOf(outer) <= msOf(inner),
    message: "a timeout inside of one that is not longer never comes first; make it shorter, or leave it out",
  },
  {
    trap: "attempt-timeout-outside-retry",
    outer: ["attempt-timeout"],
    inner: ["retry"],
    message: "an attempt timeout outside of a retry limits all attempts together; put it inside, or say timeout",
  },
  {
    trap: "fallback-inside",
    outer: ["retry", "hedge", "breaker", "balance"],
    inner: ["fallback"],
    message: "a fallback hides failures from the retry, hedge, breaker or balancer around it; put it outside",
  },
  {
    trap: "bulkhead-outside-retry",
    outer: ["bulkhead"],
    inner: ["retry"],
    message: "a bulkhead outside of a retry keeps a place for each call that waits for its next attempt; put it inside",
  },
];

/** @throws TypeError for the first trap that is not allowed */
export function checkOrder(action: string, policies: readonly Policy[], allow: readonly OrderTrap[] = []): void {
  for (const [place, outer] of policies.entries()) {
    for (const inner of policies.slice(place + 1)) {
      const rule = rules.find((rule) => isBroken(rule, outer, inner) && !allow.includes(rule.trap));
      if (rule !== undefined) throw new TypeError(`Cannot ${action}: ${rule.message} (allow: ["${rule.trap}"])`);
    }
  }
}

function isBroken({ outer, inner, isTrap }: Rule, around: Policy, inside: Policy): boolean {
  if (!outer.includes(around.kind) || !inner.includes(inside.kind)) return false;
  return isTrap === undefined || isTrap(around, inside);
}

/** A timeout that adapts is taken for one that fits. */
function msOf(policy: Policy): number {
  return policy instanceof TimeLimit && policy.ms !== undefined ? policy.ms : Number.NaN;
}
