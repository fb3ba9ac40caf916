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

/** The name of the `node:diagnostics_channel` on which the resources of pools come and go. */
export const poolChannel = "proj:concurrency:pool";

/** What is published on {@link poolChannel}. `name` is that of the pool, else `"pool"`. */
export type PoolEvent =
  /** A resource was made, be it too late for `createTimeout`. */
  | {
      readonly kind: "resource-created";
      readonly name: string;
      /** How long `create` took. */
      readonly tookMs: number;
      /** How many resources live now. */
      readonly size: number;
    }
  /** `create` failed or took too long. */
  | {
      readonly kind: "create-failed";
      readonly name: string;
      /** What it failed with. */
      readonly error: unknown;
      /** How long it took. */
      readonly tookMs: number;
      /** How many times it has failed in a row. */
      readonly failures: number;
    }
  /** A resource was destroyed, or given up as `destroy` failed or took too long. */
  | {
      readonly kind: "resource-destroyed";
      readonly name: string;
      /** How many resources live now. */
      readonly size: number;
      /** What `destroy` failed with; `undefined` if it did not. */
      readonly error: unknown;
    };

/** Nothing is made for a channel to which nobody listens: ask `hasSubscribers` before making an event. */
export const refusalEvents: Channel = channel(refusalChannel);
export const serviceEvents: Channel = channel(serviceChannel);
export const poolEvents: Channel = channel(poolChannel);
