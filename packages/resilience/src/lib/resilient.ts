// All policies in the order that fits nearly always.
import { type Breaker, breaker } from "./breaker.ts";
import type { BreakerOptions } from "./breaker-options.ts";
import { type Bulkhead, type BulkheadOptions, bulkhead } from "./bulkhead.ts";
import type { Policy } from "./policy.ts";
import { type RetryOptions, type RetryPolicy, retry } from "./retry.ts";
import { makeStack, type Resilient, type StackOptions } from "./stack.ts";
import { attemptTimeout, type TimeoutPolicy, type TimeoutSource, timeout } from "./timeout.ts";

/** The policies of a stack, each as it is or as its options. */
export interface ResilientOptions extends StackOptions {
  /** Milliseconds for a call with all its attempts. */
  readonly timeout?: number | TimeoutPolicy | undefined;
  /** Turn calls away, before anything is done for them. */
  readonly shed?: Policy | readonly Policy[] | undefined;
  /** Rate limits. */
  readonly rate?: Policy | readonly Policy[] | undefined;
  /** Repeats failed attempts. */
  readonly retry?: RetryOptions | RetryPolicy | undefined;
  readonly hedge?: Policy | undefined;
  readonly balance?: Policy | undefined;
  /** Keeps attempts from what is ill. */
  readonly breaker?: BreakerOptions | Breaker | undefined;
  /** So many attempts at a time. */
  readonly bulkhead?: BulkheadOptions | Bulkhead | undefined;
  /** Milliseconds for each attempt. */
  readonly attemptTimeout?: number | TimeoutSource | TimeoutPolicy | undefined;
  readonly chaos?: Policy | undefined;
}

/**
 * Makes a stack of policies from named slots. Their order is fixed, whatever the order of the keys: fallback > timeout >
 * shed > rate > retry > hedge > balance > breaker > bulkhead > attempt timeout > chaos > the task.
 *
 * @throws TypeError or RangeError for an option that is none
 * @example
 * ```ts
 * import { resilient } from "@proj/resilience";
 *
 * const users = resilient({ name: "users", timeout: 2_000, retry: { attempts: 3 }, breaker: {}, attemptTimeout: 500 });
 * console.log(await users(async ({ remaining }) => remaining <= 500, { idempotent: true })); // prints: true
 * ```
 */
export function resilient(options: ResilientOptions): Resilient {
  const policies: Policy[] = [];
  if (options.timeout !== undefined)
    policies.push(typeof options.timeout === "number" ? timeout(options.timeout) : options.timeout);
  policies.push(...listOf(options.shed), ...listOf(options.rate));
  if (options.retry !== undefined) policies.push("run" in options.retry ? options.retry : retry(options.retry));
  if (options.hedge !== undefined) policies.push(options.hedge);
  if (options.balance !== undefined) policies.push(options.balance);
  if (options.breaker !== undefined)
    policies.push("enter" in options.breaker ? options.breaker : breaker(options.breaker));
  if (options.bulkhead !== undefined)
    policies.push("kind" in options.bulkhead ? options.bulkhead : bulkhead(options.bulkhead));
  const each = options.attemptTimeout;
  if (each !== undefined) policies.push(typeof each === "object" && "run" in each ? each : attemptTimeout(each));
  if (options.chaos !== undefined) policies.push(options.chaos);
  return makeStack(policies, options);
}

function listOf(policies: Policy | readonly Policy[] | undefined): readonly Policy[] {
  if (policies === undefined) return [];
  return "kind" in policies ? [policies] : policies;
}
