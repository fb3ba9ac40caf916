export {
  type AdaptiveLimit,
  type AdaptiveLimitPolicy,
  type AdaptiveLimitStats,
  adaptiveLimit,
  type LimitEvent,
} from "./lib/adaptive-limit.ts";
export type { AdaptiveLimitOptions } from "./lib/adaptive-limit-options.ts";
export { type AdaptiveTimeout, type AdaptiveTimeoutOptions, adaptive } from "./lib/adaptive-timeout.ts";
export { attemptErrors } from "./lib/attempt-errors.ts";
export { type AttemptHeaders, attemptHeader, extractAttempt, injectAttempt } from "./lib/attempt-header.ts";
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
export { balance } from "./lib/balance.ts";
export type { EjectionOptions, EjectionReason } from "./lib/balance-ejection.ts";
export type { EndpointSet, EndpointSource } from "./lib/balance-endpoints.ts";
export type { BalanceEvent, DiscoveryEvent } from "./lib/balance-events.ts";
export type { HealthCheckOptions } from "./lib/balance-health.ts";
export { leastRequests } from "./lib/balance-least-requests.ts";
export type { BalanceOptions } from "./lib/balance-options.ts";
export { type P2cEwmaOptions, p2cEwma } from "./lib/balance-p2c-ewma.ts";
export { type RingOptions, ring } from "./lib/balance-ring.ts";
export { roundRobin } from "./lib/balance-round-robin.ts";
export type { BalancerStats, EndpointStats } from "./lib/balance-stats.ts";
export type { AcceptEndpoint, BalanceStrategy, Candidate, Candidates, Picker } from "./lib/balance-strategy.ts";
export { weighted } from "./lib/balance-weighted.ts";
export type { Balancer } from "./lib/balancer.ts";
export { type Breaker, breaker } from "./lib/breaker.ts";
export type {
  BreakerClosedEvent,
  BreakerEvent,
  BreakerHalfOpenedEvent,
  BreakerOpenedEvent,
  OpenReason,
} from "./lib/breaker-events.ts";
export type { ForcedState } from "./lib/breaker-forced.ts";
export type { BreakerHints } from "./lib/breaker-hints.ts";
export type { BreakerOptions, HalfOpenOptions } from "./lib/breaker-options.ts";
export type { BreakerSnapshot, CircuitSnapshot, ForcedSnapshot } from "./lib/breaker-snapshot.ts";
export type { CallCounts } from "./lib/breaker-window.ts";
export {
  type RetryBudget,
  type RetryBudgetOptions,
  type RetryBudgetStats,
  repeatedAbove,
  retryBudget,
  sharedBudget,
} from "./lib/budget.ts";
export { type Bulkhead, type BulkheadOptions, type BulkheadStats, bulkhead } from "./lib/bulkhead.ts";
export type { Call, CallOptions, OutcomeKind, ResilientTask } from "./lib/call.ts";
export { CallTimeoutError } from "./lib/call-timeout-error.ts";
export type { BreakerState, CircuitMemory } from "./lib/circuit.ts";
export { CircuitOpenError } from "./lib/circuit-open-error.ts";
export { type Classification, type Classify, classify } from "./lib/classify.ts";
export {
  type ClientThrottle,
  type ClientThrottleOptions,
  type ClientThrottleStats,
  clientThrottle,
} from "./lib/client-throttle.ts";
export { type AnswerOf, type ComposeOptions, compose } from "./lib/compose.ts";
export type { Endpoint } from "./lib/endpoint.ts";
export { type ResilienceEvent, resilienceChannel } from "./lib/events.ts";
export { type FallbackEvent, type FallbackPolicy, type FallbackValue, fallback } from "./lib/fallback.ts";
export {
  type CachedOptions,
  cached,
  type FallbackAnswer,
  type FallbackLevel,
  type FallbackLevelOptions,
  failFast,
  failover,
  type ServiceOptions,
  service,
  value,
} from "./lib/fallback-levels.ts";
export { type HedgeEvent, type HedgeOptions, type HedgePolicy, hedge } from "./lib/hedge.ts";
export { HedgeLostError } from "./lib/hedge-lost-error.ts";
export { type IdempotencyGuard, idempotencyGuard } from "./lib/idempotency.ts";
export type { IdempotencyCodec, IdempotentOutcome } from "./lib/idempotency-codec.ts";
export {
  IdempotencyConflictError,
  IdempotencyCrashedError,
  IdempotencyLostError,
  IdempotencyMismatchError,
} from "./lib/idempotency-errors.ts";
export type { IdempotencyEvent } from "./lib/idempotency-events.ts";
export {
  type MemoryIdempotency,
  type MemoryIdempotencyOptions,
  memoryIdempotency,
} from "./lib/idempotency-memory.ts";
export type {
  IdempotencyGuardOptions,
  IdempotentCallOptions,
  IdempotentRun,
  IdempotentTask,
  Reconcile,
  Reconciliation,
} from "./lib/idempotency-options.ts";
export type { Awaitable, IdempotencyClaim, IdempotencyState, IdempotencyStore } from "./lib/idempotency-store.ts";
export { type LoadMeter, type LoadReading, systemLoadMeter } from "./lib/load-meter.ts";
export { type NoEndpointDetails, NoEndpointError } from "./lib/no-endpoint-error.ts";
export type { OrderTrap } from "./lib/order.ts";
export { OverloadedError, type OverloadReason } from "./lib/overloaded-error.ts";
export { beginPhase, type PhaseLimits, type PhasePolicy, phases } from "./lib/phases.ts";
export type { Driver, Gate, Next, Policy, PolicyBase, PolicyKind } from "./lib/policy.ts";
export {
  callPriority,
  extractPriority,
  injectPriority,
  type PriorityHeaders,
  priorityHeader,
} from "./lib/priority.ts";
export { type Quantile, type QuantileOptions, quantile } from "./lib/quantile.ts";
export {
  type RateLimiterPort,
  type RateLimitOptions,
  type RateLimitPolicy,
  type RateLimitStats,
  rateLimit,
} from "./lib/rate-limit.ts";
export { type ResilientOptions, resilient } from "./lib/resilient.ts";
export { type RetryEvent, type RetryOptions, type RetryPolicy, type RetryStop, retry } from "./lib/retry.ts";
export { type LoadShedder, type ShedWhenOptions, type ShedWhenStats, shedWhen } from "./lib/shed-when.ts";
export type { Resilient, StackOptions } from "./lib/stack.ts";
export { attemptTimeout, type TimeoutPolicy, type TimeoutSource, timeout } from "./lib/timeout.ts";
export { type HttpProblem, toHttp } from "./lib/to-http.ts";
