// How long a call, or each attempt of it, may take.
import type { ComponentStats } from "@proj/concurrency/inspect";
import { checkDuration, describe } from "@proj/concurrency/options";
import type { Call } from "./call.ts";
import { runNext } from "./lone-frame.ts";
import type { Driver, Next } from "./policy.ts";

/** Gives each attempt its time, and learns from how they end: what `adaptive` makes, or one of your own. */
export interface TimeoutSource {
  /** Milliseconds for the attempt that begins now. */
  timeoutFor(call: Call): number;
  /** Told of the end of each attempt. Must not throw. */
  observe?(call: Call): void;
  /** For `inspect`. Must be cheap. */
  stats?(): ComponentStats;
}

/** A policy made by {@link timeout} or {@link attemptTimeout}. */
export interface TimeoutPolicy extends Driver {
  /** Decides its place in a stack. */
  readonly kind: "timeout" | "attempt-timeout";
}

/**
 * Limits the time of a call with all its attempts and the pauses between them; inside of a retry, that of each attempt.
 *
 * When the time is up the caller gets a {@link CallTimeoutError} at once, whether the task looks at its signal or not, and
 * what the task still comes to is dropped. Its context ends with the same error, so work that does look at it stops. The
 * time of the caller, if that is shorter, counts as well, and ends the call with the caller's own reason. The timer does
 * not keep the process alive: what the task waits for does.
 *
 * @throws TypeError or RangeError for what is neither a number of milliseconds nor a {@link TimeoutSource}
 * @example
 * ```ts
 * import { compose, timeout } from "@proj/resilience";
 *
 * const quick = compose(timeout(1_000));
 * console.log(await quick(async ({ remaining }) => remaining <= 1_000)); // prints: true
 * ```
 */
export function timeout(limit: number | TimeoutSource): TimeoutPolicy {
  return new TimeLimit("timeout", limit);
}

/**
 * As {@link timeout}, for each attempt by itself wherever it stands: an adaptive one, or one in a stack without a retry,
 * where only its name in messages differs.
 *
 * @throws TypeError or RangeError for what is neither a number of milliseconds nor a {@link TimeoutSource}
 * @example
 * ```ts
 * import { attemptTimeout, compose, retry, timeout } from "@proj/resilience";
 *
 * const users = compose(timeout(2_000), retry({ attempts: 3 }), attemptTimeout(500));
 * console.log(await users(({ remaining }) => remaining <= 500)); // prints: true
 * ```
 */
export function attemptTimeout(limit: number | TimeoutSource): TimeoutPolicy {
  return new TimeLimit("attempt-timeout", limit);
}

/** What a frame knows of a timeout. */
export class TimeLimit implements TimeoutPolicy {
  readonly kind: "timeout" | "attempt-timeout";
  /** `undefined` if there is a source. */
  readonly ms: number | undefined;
  readonly source: TimeoutSource | undefined;

  constructor(kind: "timeout" | "attempt-timeout", limit: number | TimeoutSource) {
    this.kind = kind;
    if (isSource(limit)) this.source = limit;
    else this.ms = checkDuration(`make a ${kind}`, "limit", limit);
  }

  timeoutFor(call: Call): number {
    return this.ms ?? (this.source as TimeoutSource).timeoutFor(call); // one of them is there
  }

  run<T>(call: Call, next: Next<T>): Promise<T> {
    return runNext({ each: this }, call, next);
  }

  stats(): ComponentStats {
    return this.source?.stats?.() ?? { timeoutMs: this.ms };
  }
}

function isSource(limit: unknown): limit is TimeoutSource {
  if (typeof limit === "number") return false;
  if (typeof limit === "object" && limit !== null && "timeoutFor" in limit) return true;
  throw new TypeError(
    `Cannot make a timeout: limit must be a number of milliseconds or a TimeoutSource, got ${describe(limit)}`,
  );
}
