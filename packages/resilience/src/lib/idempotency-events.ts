// What the guard of idempotent calls tells.

/** Something that happened to the calls of one key. */
export interface IdempotencyEvent {
  /**
   * A caller got the outcome of an earlier call · a call was rejected, with a conflict, a mismatch or because of a crash ·
   * a run took the place of one that has crashed · another run took the place of this one, or may have · the store failed.
   */
  readonly kind:
    | "idempotency-replayed"
    | "idempotency-rejected"
    | "idempotency-taken-over"
    | "idempotency-lost"
    | "idempotency-store-failed";
  /** Of the guard. */
  readonly name: string;
  /** Of the call. */
  readonly key: string;
  /** What a call was rejected with, a run has lost its result by, or the store has failed with. */
  readonly error: unknown;
}
