export { CancelledError } from "./lib/cancelled-error.ts";
export { type Clock, systemClock, type Timer } from "./lib/clock.ts";
export { Context, type DeriveOptions, type OwnedContext, type Task } from "./lib/context.ts";
export type { ExtractOptions, HeaderSource, HeaderTarget } from "./lib/context-headers.ts";
export { ContextKey, type ContextValue } from "./lib/context-key.ts";
export { TimeoutError } from "./lib/timeout-error.ts";
