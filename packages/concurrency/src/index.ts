export { abortable } from "./lib/abortable.ts";
export { type BackgroundOptions, background } from "./lib/background.ts";
export { Barrier } from "./lib/barrier.ts";
export { BarrierBrokenError } from "./lib/barrier-broken-error.ts";
export { type AdaptiveBatching, type Batcher, type BatcherOptions, batcher, type LoadBatch } from "./lib/batcher.ts";
export { CancelledError } from "./lib/cancelled-error.ts";
export {
  type Channel,
  type ChannelOptions,
  channel,
  type Overflow,
  type Received,
} from "./lib/channel.ts";
export { ChannelFullError } from "./lib/channel-full-error.ts";
export { type Clock, systemClock, type Timer } from "./lib/clock.ts";
export { ClosedError } from "./lib/closed-error.ts";
export { Condition } from "./lib/condition.ts";
export { Context, type OwnedContext, type Task } from "./lib/context.ts";
export type { ExtractOptions, HeaderSource, HeaderTarget } from "./lib/context-headers.ts";
export { ContextKey, type ContextValue } from "./lib/context-key.ts";
export type { DeriveOptions } from "./lib/derive.ts";
export { Event } from "./lib/event.ts";
export { type FixedWindowOptions, fixedWindow } from "./lib/fixed-window.ts";
export { Keyed, type KeyedOptions, type Lockable } from "./lib/keyed.ts";
export { Latch } from "./lib/latch.ts";
export { type LeakyBucketOptions, leakyBucket } from "./lib/leaky-bucket.ts";
export { type Limit, limit } from "./lib/limit.ts";
export { type LockOptions, Mutex, type MutexOptions } from "./lib/mutex.ts";
export type { Permit } from "./lib/permit.ts";
export {
  merge,
  type Pipe,
  type PipeBatchOptions,
  type PipeMapOptions,
  type PipeTeeOptions,
  pipe,
  type Source,
  type Step,
} from "./lib/pipe.ts";
export {
  type Pool,
  type PoolAcquireOptions,
  type PoolLease,
  type PoolOptions,
  type PoolStats,
  pool,
} from "./lib/pool.ts";
export { QueueFullError } from "./lib/queue-full-error.ts";
export { RateLimitedError } from "./lib/rate-limited-error.ts";
export type { RateLimitDecision, RateLimiter, TakeOptions } from "./lib/rate-limiter.ts";
export { all, byKey } from "./lib/rate-limiter-all.ts";
export { type RateLimitHeadersOptions, rateLimitHeaders } from "./lib/rate-limiter-headers.ts";
export type { MeteredLimiterOptions } from "./lib/rate-limiter-metered.ts";
export { type Reentry, ReentryError } from "./lib/reentry.ts";
export { RwLock, type RwLockOptions, type RwLockWaitOptions } from "./lib/rw-lock.ts";
export { LockUpgradeError } from "./lib/rw-lock-upgrade-error.ts";
export { scope } from "./lib/scope.ts";
export { suppressed } from "./lib/scope-failures.ts";
export {
  type AfterCase,
  after,
  type Outcome,
  type ReadyCase,
  type SelectCase,
  type Selected,
  type SelectOptions,
  type SendCase,
  select,
  sending,
  trySelect,
} from "./lib/select.ts";
export { Semaphore } from "./lib/semaphore.ts";
export type { AcquireOptions, SemaphoreOptions, TryAcquireOptions } from "./lib/semaphore-options.ts";
export type {
  Health,
  Service,
  ServiceControl,
  ServiceReport,
  ServiceState,
  SupervisorEvent,
  SupervisorReport,
} from "./lib/service.ts";
export type { ProcessPort } from "./lib/shutdown-signals.ts";
export { type Singleflight, singleflight } from "./lib/singleflight.ts";
export { type SleepOptions, sleep } from "./lib/sleep.ts";
export { type SlidingWindowOptions, slidingWindow } from "./lib/sliding-window.ts";
export { type RunOptions, Supervisor } from "./lib/supervisor.ts";
export { RestartLimitError, StopTimeoutError } from "./lib/supervisor-errors.ts";
export type { SupervisorOptions } from "./lib/supervisor-options.ts";
export { type Join, type Joined, type ScopeOptions, TaskScope } from "./lib/task-scope.ts";
export { TimeoutError } from "./lib/timeout-error.ts";
export { type TokenBucketOptions, type TokenBucketSpec, tokenBucket } from "./lib/token-bucket.ts";
export type { TimedWaitOptions, WaitOptions } from "./lib/wait-options.ts";
export type { SynchronizerOptions } from "./lib/waiting-room.ts";
