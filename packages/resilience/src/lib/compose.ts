// Policies in an order of one's own.
import { describe } from "@proj/concurrency/options";
import type { FallbackPolicy } from "./fallback.ts";
import { checkOrder, type OrderTrap } from "./order.ts";
import { isPolicy, type Policy } from "./policy.ts";
import { makeStack, type Resilient, type StackOptions } from "./stack.ts";

/** What can be set on a stack made by {@link compose}. */
export interface ComposeOptions extends StackOptions {
  /** Traps to walk into with open eyes. Default: none. */
  readonly allow?: readonly OrderTrap[] | undefined;
}

/** What the fallbacks among the policies may answer with. */
export type AnswerOf<P> = P extends FallbackPolicy<infer V> ? V : never;

/**
 * Puts policies around calls, the outermost first, so that it reads as nested calls do. {@link resilient} does the same in
 * an order that nearly always fits. Orders that are known to do something else than what they look like are refused when
 * the stack is made: see {@link OrderTrap}.
 *
 * @throws TypeError for what is no policy, and for an order that is a trap
 * @example
 * ```ts
 * import { breaker, compose, constant, retry, timeout } from "@proj/resilience";
 *
 * const users = compose({ name: "users", idempotent: true }, timeout(2_000), retry({ backoff: constant(1) }), breaker());
 * const name = await users(async (_context, { attempt }) => {
 *   if (attempt === 1) throw new Error("try again");
 *   return "Ada";
 * });
 * console.log(name); // prints: Ada
 *
 * try {
 *   compose(breaker(), retry());
 * } catch (error) {
 *   console.log((error as Error).message.slice(0, 53)); // prints: Cannot compose: a breaker outside of a retry or hedge
 * }
 * ```
 */
export function compose<const P extends readonly Policy[]>(...policies: P): Resilient<AnswerOf<P[number]>>;
export function compose<const P extends readonly Policy[]>(
  options: ComposeOptions,
  ...policies: P
): Resilient<AnswerOf<P[number]>>;
export function compose(first: ComposeOptions | Policy = {}, ...rest: readonly Policy[]): Resilient<unknown> {
  const options = isPolicy(first) ? {} : (first as ComposeOptions); // what is neither is found below
  const policies = isPolicy(first) ? [first, ...rest] : rest;
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot compose: options must be an object, got ${describe(options)}`);
  }
  for (const policy of policies) {
    if (!isPolicy(policy)) {
      throw new TypeError(`Cannot compose: policies must be gates or drivers, got ${describe(policy)}`);
    }
  }
  checkOrder("compose", policies, options.allow);
  return makeStack(policies, options);
}
