// What can be set on a supervisor, checked and with its defaults.
import { checkCount, checkDuration, describe } from "./check.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { SupervisorEvent } from "./service.ts";
import type { ProcessPort } from "./shutdown-signals.ts";

/** What can be set on a `Supervisor`. */
export interface SupervisorOptions<Name extends string = string> {
  /** What is started again after a crash: the service that crashed, or all of them. Default: `"one-for-one"`. */
  readonly strategy?: "one-for-one" | "one-for-all" | undefined;
  /** More restarts than this within `period` milliseconds, and the supervisor gives up. Default: 5 in 60,000 ms. */
  readonly intensity?: { readonly restarts: number; readonly period: number } | undefined;
  /**
   * How many milliseconds to wait before the restart with this number, 1 for the first crash after a quiet period.
   * Default: 100 ms, doubled each time, at most 30,000 ms.
   */
  readonly backoff?: ((attempt: number) => number) | undefined;
  /** Milliseconds that a service has to become ready. Default: 60,000. */
  readonly startTimeout?: number | undefined;
  /** Milliseconds that all of them together have to stop. Default: 10,000. */
  readonly stopTimeout?: number | undefined;
  /** Milliseconds that a `health` has to answer. Default: 1,000. */
  readonly healthTimeout?: number | undefined;
  /** What `run` listens to. Default: SIGTERM and SIGINT. */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
  /** Where signals come from, and what a second one ends. Default: this process. */
  readonly process?: ProcessPort | undefined;
  /** Called for all that happens. What it throws is an uncaught exception and changes nothing here. */
  readonly onEvent?: ((event: SupervisorEvent<Name>) => void) | undefined;
  /** With a name it is listed by `components()`. Default: none. */
  readonly name?: string | undefined;
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
}

export interface Settings {
  readonly strategy: "one-for-one" | "one-for-all";
  readonly restarts: number;
  readonly period: number;
  readonly startTimeout: number;
  readonly stopTimeout: number;
  readonly healthTimeout: number;
  readonly clock: Clock;
  readonly backoff: (attempt: number) => number;
}

export function readSettings(options: SupervisorOptions<never>): Settings {
  const action = "create a Supervisor";
  const { strategy = "one-for-one", intensity = { restarts: 5, period: 60_000 }, clock = systemClock } = options;
  const { startTimeout = 60_000, stopTimeout = 10_000, healthTimeout = 1_000, backoff = doubling } = options;
  if (strategy !== "one-for-one" && strategy !== "one-for-all") {
    throw new TypeError(`Cannot ${action}: strategy must be "one-for-one" or "one-for-all", got ${describe(strategy)}`);
  }
  if (typeof backoff !== "function") {
    throw new TypeError(`Cannot ${action}: backoff must be a function, got ${describe(backoff)}`);
  }
  return {
    strategy,
    restarts: checkCount(action, "intensity.restarts", intensity.restarts, 0, true),
    period: checkDuration(action, "intensity.period", intensity.period),
    startTimeout: checkDuration(action, "startTimeout", startTimeout),
    stopTimeout: checkDuration(action, "stopTimeout", stopTimeout),
    healthTimeout: checkDuration(action, "healthTimeout", healthTimeout),
    clock,
    backoff,
  };
}

function doubling(attempt: number): number {
  return Math.min(30_000, 100 * 2 ** (attempt - 1));
}
