// A pause that can be given up.
import { checkDuration } from "./check.ts";
import type { Clock } from "./clock.ts";
import { contextFor } from "./derive.ts";
import { sleep as sleepIn } from "./until.ts";
import type { WaitOptions } from "./wait-options.ts";

/** What can be set on a {@link sleep}. */
export interface SleepOptions extends WaitOptions {
  /** Default: that of the context, which is the system's unless one was given. */
  readonly clock?: Clock | undefined;
}

/**
 * Resolves after `ms` milliseconds, never early. Rejects with the reason, untouched, when the signal or the context ends
 * first. Keeps the process alive meanwhile.
 *
 * @throws the reason of the signal or context · TypeError or RangeError for an `ms` that is no duration
 * @example
 * ```ts
 * import { sleep } from "@proj/concurrency";
 *
 * await sleep(10);
 * const given = await sleep(60_000, { signal: AbortSignal.abort("not now") }).catch((reason: unknown) => reason);
 * console.log(given); // prints: not now
 * ```
 */
export async function sleep(ms: number, options: SleepOptions = {}): Promise<void> {
  checkDuration("sleep", "ms", ms);
  const context = contextFor("sleep", options.signal);
  context.throwIfCancelled();
  await sleepIn(context, options.clock ?? context.clock, ms);
}
