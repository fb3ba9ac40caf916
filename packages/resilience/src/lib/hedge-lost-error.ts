// Why an attempt was given up that was not the first to succeed.

/**
 * What the context of an attempt ends with when another attempt of the same call has come to an end before it, or the call
 * was given up. Its `name` is `"AbortError"`, as for the platform's own aborts.
 *
 * @example
 * ```ts
 * import { HedgeLostError } from "@proj/resilience";
 *
 * console.log(new HedgeLostError("users", 1).message);
 * // prints: Attempt 1 of users was given up: another one was faster
 * ```
 */
export class HedgeLostError extends Error {
  override readonly name = "AbortError";
  readonly code = "ERR_HEDGE_LOST";
  /** The one that was given up. */
  readonly attempt: number;

  constructor(name: string, attempt: number) {
    super(`Attempt ${attempt} of ${name} was given up: another one was faster`);
    this.attempt = attempt;
  }
}
