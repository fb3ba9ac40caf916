// How the caller of whatever waits can end the wait.
import type { Context } from "./context.ts";

/** How a wait can be given up. */
export interface WaitOptions {
  /**
   * Ends the wait: it leaves the line in the same turn and rejects with the reason, untouched. A `Context` replaces the
   * current one; an `AbortSignal` counts in addition to it. Default: the current context.
   */
  readonly signal?: AbortSignal | Context | undefined;
}

/** How a wait can be given up, or ends by itself. */
export interface TimedWaitOptions extends WaitOptions {
  /** Milliseconds to wait at most, before a `TimeoutError`. Default: no limit. */
  readonly timeout?: number | undefined;
}
