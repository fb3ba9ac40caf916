// Keeps things that are expensive to make, connections above all, and lends each to one caller at a time.
import type { Clock } from "./clock.ts";
import type { Context } from "./context.ts";
import { ResourcePool } from "./pool-resources.ts";
import { register } from "./registry.ts";
import type { WaitOptions } from "./wait-options.ts";

/** What a {@link pool} makes, and how much of it it keeps for how long. */
export interface PoolOptions<Resource> {
  /**
   * Makes a resource. `context` ends when that is done, at the latest when `createTimeout` is over: its signal is for
   * the making, not for what was made. It does not end with the caller who waits, since another one may get the resource.
   */
  readonly create: (context: Context) => Resource | PromiseLike<Resource>;
  /** Lets go of a resource. What it throws is counted and kept as `lastError`. Default: nothing to do. */
  readonly destroy?: ((resource: Resource, context: Context) => unknown) | undefined;
  /**
   * Whether a resource still works; asked before each lease of one that was used before. One that is not valid, or whose
   * check throws, is destroyed. Default: always.
   */
  readonly validate?: ((resource: Resource, context: Context) => boolean | PromiseLike<boolean>) | undefined;
  /** Used in error messages; with a name it is listed by `components()`. Default: `"pool"`. */
  readonly name?: string | undefined;
  /** Resources kept even when idle. Default: 0. */
  readonly min?: number | undefined;
  /** Resources at most, those being made or destroyed included. Default: 10. */
  readonly max?: number | undefined;
  /** Whether to make `min` resources at once, or only as they are needed. Default: false. */
  readonly warmUp?: boolean | undefined;
  /**
   * Milliseconds that a resource may lie idle while there are more than `min`: it goes after one to two times that,
   * the longest unused first. Default: `Infinity`.
   */
  readonly idle?: number | undefined;
  /**
   * Milliseconds after which a resource is replaced, when nobody holds it. Each one's age is up to a tenth shorter, at
   * random, so that those made together do not go together. Default: `Infinity`.
   */
  readonly maxAge?: number | undefined;
  /** Milliseconds that a caller waits at most, before a `TimeoutError`. Default: 30,000. */
  readonly timeout?: number | undefined;
  /** Milliseconds that `create` may take. A resource that comes later is destroyed. Default: 30,000. */
  readonly createTimeout?: number | undefined;
  /** Milliseconds that `validate` may take before the resource counts as not valid. Default: 5,000. */
  readonly validateTimeout?: number | undefined;
  /** Milliseconds that `destroy` may take before its place is given to another one. Default: 5,000. */
  readonly destroyTimeout?: number | undefined;
  /**
   * How many milliseconds nothing is made after `create` has failed `attempt` times in a row, 1 for the first failure.
   * Default: 100 ms, doubled each time, at most 10,000 ms, and between half and the whole of that at random.
   */
  readonly createBackoff?: ((attempt: number) => number) | undefined;
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
  /** Gives numbers from 0 up to 1, for ages and the default of `createBackoff`. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** How to wait for a resource. */
export interface PoolAcquireOptions extends WaitOptions {
  /** Milliseconds to wait at most, before a `TimeoutError`. Default: that of the pool. */
  readonly timeout?: number | undefined;
}

/** A resource in the hands of one caller. */
export interface PoolLease<Resource> extends Disposable {
  /** Yours until `release` or `discard`. */
  readonly resource: Resource;
  /** Gives it back. Only the first call of `release` or `discard` counts. */
  release(): void;
  /** Gives it back to be destroyed: for one that is broken. */
  discard(): void;
}

/** Counts of a pool at one moment. */
export interface PoolStats {
  /** Resources that live: leased, idle or being checked. */
  readonly size: number;
  /** Resources that nobody holds. */
  readonly idle: number;
  /** Resources that somebody holds. */
  readonly leased: number;
  /** Calls of `create` under way. */
  readonly creating: number;
  /** Calls of `destroy` under way. */
  readonly destroying: number;
  /** Callers in line. */
  readonly waiting: number;
  /** Resources made since the start. */
  readonly created: number;
  /** Resources destroyed since the start. */
  readonly destroyed: number;
  /** Calls of `create` that failed since the start. */
  readonly createErrors: number;
  /** Calls of `destroy` that failed since the start. */
  readonly destroyErrors: number;
  /** Resources that did not pass `validate`, since the start. */
  readonly invalid: number;
  /** Callers who waited for longer than their `timeout`, since the start. */
  readonly timeouts: number;
}

/** Lends resources, made by {@link pool}. */
export interface Pool<Resource> extends AsyncDisposable {
  /** As in the options. */
  readonly name: string;
  /** What `create`, `validate` or `destroy` failed with last. */
  readonly lastError: unknown;
  /** A snapshot. */
  readonly stats: PoolStats;

  /**
   * Waits for a resource: the one that was used last, or a new one while there are fewer than `max`.
   *
   * Callers are served in the order in which they came; one whose signal, context or timeout ends leaves the line in
   * the same turn. When `create` fails, the caller at the head of the line gets its error, untouched; the others wait
   * for the next attempt, after the backoff, or for a resource that comes back.
   *
   * @throws what `create` threw · TimeoutError · ClosedError · the reason of the signal or context
   */
  acquire(options?: PoolAcquireOptions): Promise<PoolLease<Resource>>;

  /** An idle resource, or `undefined` when there is none at once; with `validate` always `undefined`, as that may wait. */
  tryAcquire(): PoolLease<Resource> | undefined;

  /**
   * Lends a resource to `task` and takes it back when the task is done, however it ends. The context is that of the
   * caller, or the one passed as `signal`.
   */
  run<T>(task: (resource: Resource, context: Context) => T | PromiseLike<T>, options?: PoolAcquireOptions): Promise<T>;

  /**
   * Takes a resource out, as when its connection reports an end: destroys it now if nobody holds it, else when it comes
   * back. Returns whether it is one of this pool.
   */
  evict(resource: Resource): boolean;

  /** Returns the statistics if the pool can be used, else throws `lastError`: no resource lives and the last attempt failed. */
  health(): PoolStats;

  /**
   * Refuses new callers with a `ClosedError`, serves those in line, destroys each resource as it comes back, and
   * resolves when none is left. When `timeout` milliseconds (default: `Infinity`) are over, the line is refused as well,
   * and what is still held is destroyed under its holder.
   */
  close(options?: { readonly timeout?: number | undefined }): Promise<void>;
}

/**
 * Makes a pool of resources. It makes them when they are needed, lends the one that was used last (so that the others
 * may grow idle), and never makes anything in a busy loop: after a failure it waits, longer each time.
 *
 * @example
 * ```ts
 * import { pool } from "@proj/concurrency";
 *
 * let made = 0;
 * await using connections = pool({
 *   create: async () => ({ id: ++made, query: async (text: string) => `${text} on ${made}` }),
 *   destroy: async (connection) => console.log("closed", connection.id),
 *   max: 10,
 * });
 *
 * console.log(await connections.run((connection) => connection.query("select 1"))); // prints: select 1 on 1
 * {
 *   using lease = await connections.acquire({ timeout: 1_000 });
 *   console.log(lease.resource.id, connections.stats.leased); // prints: 1 1
 * }
 * // prints: closed 1
 * ```
 *
 * @throws TypeError, RangeError for options out of range.
 */
export function pool<Resource>(options: PoolOptions<Resource>): Pool<Resource> {
  const made: Pool<Resource> = new ResourcePool(options);
  if (options.name !== undefined) register("pool", options.name, made, ({ stats }) => ({ ...stats }));
  return made;
}
