export {
  type Backoff,
  type ConstantOptions,
  constant,
  type DecorrelatedOptions,
  decorrelated,
  type ExponentialOptions,
  exponential,
  type Jitter,
  type LinearOptions,
  linear,
  type PlainBackoff,
} from "./lib/backoff.ts";
export {
  type RetryBudget,
  type RetryBudgetOptions,
  type RetryBudgetStats,
  repeatedAbove,
  retryBudget,
  sharedBudget,
} from "./lib/budget.ts";
export type { Call, CallOptions, OutcomeKind, ResilientTask } from "./lib/call.ts";
export type { Endpoint } from "./lib/endpoint.ts";
export { type ResilienceEvent, resilienceChannel } from "./lib/events.ts";
export type { Driver, Gate, Next, Policy, PolicyKind } from "./lib/policy.ts";
