// As many calls in flight as a dependency can do, found out by how long they take.
import type { WaitOptions } from "@proj/concurrency";
import { type ComponentStats, register } from "@proj/concurrency/inspect";
import { GateLimit } from "./adaptive-limit-gate.ts";
import { type AdaptiveLimitOptions, completeLimitOptions } from "./adaptive-limit-options.ts";
import { QueueLimit } from "./adaptive-limit-queue.ts";
import type { Driver, Gate } from "./policy.ts";

/** What an adaptive limit tells about itself. */
export interface AdaptiveLimitStats extends ComponentStats {
  /** Calls that may be in flight. */
  readonly limit: number;
  /** Calls that are. */
  readonly inFlight: number;
  /** Calls that wait for a place. */
  readonly waiting: number;
  /** As {@link AdaptiveLimitPolicy.pressure}. */
  readonly pressure: number;
  /** The share of calls, those of the lowest priorities, that make place for the others: 0 to 1. */
  readonly shedding: number;
  /** Calls that were turned away so far. */
  readonly rejected: number;
}

/** What those upstream can read of an adaptive limit. */
export interface AdaptiveLimitPolicy {
  /** Decides its place in a stack. */
  readonly kind: "shed";
  /** How many calls may be in flight now. */
  readonly limit: number;
  /** How many are. */
  readonly inFlight: number;
  /** How many wait for a place. */
  readonly waiting: number;
  /** The share of places and of the queue that is taken, from 0 to 1: for those upstream who could send less. */
  readonly pressure: number;
  /**
   * Resolves when there is room for a call: at once, or for as many callers as places become free, in the order in which
   * they came. No place is kept: it goes to the next who waits if whoever was told does not make a call in the same turn
   * of the event loop.
   *
   * @throws the reason of the signal or context
   */
  whenReady(options?: WaitOptions): Promise<void>;
  /** What it does now. */
  stats(): AdaptiveLimitStats;
}

/** An {@link adaptiveLimit}: without a queue a gate, with one a driver. */
export type AdaptiveLimit = (Omit<Gate, "stats"> | Omit<Driver, "stats">) & AdaptiveLimitPolicy;

/** An adaptive limit has found another limit. */
export interface LimitEvent {
  /** Tells it from other events. */
  readonly kind: "limit-changed";
  /** Of the limit, else of the policies. */
  readonly name: string;
  /** How many calls may be in flight now. */
  readonly limit: number;
  /** How many were allowed until now. */
  readonly before: number;
}

/**
 * Makes a policy that finds out how many calls a dependency can do at a time, and lets no more in.
 *
 * **Limit**: it sinks when calls take longer than without load, or more than 5% of them time out or are sent away with a
 * `Retry-After`; it rises only while all of it is used. What a call takes without load is measured again and again, for
 * a moment with a quarter fewer calls: so the limit neither creeps up with a queue that stays, nor stays down when calls
 * have become slower for another reason. Answers in time count, other failures do not.
 *
 * **Priority**: when there is not enough room for all, calls of low priority are turned away first, and at the margin as
 * many, at random, as are too many. **Queue**: calls that may wait do so in order of arrival, highest priority first. If
 * the queue does not get empty any more, the newest are served first and those who have waited too long are turned away:
 * what is served is served in time. **Abort**: a call whose context ends leaves the queue in the same turn.
 *
 * Calls that are turned away reject with an `OverloadedError`: `"full"`, `"late"` or `"priority"`.
 *
 * It stands outside of retry and measures calls with their repetitions. After Netflix's concurrency-limits (Gradient2) and
 * failsafe-go's adaptive limiter.
 *
 * @throws TypeError or RangeError for an option that is none
 * @example
 * ```ts
 * import { adaptiveLimit, compose } from "@proj/resilience";
 *
 * const limit = adaptiveLimit({ initial: 2 });
 * const limited = compose(limit);
 * const done = Promise.withResolvers<void>();
 * const calls = [1, 2, 3].map(() => limited(() => done.promise).catch((error: { code: string }) => error.code));
 * console.log(limit.inFlight, limit.pressure, await calls[2]); // prints: 2 1 ERR_OVERLOADED
 * done.resolve();
 * await limit.whenReady();
 * ```
 */
export function adaptiveLimit(options: AdaptiveLimitOptions = {}): AdaptiveLimit {
  const settings = completeLimitOptions("make an adaptive limit", options);
  const limit = settings.queue > 0 ? new QueueLimit(settings) : new GateLimit(settings);
  if (settings.name !== undefined) register("adaptive-limit", settings.name, limit, (listed) => listed.stats());
  return limit;
}
