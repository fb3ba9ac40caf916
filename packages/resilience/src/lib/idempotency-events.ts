// What the guard of idempotent calls tells.

/** Something that happened to the calls of one key. */
export interface IdempotencyEvent {
  readonly kind: /** A caller got the outcome of an earlier call. */
    | "idempotency-replayed"
    /** A call was rejected, with a conflict, a mismatch or because of a crash; see `error`. */
    | "idempotency-rejected"
    /** A run took the place of one that has crashed. */
    | "idempotency-taken-over"
    /** Another run took the place of this one, or may have. */
    | "idempotency-lost"
    /** The store failed; see `error`. */
    | "idempotency-store-failed";
  /** Of the guard. */
  readonly name: string;
  readonly key: string;
  readonly error: unknown;
}
