// What the policies know of one call, and the task and its caller of the policies.
import type { Clock, Context, WaitOptions } from "@proj/concurrency";
import type { Endpoint } from "./endpoint.ts";

/** A unit of work under policies. The second argument tells which attempt this is, and on which endpoint. */
export type ResilientTask<T> = (context: Context, call: Call) => T | PromiseLike<T>;

/** What a caller says of one call. */
export interface CallOptions extends WaitOptions {
  /** Which of the keyed parts it meets: the breaker, limiter or place on a hash ring. Default: none. */
  readonly key?: string | undefined;
  /**
   * Whether the work can be done twice with the effect of once. Only then is it repeated after a failure that may have
   * come after its effect, or hedged. Default: that of the policies, which is `false`.
   */
  readonly idempotent?: boolean | undefined;
  /** Higher is shed later. Default: that of the context, else 0. */
  readonly priority?: number | undefined;
}

/**
 * How an attempt has ended, for retry, breaker, limits and balancer alike: `"ok"`, `"fail"`, `"timeout"`, or `"ignore"`
 * for what tells nothing of the health of the dependency, as the caller's own abort or a 404.
 */
export type OutcomeKind = "ok" | "fail" | "timeout" | "ignore";

/**
 * One call, or one attempt of it, on its way through the policies. The fields after `startedAt` mean something only
 * once it has ended, that is in `Gate.exit`.
 */
export interface Call {
  /** Of the policies, for messages and events. */
  readonly name: string;
  /** In which it runs: the task's signal, deadline and values. */
  readonly context: Context;
  /** As the caller gave it. */
  readonly key: string | undefined;
  /** Whether the work can be done twice with the effect of once. */
  readonly idempotent: boolean;
  /** Higher is shed later. */
  readonly priority: number;
  /** 1 for the first attempt, 2 for the first repetition or hedge. */
  readonly attempt: number;
  /** Measures it. */
  readonly clock: Clock;
  /** On `clock`, read once for all policies. */
  readonly startedAt: number;
  /** Where it runs. Set by a balancer as it enters. */
  endpoint: Endpoint | undefined;

  /** On `clock`, read once for all policies. */
  readonly endedAt: number;
  /** As the classifier saw it. */
  readonly outcome: OutcomeKind;
  /** Milliseconds for which the dependency asked to be left alone; `undefined` if it did not. */
  readonly retryAfterMs: number | undefined;
  /** Whether the work has certainly not begun, so that any call may be repeated. */
  readonly untouched: boolean;
  /** What it failed with; `undefined` if it did not. */
  readonly error: unknown;
  /** What it returned; `undefined` if it failed. */
  readonly value: unknown;
}
