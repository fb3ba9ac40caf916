// The two kinds of part that a stack of policies is made of.
import type { ComponentStats } from "@proj/concurrency/inspect";
import type { Call } from "./call.ts";
import type { CallRecord } from "./call-record.ts";

/** What a policy is for: decides its place in the fixed order, and what is known of its traps. */
export type PolicyKind =
  | "fallback"
  | "timeout"
  | "shed"
  | "rate"
  | "retry"
  | "hedge"
  | "balance"
  | "breaker"
  | "bulkhead"
  | "attempt-timeout"
  | "chaos"
  | "custom";

/** What all policies have. */
export interface PolicyBase {
  /** What it is for. */
  readonly kind: PolicyKind;
  /** For `inspect`, as part of the whole stack. Must be cheap. */
  stats?(): ComponentStats;
}

/**
 * A policy that decides at once: it lets a call in or throws, and is told how every call that it let in has ended. It
 * costs no promise and no frame.
 */
export interface Gate extends PolicyBase {
  /**
   * Lets the call in, or rejects it by throwing; then `exit` is not called. Must not wait. What it returns is handed to
   * `exit`: a number that it can recognise the call by, such as an epoch.
   */
  enter(call: Call): number;
  /** Exactly once for each call that was let in, whatever happened. Must not throw. */
  exit(call: Call, token: number): void;
}

/** A gate that need not throw. */
export interface QuietGate extends Gate {
  /** As `enter`, but puts the error into the call that it rejects, and returns `undefined`. */
  tryEnter(call: CallRecord): number | undefined;
}

/** A policy that owns a frame: it may wait, call `next` several times or not at all, and change the result. */
export interface Driver extends PolicyBase {
  /** Takes a call on to what is inside, by `next`. Rejects with what that rejects with, or with an error of its own. */
  run<T>(call: Call, next: Next<T>): Promise<T>;
}

/** What is inside of a driver. Takes the call on, or another one made of it with `forkCall`. */
export type Next<T> = (call: Call) => Promise<T>;

/** A part of a stack. */
export type Policy = Gate | Driver;

/** Whether a value has what a gate or a driver needs. */
export function isPolicy(value: unknown): value is Policy {
  if (typeof value !== "object" || value === null || !("kind" in value)) return false;
  return ("enter" in value && "exit" in value) || "run" in value;
}
