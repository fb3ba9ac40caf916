// What can be set on a balancer.
import type { Clock } from "@proj/concurrency";
import type { EjectionOptions } from "./balance-ejection.ts";
import type { HealthCheckOptions } from "./balance-health.ts";

/** What can be set on a balancer. */
export interface BalanceOptions {
  /** Used in messages and events; with a name it is listed by `components()`. Default: `"balancer"`. */
  readonly name?: string | undefined;
  /**
   * Milliseconds over which an endpoint that comes to others, or comes back, gets its full share: a tenth at first, then
   * more by the time that has passed. 0 for all at once. Default: 10,000.
   */
  readonly slowStart?: number | undefined;
  /** Takes endpoints that fail out of use for a while, by the outcomes of the calls. `false` for never. Default: as said there. */
  readonly ejection?: EjectionOptions | false | undefined;
  /** Asks each endpoint regularly how it is. Default: never. */
  readonly healthCheck?: HealthCheckOptions | undefined;
  /** When less than this share of the endpoints is healthy, all are used: the few that are left would not survive. Default: 0.3. */
  readonly panic?: number | undefined;
  /** Whether a `NoEndpointError` has a stack. Default: `false`. */
  readonly stack?: boolean | undefined;
  /** The same as that of the calls. Default: that of the current context. */
  readonly clock?: Clock | undefined;
  /** From 0 to 1, without 1. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}
