// Objects that are used again, where making one is expensive.
import { register } from "@proj/concurrency/inspect";
import { checkCount, checkFunction, checkRatio } from "@proj/concurrency/options";

/** How an {@link ObjectPool} makes and keeps its objects. */
export interface ObjectPoolOptions<T extends object> {
  /** Makes one. */
  readonly create: () => T;
  /** Makes one like new, as it comes back. If it throws, the object is not kept. Default: nothing. */
  readonly reset?: ((object: T) => void) | undefined;
  /** How many may lie idle; more are left to the collector. Default: 64. */
  readonly max?: number | undefined;
  /** Refuses an object that is released twice, or was never lent. Default: `true`, and `false` if `NODE_ENV` is `"production"`. */
  readonly checks?: boolean | undefined;
  /** With a name it is listed by `components()` of `@proj/concurrency/inspect`. */
  readonly name?: string | undefined;
}

/** How an {@link ObjectPool} is used. */
export interface ObjectPoolStats {
  /** Lent now. */
  readonly held: number;
  /** Ready to be lent again. */
  readonly idle: number;
  /** Taken from what lay idle. */
  readonly reused: number;
  /** Made, as none lay idle. */
  readonly made: number;
  /** Came back and were not kept. */
  readonly dropped: number;
}

/**
 * Lends objects that are expensive to make: with large arrays, tables or native memory. For small ones it loses: making
 * `{ x, y, z }` anew is faster than any pool. For connections, which are made asynchronously, see `pool` of
 * `@proj/concurrency`.
 *
 * @throws TypeError or RangeError for options that are none
 * @example
 * ```ts
 * import { ObjectPool } from "@proj/memory";
 *
 * const grids = new ObjectPool({ create: () => new Float64Array(10_000), reset: (grid) => grid.fill(0), max: 8 });
 * const sum = grids.run((grid) => {
 *   grid[0] = 2;
 *   return grid.reduce((a, b) => a + b, 0);
 * });
 * console.log(sum, grids.stats().idle); // prints: 2 1
 * ```
 */
export class ObjectPool<T extends object> {
  readonly #create: () => T;
  readonly #reset: ((object: T) => void) | undefined;
  readonly #max: number;
  readonly #lent: WeakSet<T> | undefined;
  readonly #idle: T[] = [];
  #held = 0;
  #reused = 0;
  #made = 0;
  #dropped = 0;

  constructor(options: ObjectPoolOptions<T>) {
    const action = "create an ObjectPool";
    const { create, reset, max = 64, checks = process.env["NODE_ENV"] !== "production", name } = options;
    this.#create = checkFunction(action, "create", create);
    this.#reset = reset && checkFunction(action, "reset", reset);
    this.#max = checkCount(action, "max", max, 0, true);
    this.#lent = checks ? new WeakSet() : undefined;
    if (name !== undefined) register("object-pool", name, this, (pool) => ({ ...pool.stats() }));
  }

  /** Lends the object that came back last, or a new one. Throws what `create` throws. */
  acquire(): T {
    let object = this.#idle.pop();
    if (object === undefined) {
      object = this.#create();
      this.#made++;
    } else this.#reused++;
    this.#held++;
    this.#lent?.add(object);
    return object;
  }

  /** Takes an object back. Throws what `reset` throws. @throws Error for an object that is not lent, with `checks` */
  release(object: T): void {
    if (this.#lent?.delete(object) === false) throw new Error("Cannot release an object that the pool has not lent");
    this.#held--;
    if (this.#idle.length >= this.#max) {
      this.#dropped++;
      return;
    }
    try {
      this.#reset?.(object);
    } catch (error) {
      this.#dropped++;
      throw error;
    }
    this.#idle.push(object);
  }

  /**
   * Calls `task` with an object and takes it back when it is done, whatever happens. With a function that returns a
   * promise it comes back when that settles. If `reset` fails too, the failure of the task is the one that is thrown.
   */
  run<R>(task: (object: T) => R): R {
    const object = this.acquire();
    let result: R;
    try {
      result = task(object);
    } catch (error) {
      this.#releaseQuietly(object);
      throw error;
    }
    if (isThenable(result)) return this.#releaseAfter(object, result) as R; // a promise of the same
    this.release(object);
    return result;
  }

  /** Leaves everything idle to the collector. */
  clear(): void {
    this.#idle.length = 0;
  }

  /** Leaves about this share of what is idle to the collector, and returns how many objects that were. */
  shrink(fraction: number): number {
    const count = Math.ceil(this.#idle.length * checkRatio("shrink an object pool", "fraction", fraction));
    this.#idle.length -= count;
    return count;
  }

  /** What is lent and idle now, and what was reused. */
  stats(): ObjectPoolStats {
    return {
      held: this.#held,
      idle: this.#idle.length,
      reused: this.#reused,
      made: this.#made,
      dropped: this.#dropped,
    };
  }

  async #releaseAfter<R>(object: T, result: PromiseLike<R>): Promise<R> {
    let value: R;
    try {
      value = await result;
    } catch (error) {
      this.#releaseQuietly(object);
      throw error;
    }
    this.release(object);
    return value;
  }

  #releaseQuietly(object: T): void {
    try {
      this.release(object);
    } catch {} // what the task has thrown says more
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
