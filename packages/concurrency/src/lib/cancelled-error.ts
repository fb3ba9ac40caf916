// The cause of a cancellation for which the caller gave none.

/**
 * What a context is cancelled with when nobody gives a cause: `cancel()` without an argument, or the end of its `using`
 * block. Its `name` is `"AbortError"`, as for the platform's own aborts.
 *
 * @example
 * ```ts
 * import { CancelledError, Context } from "@proj/concurrency";
 *
 * const context = Context.derive();
 * context.cancel();
 * console.log(context.cause instanceof CancelledError); // prints: true
 * ```
 */
export class CancelledError extends Error {
  override readonly name = "AbortError";
  readonly code = "ERR_CANCELLED";

  constructor(message = "The work was cancelled", options?: ErrorOptions) {
    super(message, options);
  }
}
