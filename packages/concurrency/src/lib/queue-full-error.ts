// The answer of a bounded queue to one caller too many.

/**
 * Nothing was queued, because as many callers wait already as `maxQueue` allows.
 *
 * @example
 * ```ts
 * import { QueueFullError, Semaphore } from "@proj/concurrency";
 *
 * const semaphore = new Semaphore(1, { maxQueue: 0 });
 * using permit = await semaphore.acquire();
 * const error = await semaphore.acquire().catch((error: unknown) => error);
 * console.log(error instanceof QueueFullError && error.maxQueue); // prints: 0
 * ```
 */
export class QueueFullError extends Error {
  override readonly name = "QueueFullError";
  readonly code = "ERR_QUEUE_FULL";
  /** How many may wait. */
  readonly maxQueue: number;

  constructor(what: string, maxQueue: number) {
    super(`Cannot wait for ${what}: its queue is full with ${maxQueue} waiting`);
    this.maxQueue = maxQueue;
  }
}
