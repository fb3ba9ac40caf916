// What a barrier answers once somebody has not come.

/**
 * A party of the barrier has given up, or the barrier was reset, so the others would wait for ever. `cause` is the reason
 * of the one who gave up.
 *
 * @example
 * ```ts
 * import { Barrier, BarrierBrokenError, Context } from "@proj/concurrency";
 *
 * const barrier = new Barrier(3);
 * const first = barrier.wait().catch((error: unknown) => error);
 * const leaver = Context.derive();
 * barrier.wait({ signal: leaver }).catch(() => {});
 * leaver.cancel(); // the second gives up, so the first cannot go on either
 * console.log((await first) instanceof BarrierBrokenError, barrier.broken); // prints: true true
 * ```
 */
export class BarrierBrokenError extends Error {
  override readonly name = "BarrierBrokenError";
  readonly code = "ERR_BARRIER_BROKEN";

  constructor(barrier: string, options?: ErrorOptions) {
    super(`Cannot wait for ${barrier}: it is broken, because one of its parties gave up`, options);
  }
}
