// What can be set on a PQueue, and on its tasks.
import type { Clock } from "./clock.ts";
import type { Context } from "./context.ts";

/** How many tasks a `PQueue` runs, and how fast. */
export interface PQueueOptions {
  /** How many tasks may run at a time. Default: `Infinity`. */
  readonly concurrency?: number | undefined;
  /** Whether tasks start before `start` is called. Default: `true`. */
  readonly autoStart?: boolean | undefined;
  /** How many tasks may start in an interval. Default: `Infinity`. */
  readonly intervalCap?: number | undefined;
  /** Milliseconds of an interval, which begins with the first start after a rest. Default: 0, no limit. */
  readonly interval?: number | undefined;
  /** Milliseconds that a task may take, from its start, before a `TimeoutError`. Default: no limit. */
  readonly timeout?: number | undefined;
  /** Measures `interval` and `timeout`. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** How one task stands in the line. */
export interface PQueueAddOptions {
  /** Higher goes first; equal ones in order of arrival. Default: 0. */
  readonly priority?: number | undefined;
  /** Takes the task out of the line or, once it runs, gives its place free, and rejects with the reason. */
  readonly signal?: AbortSignal | Context | undefined;
  /** Instead of the queue's. */
  readonly timeout?: number | undefined;
}

/** A task of a `PQueue`. Its `signal` aborts with its time or with the one given to `add`. */
export type PQueueTask<T> = (options: { readonly signal: AbortSignal }) => T | PromiseLike<T>;
