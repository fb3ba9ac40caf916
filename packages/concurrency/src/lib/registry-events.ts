// Tells of what happens to named and nameless components, to whoever listens.
import { type Channel, channel } from "node:diagnostics_channel";
import type { SupervisorEvent } from "./service.ts";

/** The name of the `node:diagnostics_channel` on which refusals of rate limiters are told. */
export const refusalChannel = "proj:concurrency:refusal";

/** What is published on {@link refusalChannel}: somebody was not let in, or will not wait for its turn any longer. */
export interface RefusalEvent {
  /** What has happened. */
  readonly kind: "take-refused";
  /** The name of the limiter, else its algorithm. */
  readonly name: string;
  /** How it counts, as `"token-bucket"`. */
  readonly algorithm: string;
  /** Who was refused; `undefined` for a limiter without keys. */
  readonly key: unknown;
  /** How many units it asked for. */
  readonly cost: number;
  /** What the caller is told: milliseconds after which to try again; `Infinity` for never. */
  readonly retryAfterMs: number;
}

/** The name of the `node:diagnostics_channel` on which the events of supervisors are told. */
export const serviceChannel = "proj:concurrency:service";

/** What is published on {@link serviceChannel}: what the supervisor tells its `onEvent`, and which one it is. */
export type ServiceEvent = SupervisorEvent & {
  /** The name of the supervisor, else `"supervisor"`. */
  readonly supervisor: string;
};

/** Nothing is made for a channel to which nobody listens: ask `hasSubscribers` before making an event. */
export const refusalEvents: Channel = channel(refusalChannel);
export const serviceEvents: Channel = channel(serviceChannel);
