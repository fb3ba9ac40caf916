// Why an idempotent call was not run, or its result not kept.

/**
 * Another call with the same key is running, and waiting for it was not wanted. Fit for a 409, as in the IETF draft
 * "The Idempotency-Key HTTP Header Field".
 *
 * @example
 * ```ts
 * import { IdempotencyConflictError, idempotencyGuard } from "@proj/resilience";
 *
 * const guard = idempotencyGuard({ onDuplicate: "reject" });
 * const { promise: charged, resolve: charge } = Promise.withResolvers<string>();
 * const first = guard.run("order-1", () => charged);
 * const second = await guard.run("order-1", () => charged).catch((error: unknown) => error);
 * console.log(second instanceof IdempotencyConflictError && second.code); // prints: ERR_IDEMPOTENCY_CONFLICT
 * charge("once");
 * console.log(await first); // prints: once
 * ```
 */
export class IdempotencyConflictError extends Error {
  override readonly name = "IdempotencyConflictError";
  readonly code = "ERR_IDEMPOTENCY_CONFLICT";
  /** Of both calls. */
  readonly key: string;

  constructor(key: string) {
    super(`Cannot run ${JSON.stringify(key)}: another call with this key is running`);
    this.key = key;
  }
}

/**
 * The key was used before for another request: their fingerprints differ. Fit for a 422, as in the IETF draft.
 *
 * @example
 * ```ts
 * import { IdempotencyMismatchError, idempotencyGuard } from "@proj/resilience";
 *
 * const guard = idempotencyGuard();
 * await guard.run("order-1", () => "charged", { fingerprint: "10 EUR" });
 * const error = await guard.run("order-1", () => "charged", { fingerprint: "99 EUR" }).catch((error: unknown) => error);
 * console.log(error instanceof IdempotencyMismatchError && error.code); // prints: ERR_IDEMPOTENCY_MISMATCH
 * ```
 */
export class IdempotencyMismatchError extends Error {
  override readonly name = "IdempotencyMismatchError";
  readonly code = "ERR_IDEMPOTENCY_MISMATCH";
  /** Of both requests. */
  readonly key: string;

  constructor(key: string) {
    super(`Cannot run ${JSON.stringify(key)}: this key was used for another request`);
    this.key = key;
  }
}

/**
 * A call with the same key was begun by somebody who has not been heard of since: nobody knows whether it took effect.
 * Fit for a 409; asking again does not help until somebody finds out (see `onCrash`), or the record ends.
 */
export class IdempotencyCrashedError extends Error {
  override readonly name = "IdempotencyCrashedError";
  readonly code = "ERR_IDEMPOTENCY_CRASHED";
  /** Of both runs. */
  readonly key: string;
  /** The run that was begun, as in its `run.id`. */
  readonly crashedId: string;

  constructor(key: string, crashedId: string) {
    super(`Cannot run ${JSON.stringify(key)}: an earlier run has crashed, and it is unknown whether it took effect`);
    this.key = key;
    this.crashedId = crashedId;
  }
}

/**
 * This run stood still or was cut off from the store for so long that it was taken for crashed, and another has taken
 * its place: its result is not kept. It is also what its context ends with.
 */
export class IdempotencyLostError extends Error {
  override readonly name = "IdempotencyLostError";
  readonly code = "ERR_IDEMPOTENCY_LOST";
  /** Of this run and of its successor. */
  readonly key: string;

  constructor(key: string, options?: ErrorOptions) {
    super(`Cannot keep the result of ${JSON.stringify(key)}: another run has taken its place, or may have`, options);
    this.key = key;
  }
}
