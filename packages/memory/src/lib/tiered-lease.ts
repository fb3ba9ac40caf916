// One process of several loads; the others wait for what it has stored.
import { type Clock, type Context, sleep } from "@proj/concurrency";
import type { LoadLease } from "./tier.ts";
import { bounded } from "./tiered-call.ts";

/** Lets only one process at a time load a value. */
export interface TieredLeaseOptions {
  /** Where the leases are. */
  readonly store: LoadLease;
  /**
   * Milliseconds after which the lease of a process that was killed ends. Longer than a load takes: when it ends before,
   * another process loads as well.
   */
  readonly ttl: number;
}

/** What came of it: what another process has stored meanwhile, or the turn to load, with a lease to be given back. */
export type Turn<T> =
  | { readonly kind: "found"; readonly found: T }
  | { readonly kind: "load"; readonly lease: { release(): Promise<void> } | undefined };

/** Milliseconds between looks; the first are closer together. */
const longestStep = 40;
const firstStep = 5;

/**
 * Takes the lease, or looks again and again whether its holder has stored the value. Loads without a lease when the store
 * of the leases does not answer, or holders come and go for twice the `ttl` without storing anything.
 */
export async function takeTurn<T>(
  key: string,
  { store, ttl }: TieredLeaseOptions,
  look: () => Promise<T | undefined>,
  { clock, timeout, context }: { readonly clock: Clock; readonly timeout: number; readonly context: Context },
): Promise<Turn<T>> {
  const end = clock.now() + 2 * ttl;
  for (let step = firstStep; ; step = Math.min(longestStep, step * 1.5)) {
    let lease: { release(): Promise<void> } | undefined;
    try {
      lease = await bounded(clock, timeout, "a lease", () => store.tryAcquire(key, ttl));
    } catch {
      return { kind: "load", lease: undefined };
    }
    const found = await look(); // also with the lease: its last holder may just have stored it
    if (found !== undefined) {
      if (lease !== undefined) release(lease);
      return { kind: "found", found };
    }
    if (lease !== undefined || clock.now() >= end) return { kind: "load", lease };
    await sleep(step, { signal: context, clock });
  }
}

/** Gives a lease back, sooner or later. */
export function release(lease: { release(): Promise<void> } | undefined): void {
  lease?.release().catch(() => {}); // it ends by itself
}
