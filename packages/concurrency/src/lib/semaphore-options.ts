// What can be said to a semaphore.
import type { Clock } from "./clock.ts";
import type { Reentry } from "./reentry.ts";
import type { WaitOptions } from "./wait-options.ts";

/** What can be set on a `Semaphore`. */
export interface SemaphoreOptions {
  /** Used in error messages and warnings; with a name it is listed by `components()`. Default: `"semaphore"`. */
  readonly name?: string | undefined;
  /** How many callers may wait; one more is rejected with a `QueueFullError`. Default: `Infinity`. */
  readonly maxQueue?: number | undefined;
  /**
   * What happens when a task within `run` needs permits that only come back when tasks that wait themselves go on, as
   * when a task with the only permit waits for another: a warning once per semaphore, a `ReentryError` for the caller,
   * or nothing. Default: `"warn"`, and `"ignore"` if `NODE_ENV` is `"production"`, where the bookkeeping is saved.
   */
  readonly reentry?: Reentry | undefined;
  /** Measures `timeout`. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** What to take with `Semaphore.tryAcquire`. */
export interface TryAcquireOptions {
  /** How many permits to take, all at once. Default: 1. */
  readonly weight?: number | undefined;
}

/** What to take, and how to wait for it. */
export interface AcquireOptions extends TryAcquireOptions, WaitOptions {
  /** Higher goes first; equal ones in order of arrival. Default: 0. */
  readonly priority?: number | undefined;
  /** Milliseconds to wait at most, before a `TimeoutError`; 0 to reject at once. Default: no limit. */
  readonly timeout?: number | undefined;
}
