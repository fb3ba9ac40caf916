// What breakers tell to whoever listens.
import type { CallCounts } from "./breaker-window.ts";

/**
 * Why a circuit has opened: a rate or a run of failures, its probes (`"probes"`), what other processes say (`"hint"`), or
 * `force`.
 */
export type OpenReason = "failure-rate" | "timeout-rate" | "slow-rate" | "consecutive" | "probes" | "hint" | "forced";

/** A circuit opened. */
export interface BreakerOpenedEvent {
  /** Tells it from other events. */
  readonly kind: "breaker-opened";
  /** Of the breaker. */
  readonly name: string;
  /** Of the endpoint or as the caller gave it; `undefined` if the breaker has one circuit for all, or was forced whole. */
  readonly key: string | undefined;
  /** Why. */
  readonly reason: OpenReason;
  /** Of the window that ends with it; of the probes if they were the reason. */
  readonly counts: CallCounts;
  /** Milliseconds until it lets probes through. `Infinity` if it was forced. */
  readonly openMs: number;
}

/** An open circuit begins to let probes through. */
export interface BreakerHalfOpenedEvent {
  /** Tells it from other events. */
  readonly kind: "breaker-half-opened";
  /** Of the breaker. */
  readonly name: string;
  /** Of the endpoint or as the caller gave it; `undefined` if the breaker has one circuit for all. */
  readonly key: string | undefined;
  /** There is only one. */
  readonly reason: "time";
}

/** A circuit closed. */
export interface BreakerClosedEvent {
  /** Tells it from other events. */
  readonly kind: "breaker-closed";
  /** Of the breaker. */
  readonly name: string;
  /** Of the endpoint or as the caller gave it; `undefined` if the breaker has one circuit for all, or was forced whole. */
  readonly key: string | undefined;
  /** Its probes have succeeded, or somebody said so. */
  readonly reason: "probes" | "forced";
  /** Of the probes. */
  readonly counts: CallCounts;
}

/** What happens to a circuit. */
export type BreakerEvent = BreakerOpenedEvent | BreakerHalfOpenedEvent | BreakerClosedEvent;
