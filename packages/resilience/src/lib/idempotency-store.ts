// What the guard of idempotent calls needs of whatever keeps its records.

/** Somebody who wants to run the work of a key. */
export interface IdempotencyClaim {
  /** Identifies one run, in whatever process: unique, and what all later calls about this run are made with. */
  readonly owner: string;
  /** Tells this request from others; empty if nothing is known of it. Kept with the record. */
  readonly fingerprint: string;
  /** Milliseconds for which the run counts as alive without a `renew`. */
  readonly lease: number;
  /** Milliseconds for which a run that crashes is remembered after its lease. */
  readonly ttl: number;
  /** The owner of a crashed run whose place is to be taken; empty to take nobody's. */
  readonly takeOver: string;
}

/** What `begin` found, and has left as it was unless the state is `"begun"`. */
export type IdempotencyState =
  /** The record is this owner's now. */
  | {
      readonly state: "begun";
      /** Higher than that of every earlier run of the key. */
      readonly fence: number;
    }
  /** Somebody else's lease has not ended. */
  | { readonly state: "running"; readonly owner: string; readonly fingerprint: string }
  /** Somebody's lease has ended, and nobody knows how far they came. */
  | { readonly state: "crashed"; readonly owner: string; readonly fingerprint: string }
  /** There is an outcome. */
  | { readonly state: "completed"; readonly outcome: string; readonly fingerprint: string };

/** What a store returns: at once or later. */
export type Awaitable<T> = T | PromiseLike<T>;

/**
 * Keeps one record for each key: begun by an owner under a lease, then completed with an outcome for a time, or gone.
 *
 * Each method is one atomic step. All but `begin` do nothing and return `false` when the record is not, or no longer,
 * that owner's: so whoever was taken for dead cannot overwrite what came after. Each may be repeated when its answer was
 * lost: a second `begin` by the same owner finds its own record, a second `complete` returns `true`.
 *
 * Check an implementation with `idempotencyStoreConformance` of `@proj/resilience/testing`.
 */
export interface IdempotencyStore {
  /** Takes the key if nobody has it, or if it is a crashed run of `claim.takeOver`; else tells who has it. */
  begin(key: string, claim: IdempotencyClaim): Awaitable<IdempotencyState>;
  /** Prolongs the lease to `lease` milliseconds from now, also when it has ended; 0 ends it: the run counts as crashed. */
  renew(key: string, owner: string, lease: number): Awaitable<boolean>;
  /** Keeps the outcome for `ttl` milliseconds, also when the lease has ended but nobody else has taken the key. */
  complete(key: string, owner: string, outcome: string, ttl: number): Awaitable<boolean>;
  /** Frees the key of a run that has not completed. */
  abandon(key: string, owner: string): Awaitable<boolean>;
}
