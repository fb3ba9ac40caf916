// Waiting for a promise no longer than somebody wants its result.
import { contextFor } from "./derive.ts";
import { until } from "./until.ts";
import type { WaitOptions } from "./wait-options.ts";

/**
 * Settles as `promise` does, or rejects with the reason, untouched, when the signal or the context ends first. What
 * makes the promise goes on: this ends the wait alone. The promise is never left unhandled, and nothing stays behind on
 * the signal, however long it lives.
 *
 * @throws the reason of the signal or context, and whatever the promise rejects with
 * @example
 * ```ts
 * import { abortable } from "@proj/concurrency";
 *
 * const caller = new AbortController();
 * const waiting = abortable(new Promise<string>(() => {}), { signal: caller.signal });
 * caller.abort("no longer needed");
 * console.log(await waiting.catch((reason: unknown) => reason)); // prints: no longer needed
 * ```
 */
export async function abortable<T>(promise: PromiseLike<T>, options: WaitOptions = {}): Promise<T> {
  return await until(contextFor("wait for a promise", options.signal), promise);
}
