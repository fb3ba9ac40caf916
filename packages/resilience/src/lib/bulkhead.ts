// So many calls at a time, so that one slow dependency does not take all of the process with it.
import type { ComponentStats } from "@proj/concurrency/inspect";
import { checkCount, checkDuration, describe } from "@proj/concurrency/options";
import { KeyedGateBulkhead, SimpleGateBulkhead } from "./bulkhead-gate.ts";
import { QueueBulkhead } from "./bulkhead-queue.ts";
import { checkObject } from "./check-object.ts";
import type { Driver, Gate } from "./policy.ts";

/** What can be set on a {@link bulkhead}. */
export interface BulkheadOptions {
  /** Calls that may run at a time. */
  readonly max: number;
  /** Calls that may wait for a place. Default: 0, which rejects at once and costs least. */
  readonly queue?: number | undefined;
  /** Milliseconds to wait for a place at most. Default: as long as the context of the call allows. */
  readonly timeout?: number | undefined;
  /** Whether each endpoint, or without a balancer each key, has places and a queue of its own. Default: `false`. */
  readonly perKey?: boolean | undefined;
  /** In messages and events. Default: that of the policies. */
  readonly name?: string | undefined;
  /** Whether its rejections have a stack, which makes them slow. Default: `false`. */
  readonly stack?: boolean | undefined;
}

/** What a {@link bulkhead} tells about itself, all keys together. */
export interface BulkheadStats extends ComponentStats {
  /** Calls that may run at a time. */
  readonly max: number;
  /** Calls that run. */
  readonly running: number;
  /** Calls that wait for a place. */
  readonly waiting: number;
  /** Calls that were turned away so far. */
  readonly rejected: number;
}

/** A {@link bulkhead}: without a queue a gate, with one a driver. */
export type Bulkhead = (Omit<Gate, "stats"> | Omit<Driver, "stats">) & {
  /** Decides its place in a stack. */
  readonly kind: "bulkhead";
  /** What it does now. */
  stats(): BulkheadStats;
};

/**
 * Makes a policy that lets at most `max` calls run at a time. One more waits in the queue, or is rejected if that is full.
 *
 * **Order**: by the priority of the calls, then by arrival. **Abort**: a call whose context ends leaves the queue in the
 * same turn and rejects with that reason, untouched. **Context**: however long it has waited, a call goes on in the
 * `AsyncLocalStorage` frames of its own caller.
 *
 * Calls that are turned away reject with an `OverloadedError`: its reason is `"full"`, or `"late"` after `timeout`, and its
 * `retryAfterMs` is how long calls took of late. The queue is no place for nested calls: one that runs and makes another
 * one through the same bulkhead waits for a place while it holds one.
 *
 * @throws TypeError or RangeError for an option that is none
 * @example
 * ```ts
 * import { bulkhead, compose } from "@proj/resilience";
 *
 * const two = compose(bulkhead({ max: 1, queue: 1 }));
 * const done = Promise.withResolvers<string>();
 * const calls = [two(() => done.promise), two(() => "waited"), two(() => "one too many")];
 * done.resolve("ran");
 * for (const result of await Promise.allSettled(calls)) {
 *   console.log(result.status === "fulfilled" ? result.value : result.reason.reason);
 * }
 * // prints: ran
 * // prints: waited
 * // prints: full
 * ```
 */
export function bulkhead(options: BulkheadOptions): Bulkhead {
  const action = "make a bulkhead";
  const { max, queue = 0, timeout, perKey = false, name, stack = false } = checkObject(action, "options", options);
  checkCount(action, "max", max, 1, true);
  checkCount(action, "queue", queue, 0, true);
  if (timeout !== undefined) checkDuration(action, "timeout", timeout);
  if (typeof perKey !== "boolean") {
    throw new TypeError(`Cannot ${action}: perKey must be a boolean, got ${describe(perKey)}`);
  }
  if (queue > 0) return new QueueBulkhead({ max, queue, timeout, perKey, name, stack });
  return perKey ? new KeyedGateBulkhead(max, name, stack) : new SimpleGateBulkhead(max, name, stack);
}
