// Tells what the policies do, to whoever listens; nothing is made when nobody does.
import { channel } from "node:diagnostics_channel";
import type { LimitEvent } from "./adaptive-limit.ts";
import type { BalanceEvent, DiscoveryEvent } from "./balance-events.ts";
import type { BreakerEvent } from "./breaker-events.ts";
import type { ChaosEvent } from "./chaos.ts";
import type { FallbackEvent } from "./fallback.ts";
import type { HedgeEvent } from "./hedge.ts";
import type { IdempotencyEvent } from "./idempotency-events.ts";
import type { RetryEvent } from "./retry.ts";

/** The name of the `node:diagnostics_channel` on which events are published. */
export const resilienceChannel = "proj:resilience:event";

/** What is published on {@link resilienceChannel}. Each policy adds its own. */
export type ResilienceEvent =
  /** A gate turned a call away. */
  | { readonly kind: "call-rejected"; readonly name: string; readonly policy: string; readonly error: Error }
  | BalanceEvent
  | BreakerEvent
  | ChaosEvent
  | DiscoveryEvent
  | FallbackEvent
  | HedgeEvent
  | IdempotencyEvent
  | LimitEvent
  | RetryEvent;

const events = channel(resilienceChannel);

/** Whether somebody listens: ask before making an event. */
export function listening(): boolean {
  return events.hasSubscribers;
}

/** Publishes an event. */
export function tell(event: ResilienceEvent): void {
  events.publish(event);
}
