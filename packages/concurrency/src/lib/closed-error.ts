// The answer of something that has been closed.

/**
 * It was closed before or while the caller waited. For a channel, `cause` is what it was closed with, if anything.
 *
 * @example
 * ```ts
 * import { ClosedError, Semaphore } from "@proj/concurrency";
 *
 * const semaphore = new Semaphore(1);
 * await semaphore.close();
 * const error = await semaphore.acquire().catch((error: unknown) => error);
 * console.log(error instanceof ClosedError); // prints: true
 * ```
 */
export class ClosedError extends Error {
  override readonly name = "ClosedError";
  readonly code = "ERR_CLOSED";

  constructor(what: string, options?: ErrorOptions) {
    super(`Cannot use ${what}: it is closed`, options);
  }
}
