// What can be set on the guard of idempotent calls, and what it is checked for.
import { type Clock, type Context, systemClock, type WaitOptions } from "@proj/concurrency";
import {
  checkCount,
  checkDuration,
  checkFunction,
  checkOneOf,
  checkPositive,
  describe,
} from "@proj/concurrency/options";
import { type IdempotencyCodec, jsonCodec } from "./idempotency-codec.ts";
import { memoryIdempotency } from "./idempotency-memory.ts";
import type { IdempotencyStore } from "./idempotency-store.ts";

/** One run of the work of a key, for its task. */
export interface IdempotentRun {
  /** As the caller gave it. */
  readonly key: string;
  /** Of this run alone. */
  readonly id: string;
  /**
   * Higher than that of every earlier run of this key, 0 for a run without a record: send it along with what the work writes elsewhere, and have that
   * refused there if a higher one was seen, so that a run that was taken for dead cannot overwrite its successor.
   */
  readonly fence: number;
  /** Of the run whose place this one takes because it has crashed; `undefined` if there was none. */
  readonly crashedId: string | undefined;
}

/** The work of a key. Its context does not end with that of its caller: see {@link IdempotencyGuard.run}. */
export type IdempotentTask<T> = (context: Context, run: IdempotentRun) => T | PromiseLike<T>;

/**
 * What has become of a crashed run: it took effect, with this result; or it did not, so the task is to be run; or it is
 * still unknown.
 */
export type Reconciliation = { readonly value: unknown } | "rerun" | "reject";

/** Finds out what has become of a crashed run. One at a time does so for a key, under the lease of `run`. */
export type Reconcile = (
  run: IdempotentRun & { readonly crashedId: string },
  context: Context,
) => Reconciliation | PromiseLike<Reconciliation>;

/** What can be set on an {@link idempotencyGuard}. */
export interface IdempotencyGuardOptions {
  /** Where records are kept. Default: `memoryIdempotency()`, for one process. */
  readonly store?: IdempotencyStore | undefined;
  /** Milliseconds for which an outcome is replayed, and a crash remembered. Default: 86,400,000, a day. */
  readonly ttl?: number | undefined;
  /**
   * What happens to a call whose key is running already: it waits for the outcome, or is rejected with an
   * `IdempotencyConflictError`. Default: `"wait"`.
   */
  readonly onDuplicate?: "wait" | "reject" | undefined;
  /**
   * Milliseconds after which a run that is not heard of counts as crashed. It is heard of every third of that, for as
   * long as its process lives and its event loop turns. At least 100. Default: 10,000.
   */
  readonly lease?: number | undefined;
  /**
   * What happens to a call whose key was begun by a run that has crashed: it is rejected with an
   * `IdempotencyCrashedError`, for nobody knows whether the work took effect; or the work is run again; or a function
   * finds out. Default: `"reject"`.
   */
  readonly onCrash?: "reject" | "rerun" | Reconcile | undefined;
  /**
   * Which errors of the task are outcomes, to be kept and replayed as results are: such as a declined payment. After all
   * others the key is free again. Default: none.
   */
  readonly keepFailure?: ((error: unknown) => boolean) | undefined;
  /**
   * What happens to a call when the store fails to tell whether its key is new: it is rejected with the store's error,
   * or runs unguarded. Default: `"reject"`.
   */
  readonly onStoreError?: "reject" | "run" | undefined;
  /** Milliseconds that a run may take, after which its context ends with a `TimeoutError`. Default: no limit. */
  readonly timeout?: number | undefined;
  /** Milliseconds between two looks at a key that another process runs, growing to ten times that. Default: 50. */
  readonly poll?: number | undefined;
  /** Makes text of outcomes. Default: JSON. */
  readonly codec?: IdempotencyCodec | undefined;
  /** Whether the guard's own errors have a stack, which costs more than all the rest. Default: `false`. */
  readonly stack?: boolean | undefined;
  /** For messages and events; with a name it is listed by `components()`. Default: `"idempotency-guard"`. */
  readonly name?: string | undefined;
  /** Measures leases, and pauses between looks. Default: the system's. */
  readonly clock?: Clock | undefined;
  /** Numbers from 0 to 1, to spread the looks. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** What is known of one call. */
export interface IdempotentCallOptions extends WaitOptions {
  /**
   * Tells this request from others with the same key, such as a hash of its method, path and body: another one is refused
   * with an `IdempotencyMismatchError`. Default: none, which is taken for the same as any.
   */
  readonly fingerprint?: string | undefined;
}

export type GuardSettings = {
  readonly [K in keyof IdempotencyGuardOptions]-?: NonNullable<IdempotencyGuardOptions[K]>;
};

const action = "create an idempotencyGuard";

export function guardSettings(options: IdempotencyGuardOptions): GuardSettings {
  const {
    clock = systemClock,
    store = memoryIdempotency({ clock }),
    ttl = 86_400_000,
    onDuplicate = "wait",
    lease = 10_000,
    onCrash = "reject",
    keepFailure = () => false,
    onStoreError = "reject",
    timeout = Number.POSITIVE_INFINITY,
    poll = 50,
    codec = jsonCodec,
    stack = false,
    name = "idempotency-guard",
    random = Math.random,
  } = options;
  checkStore(store);
  checkCount(action, "ttl", ttl, 1);
  checkOneOf(action, "onDuplicate", onDuplicate, ["wait", "reject"]);
  checkCount(action, "lease", lease, 100);
  if (typeof onCrash !== "function") checkOneOf(action, "onCrash", onCrash, ["reject", "rerun"]);
  checkFunction(action, "keepFailure", keepFailure);
  checkOneOf(action, "onStoreError", onStoreError, ["reject", "run"]);
  checkDuration(action, "timeout", timeout);
  checkPositive(action, "poll", poll);
  checkFunction(action, "codec.encode", codec?.encode);
  checkFunction(action, "codec.decode", codec?.decode);
  checkOneOf(action, "stack", stack, [true, false]);
  checkFunction(action, "random", random);
  return {
    clock,
    store,
    ttl,
    onDuplicate,
    lease,
    onCrash,
    keepFailure,
    onStoreError,
    timeout,
    poll,
    codec,
    stack,
    name,
    random,
  };
}

export function checkCall(key: unknown, task: unknown, fingerprint: unknown): void {
  checkFunction("run an idempotent task", "task", task);
  if (typeof key !== "string" || key === "") {
    throw new TypeError(`Cannot run an idempotent task: key must be a string that is not empty, got ${describe(key)}`);
  }
  if (typeof fingerprint !== "string") {
    throw new TypeError(`Cannot run an idempotent task: fingerprint must be a string, got ${describe(fingerprint)}`);
  }
}

function checkStore(store: IdempotencyStore): void {
  for (const method of ["begin", "renew", "complete", "abandon"] as const) {
    if (typeof store?.[method] === "function") continue;
    throw new TypeError(`Cannot ${action}: store must be an IdempotencyStore, got ${describe(store)}`);
  }
}
