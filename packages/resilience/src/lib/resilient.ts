// All policies in the order that nearly always fits.
import { describe } from "@proj/concurrency/options";
import { type Breaker, breaker } from "./breaker.ts";
import type { BreakerOptions } from "./breaker-options.ts";
import { type RetryBudget, type RetryBudgetOptions, retryBudget } from "./budget.ts";
import { type Bulkhead, type BulkheadOptions, bulkhead } from "./bulkhead.ts";
import { type FallbackValue, fallback } from "./fallback.ts";
import type { FallbackLevel } from "./fallback-levels.ts";
import { type HedgeOptions, type HedgePolicy, hedge } from "./hedge.ts";
import { checkOrder } from "./order.ts";
import { type PhaseLimits, type PhasePolicy, phases } from "./phases.ts";
import { isPolicy, type Policy } from "./policy.ts";
import { type RateLimiterPort, rateLimit } from "./rate-limit.ts";
import { type RetryOptions, type RetryPolicy, retry } from "./retry.ts";
import { makeStack, type Resilient, type StackOptions } from "./stack.ts";
import { attemptTimeout, type TimeoutPolicy, type TimeoutSource, timeout } from "./timeout.ts";

/** The policies of a stack, each made already or as its options. */
export interface ResilientOptions<Levels extends readonly FallbackLevel<unknown>[] = readonly FallbackLevel<never>[]>
  extends StackOptions {
  /** What to answer when all else has failed: the levels, in order. */
  readonly fallback?: Levels | undefined;
  /** Milliseconds for a call with all its attempts and pauses. */
  readonly timeout?: number | TimeoutPolicy | undefined;
  /** Turns calls away before anything is done for them: `adaptiveLimit()`, `shedWhen()`, `clientThrottle()`, … */
  readonly shed?: Policy | readonly Policy[] | undefined;
  /** So many calls in so much time. */
  readonly rate?:
    | RateLimiterPort<string>
    | RateLimiterPort<string | undefined>
    | Policy
    | readonly Policy[]
    | undefined;
  /** What retry, hedge and failover are paid from, unless they are given one of their own. */
  readonly budget?: RetryBudget | RetryBudgetOptions | undefined;
  /** Repeats failed attempts. */
  readonly retry?: RetryOptions | RetryPolicy | undefined;
  /** Starts another attempt beside one that takes long. */
  readonly hedge?: HedgeOptions | HedgePolicy | undefined;
  /** Sends each attempt to an endpoint; not to one whose circuit is open, nor to one that has failed the call already. */
  readonly balance?: Policy | undefined;
  /** Keeps attempts from what is ill: a circuit for each endpoint, else for each key. */
  readonly breaker?: BreakerOptions | Breaker | undefined;
  /** So many attempts at a time. */
  readonly bulkhead?: BulkheadOptions | Bulkhead | undefined;
  /** Milliseconds for each attempt, or `adaptive()`. */
  readonly attemptTimeout?: number | TimeoutSource | TimeoutPolicy | undefined;
  /** Milliseconds for each phase of an attempt. */
  readonly phases?: PhaseLimits | PhasePolicy | undefined;
  /** Faults to inject. */
  readonly chaos?: Policy | undefined;
}

/**
 * Makes a stack of policies from named slots. The order is fixed, whatever the order of the keys, the outermost first:
 * fallback, timeout, shed, rate, retry, hedge, balance, breaker, bulkhead, attempt timeout, phases, chaos, the task. A slot
 * that is left out costs nothing.
 *
 * @throws TypeError or RangeError for an option that is none, and if `attemptTimeout` is not shorter than `timeout`
 * @example
 * ```ts
 * import { exponential, resilient, value } from "@proj/resilience";
 *
 * const users = resilient({
 *   name: "users",
 *   fallback: [value("nobody")],
 *   timeout: 2_000,
 *   retry: { attempts: 3, backoff: exponential({ base: 1 }) },
 *   breaker: { failureRate: 0.5 },
 *   attemptTimeout: 500,
 * });
 * const load = users.wrap(async (id: number) => (id === 7 ? "Ada" : Promise.reject(new Error("down"))));
 * console.log(await load(7), await load(8)); // prints: Ada nobody
 * ```
 */
export function resilient<const Levels extends readonly FallbackLevel<unknown>[] = readonly []>(
  options: ResilientOptions<Levels>,
): Resilient<FallbackValue<Levels>> {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot make a stack: options must be an object, got ${describe(options)}`);
  }
  const budget = made(options.budget, isBudget, retryBudget);
  const circuit = made(options.breaker, isPolicy as (value: unknown) => value is Breaker, breaker);
  const policies: readonly (Policy | undefined)[] = [
    options.fallback === undefined ? undefined : fallback(...options.fallback),
    made(options.timeout, isPolicy, timeout),
    ...listOf("shed", options.shed),
    ...listOf("rate", isLimiter(options.rate) ? rateLimit(options.rate) : options.rate),
    made(options.retry, isPolicy, (own: RetryOptions) => retry({ budget, ...own })),
    made(options.hedge, isPolicy, (own: HedgeOptions) => hedge({ budget, breaker: circuit, ...own })),
    ...listOf("balance", options.balance),
    circuit,
    made(options.bulkhead, isPolicy, bulkhead),
    made(options.attemptTimeout, isPolicy, attemptTimeout),
    made(options.phases, isPolicy, phases),
    ...listOf("chaos", options.chaos),
  ];
  const present = policies.filter((policy) => policy !== undefined);
  checkOrder("make a stack", present);
  return makeStack(present, options);
}

/** What is in a slot: nothing, a policy, or the options of one. */
function made<P, O>(
  slot: P | O | undefined,
  isMade: (value: unknown) => boolean,
  make: (options: O) => P,
): P | undefined {
  if (slot === undefined) return undefined;
  return isMade(slot) ? (slot as P) : make(slot as O); // it is one of the two
}

function listOf(slot: string, given: Policy | readonly Policy[] | undefined): readonly Policy[] {
  if (given === undefined) return [];
  const policies = isPolicy(given) ? [given] : given;
  if (isPolicies(policies)) return policies;
  throw new TypeError(`Cannot make a stack: ${slot} must be a policy, got ${describe(given)}`);
}

function isPolicies(value: unknown): value is Policy | readonly Policy[] {
  return isPolicy(value) || (Array.isArray(value) && value.every(isPolicy));
}

function isLimiter(value: ResilientOptions["rate"]): value is RateLimiterPort<string> {
  return typeof value === "object" && "tryTake" in value;
}

function isBudget(value: unknown): value is RetryBudget {
  return typeof value === "object" && value !== null && "tryWithdraw" in value;
}
