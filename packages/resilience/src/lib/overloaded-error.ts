// The answer of whatever protects this process or a dependency from more work than it can do.
import type { Call } from "./call.ts";
import { listening, tell } from "./events.ts";
import type { PolicyKind } from "./policy.ts";
import { rejection } from "./stackless.ts";

/**
 * Why a call was turned away: `"full"` for want of a place and of room to wait, `"late"` after waiting too long for a
 * place, `"priority"` to keep places for what is more important, `"load"` because this process has too much to do,
 * `"throttled"` because the dependency has rejected too much of late.
 */
export type OverloadReason = "full" | "late" | "priority" | "load" | "throttled";

const explanations: Readonly<Record<OverloadReason, string>> = {
  full: "no place is free",
  late: "no place became free in time",
  priority: "the places are kept for what is more important",
  load: "this process has too much to do",
  throttled: "it has rejected too much of late",
};

/**
 * The call was not made, to keep this process or the dependency from being overloaded. It tells nothing of the health of
 * the dependency, so it is not counted as a failure.
 *
 * @example
 * ```ts
 * import { OverloadedError } from "@proj/resilience";
 *
 * const error = new OverloadedError("users", "full", 250);
 * console.log(error.message); // prints: Cannot call users: no place is free, retry after 250 ms
 * ```
 */
export class OverloadedError extends Error {
  override readonly name = "OverloadedError";
  readonly code = "ERR_OVERLOADED";
  /** Why the call was turned away. */
  readonly reason: OverloadReason;
  /** Milliseconds after which another attempt has a chance; `undefined` if nobody knows. */
  readonly retryAfterMs: number | undefined;

  constructor(name: string, reason: OverloadReason, retryAfterMs: number | undefined) {
    const advice = retryAfterMs === undefined ? "" : `, retry after ${retryAfterMs} ms`;
    super(`Cannot call ${name}: ${explanations[reason]}${advice}`);
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Who rejects, and how. */
export interface Rejecting {
  readonly kind: PolicyKind;
  /** In messages and events; without one that of the call. */
  readonly name: string | undefined;
  readonly stack: boolean;
}

/** Makes the error for a call that is turned away, and tells it to whoever listens. */
export function overloaded(
  policy: Rejecting,
  call: Call,
  reason: OverloadReason,
  retryAfterMs: number | undefined,
): OverloadedError {
  const name = policy.name ?? call.name;
  const error = rejection(policy.stack, () => new OverloadedError(name, reason, retryAfterMs));
  if (listening()) tell({ kind: "call-rejected", name, policy: policy.kind, error });
  return error;
}

/** Half to one and a half times as long, at random: callers who were turned away together should not come back together. */
export function spread(ms: number, random: () => number): number {
  return Math.ceil(ms * (0.5 + random()));
}
