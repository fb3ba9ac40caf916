// What caches in tiers tell about themselves.
import { listening, tell } from "./events.ts";

/** Something happened in a cache in tiers. */
export type TieredEvent = TieredLoadEvent | TieredTierEvent | TieredBusEvent | TieredPayloadEvent | TieredFillEvent;

/** A load has ended. */
export interface TieredLoadEvent {
  readonly kind: "load-finished" | "load-failed";
  /** The name of the cache. */
  readonly cache: string | undefined;
  /** The first, where it was a batch. */
  readonly key: string;
  readonly keys: number;
  readonly durationMs: number;
  readonly error: unknown;
}

/** A tier did not do what it was asked to, is left alone from now on, or is back. */
export interface TieredTierEvent {
  readonly kind: "tier-failed" | "breaker-opened" | "breaker-closed";
  readonly cache: string | undefined;
  readonly tier: string;
  readonly error: unknown;
}

/** A publication failed and is tried again later, the link is lost, or it is back. */
export interface TieredBusEvent {
  readonly kind: "bus-failed" | "bus-lost" | "bus-restored";
  readonly cache: string | undefined;
  readonly error: unknown;
}

/** A tier had something that this cache has not written, or that was damaged: it counts as missing. */
export interface TieredPayloadEvent {
  readonly kind: "payload-refused";
  readonly cache: string | undefined;
  readonly tier: string;
  readonly key: string;
}

/** A value is not remembered: an invalidation came while it was loaded, or the codec cannot write it for the tiers. */
export interface TieredFillEvent {
  readonly kind: "fill-cancelled" | "encode-failed";
  readonly cache: string | undefined;
  readonly key: string;
  readonly error: unknown;
}

/** What a cache counts. */
export interface TieredCounts {
  /** Answered with a fresh value. */
  hits: number;
  /** Answered with a stale value. */
  staleHits: number;
  /** Found in no tier. */
  misses: number;
  /** Loads that were begun. */
  loads: number;
  /** Of these, those that failed. */
  loadFailures: number;
  /** What all loads have taken together, in milliseconds. */
  loadMs: number;
  /** Loads in the background, for a value that was stale or soon would be. */
  refreshes: number;
  /** Values that were not kept, since their key was invalidated while they were loaded. */
  cancelledFills: number;
  /** Values that the codec could not write. */
  encodeFailures: number;
  /** Messages of other processes that were heeded. */
  invalidations: number;
}

/** Makes an event and publishes it if somebody listens. */
export function tellTiered(make: () => TieredEvent): void {
  if (listening()) tell(make());
}
