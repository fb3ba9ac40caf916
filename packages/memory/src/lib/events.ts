// Tells what happens in caches and to memory, to whoever listens; nothing is made when nobody does.
import { channel } from "node:diagnostics_channel";
import type { CacheEvent } from "./cache-removals.ts";
import type { PressureEvent } from "./memory-monitor.ts";
import type { SqliteTierEvent } from "./sqlite-tier-options.ts";
import type { TieredEvent } from "./tiered-events.ts";

/** The name of the `node:diagnostics_channel` on which events are published. */
export const memoryChannel = "proj:memory:event";

/** What is published on {@link memoryChannel}. */
export type MemoryEvent = CacheEvent | PressureEvent | SqliteTierEvent | TieredEvent;

const events = channel(memoryChannel);

/** Whether somebody listens: ask before making an event. */
export function listening(): boolean {
  return events.hasSubscribers;
}

/** Publishes an event. */
export function tell(event: MemoryEvent): void {
  events.publish(event);
}
