// Tells of callers who have to wait, to whoever listens.
import { channel } from "node:diagnostics_channel";
import type { Clock } from "./clock.ts";
import type { Waiter } from "./wait-queue.ts";

/** The name of the `node:diagnostics_channel` on which waits are told. */
export const waitChannel = "proj:concurrency:wait";

/** What is published on {@link waitChannel}. */
export type WaitEvent =
  | { readonly kind: "wait-started"; readonly component: string; readonly name: string }
  | {
      readonly kind: "wait-ended";
      readonly component: string;
      readonly name: string;
      /** How long it took. */
      readonly waitedMs: number;
      /** Whether the caller got what it waited for, or gave up. */
      readonly served: boolean;
    };

const waits = channel(waitChannel);

/** Tells of this wait, if somebody listens; else nothing is made. */
export function tellWait(component: string, name: string, clock: Clock, waiter: Waiter): void {
  if (waits.hasSubscribers) tell(component, name, clock, waiter);
}

function tell(component: string, name: string, clock: Clock, waiter: Waiter): void {
  const start = clock.now();
  waits.publish({ kind: "wait-started", component, name } satisfies WaitEvent);
  void waiter.outcome.then((failure) => {
    const waitedMs = clock.now() - start;
    waits.publish({ kind: "wait-ended", component, name, waitedMs, served: failure === undefined } satisfies WaitEvent);
  });
}
