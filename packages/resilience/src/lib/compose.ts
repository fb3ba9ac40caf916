// Policies in an order of one's own.
import { describe } from "@proj/concurrency/options";
import type { Policy } from "./policy.ts";
import { makeStack, type Resilient, type StackOptions } from "./stack.ts";

/**
 * Puts policies around calls, the outermost first, so that it reads as nested calls do. {@link resilient} does the same in
 * an order that fits nearly always.
 *
 * @throws TypeError for what is no policy
 * @example
 * ```ts
 * import { compose, constant, retry, timeout } from "@proj/resilience";
 *
 * const users = compose({ name: "users", idempotent: true }, timeout(2_000), retry({ backoff: constant(1) }));
 * const name = await users(async (_context, { attempt }) => {
 *   if (attempt === 1) throw new Error("try again");
 *   return "Ada";
 * });
 * console.log(name); // prints: Ada
 * ```
 */
export function compose(...policies: readonly Policy[]): Resilient;
export function compose(options: StackOptions, ...policies: readonly Policy[]): Resilient;
export function compose(first?: StackOptions | Policy, ...rest: readonly Policy[]): Resilient {
  const hasOptions = first !== undefined && !isPolicy(first);
  const policies = first === undefined || hasOptions ? rest : [first as Policy, ...rest];
  for (const policy of policies) {
    if (!isPolicy(policy)) {
      throw new TypeError(`Cannot compose: policies must be gates or drivers, got ${describe(policy)}`);
    }
  }
  return makeStack(policies, hasOptions ? (first as StackOptions) : {});
}

export function isPolicy(value: unknown): value is Policy {
  if (typeof value !== "object" || value === null || !("kind" in value)) return false;
  return ("enter" in value && "exit" in value) || "run" in value;
}
