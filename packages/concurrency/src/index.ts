export { CancelledError } from "./lib/cancelled-error.ts";
export {
  type Channel,
  type ChannelOptions,
  channel,
  type Overflow,
  type Received,
  type WaitOptions,
} from "./lib/channel.ts";
export { ChannelClosedError, ChannelFullError } from "./lib/channel-errors.ts";
export { type Clock, systemClock, type Timer } from "./lib/clock.ts";
export { ClosedError } from "./lib/closed-error.ts";
export { Context, type OwnedContext, type Task } from "./lib/context.ts";
export type { ExtractOptions, HeaderSource, HeaderTarget } from "./lib/context-headers.ts";
export { ContextKey, type ContextValue } from "./lib/context-key.ts";
export type { DeriveOptions } from "./lib/derive.ts";
export { type Limit, limit, type MapOptions } from "./lib/limit.ts";
export { QueueFullError } from "./lib/queue-full-error.ts";
export { type Reentry, ReentryError } from "./lib/reentry.ts";
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
export {
  type AcquireOptions,
  type Permit,
  Semaphore,
  type SemaphoreOptions,
  type TryAcquireOptions,
} from "./lib/semaphore.ts";
export { TimeoutError } from "./lib/timeout-error.ts";
