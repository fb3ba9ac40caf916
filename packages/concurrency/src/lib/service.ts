// What a supervisor looks after, and what it tells about it.
import type { Context } from "./context.ts";

/** Something that lives as long as the process, or nearly: a server, a consumer, a pool of connections. */
export interface Service<Name extends string = string> {
  /** Services that have to be running first, and are stopped later. */
  readonly dependsOn?: readonly Name[] | undefined;
  /**
   * Resolves when the service is ready. The context lives until the service has been stopped, and is the current one. A
   * start that fails has to clean up after itself.
   */
  start(context: Context, control: ServiceControl): unknown;
  /**
   * Finishes what is in work and lets go of everything; resolves when that is done. The context ends with the time that
   * there is for it. Also called to clean up after a crash.
   */
  stop?(context: Context): unknown;
  /** Whether the service does its work well: throws if not. What it returns becomes the `detail` of the report. */
  health?(context: Context): unknown;
}

/** A running service's line to its supervisor. */
export interface ServiceControl {
  /** Says that the service has failed and has to be started again. Does nothing once it has stopped. */
  fail(error: unknown): void;
}

/** `"waiting"`: crashed, and to be started again after a while. `"failed"`: did not start, and will not be tried again. */
export type ServiceState = "idle" | "starting" | "running" | "waiting" | "stopping" | "stopped" | "failed";

/** `"unknown"`: not running, or it has no `health`. */
export type Health =
  | { readonly status: "healthy"; readonly detail: unknown }
  | { readonly status: "unhealthy"; readonly error: unknown }
  | { readonly status: "unknown" };

/** How one service is doing. */
export interface ServiceReport<Name extends string = string> {
  /** Its key among the services. */
  readonly name: Name;
  /** What it is doing now. */
  readonly state: ServiceState;
  /** Since when, in milliseconds since the Unix epoch. */
  readonly since: number;
  /** How often it was started again. */
  readonly restarts: number;
  /** What its last crash, or the last failure to start or stop, was; `undefined` without any. */
  readonly lastError: unknown;
  /** What its `health` says. */
  readonly health: Health;
}

/** How all services are doing. */
export interface SupervisorReport<Name extends string = string> {
  /** Whether every service is running. */
  readonly ready: boolean;
  /** In the order in which they start. */
  readonly services: readonly ServiceReport<Name>[];
}

/** What a supervisor tells its `onEvent`. */
export type SupervisorEvent<Name extends string = string> =
  | { readonly kind: "service-changed"; readonly name: Name; readonly state: ServiceState }
  | { readonly kind: "service-crashed"; readonly name: Name; readonly error: unknown }
  | { readonly kind: "restart-scheduled"; readonly name: Name; readonly delayMs: number }
  | { readonly kind: "signal-received"; readonly signal: NodeJS.Signals };
