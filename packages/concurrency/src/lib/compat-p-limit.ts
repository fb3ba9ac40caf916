// p-limit's surface over a Semaphore.
import { checkCount, describe } from "./check.ts";
import { PendingCalls } from "./compat-pending.ts";
import type { ContextNode } from "./context-node.ts";
import { derive } from "./derive.ts";
import { asKind } from "./registry-kind.ts";
import { Semaphore } from "./semaphore.ts";

/** How many calls {@link pLimit} lets run. */
export interface PLimitOptions {
  /** How many calls may run at a time; an integer of at least 1, or `Infinity`. */
  readonly concurrency: number;
  /**
   * Whether a call that is cleared away and that nobody handles is an unhandled rejection. It rejects in any case.
   * Default: `false`.
   */
  readonly rejectOnClear?: boolean | undefined;
}

/** What {@link pLimit} gives. */
export interface PLimitFunction {
  /** Calls `f(...args)` when its turn has come, never before this call has returned. */
  <A extends readonly unknown[], T>(f: (...args: A) => T | PromiseLike<T>, ...args: A): Promise<T>;
  /** How many calls run. */
  readonly activeCount: number;
  /** How many calls wait. */
  readonly pendingCount: number;
  /** How many may run at a time, from now on. */
  concurrency: number;
  /** Rejects the calls that wait with an `AbortError`. Those that run go on. */
  clearQueue(): void;
  /** Calls `mapper(item, index)` for each item, and gives the results in the order of the items. */
  map<Item, T>(items: Iterable<Item>, mapper: (item: Item, index: number) => T | PromiseLike<T>): Promise<T[]>;
}

/**
 * The surface of p-limit 7, for code that moves over one import at a time; new code is better served by `limit`.
 *
 * Differs where p-limit leaves callers stuck: a call that is cleared away always rejects; a call gives up waiting when
 * its context ends; nested use that cannot go on is reported.
 *
 * @example
 * ```ts
 * import { pLimit } from "@proj/concurrency/compat";
 *
 * const limit = pLimit(2);
 * const double = async (value: number) => value * 2;
 * console.log(await Promise.all([limit(double, 1), limit(double, 2)]), await limit.map([3], double)); // prints: [ 2, 4 ] [ 6 ]
 * ```
 */
export function pLimit(concurrency: number | PLimitOptions): PLimitFunction {
  const options = typeof concurrency === "object" ? concurrency : { concurrency };
  const { rejectOnClear = false } = options;
  if (typeof rejectOnClear !== "boolean") {
    throw new TypeError(`Cannot create a limit: rejectOnClear must be a boolean, got ${describe(rejectOnClear)}`);
  }
  const semaphore = new Semaphore(checkConcurrency(options.concurrency), asKind("pLimit", {}));
  const pending = new PendingCalls();

  function run<A extends readonly unknown[], T>(f: (...args: A) => T | PromiseLike<T>, ...args: A): Promise<T> {
    const context = derive({});
    const call = enqueue(context, f, args);
    pending.keep(context, call);
    return call;
  }

  async function enqueue<A extends readonly unknown[], T>(
    context: ContextNode,
    f: (...args: A) => T | PromiseLike<T>,
    args: A,
  ): Promise<T> {
    pending.add(context);
    const task = async (): Promise<T> => {
      pending.delete(context);
      await Promise.resolve(); // p-limit never calls at once
      return await f(...args);
    };
    try {
      return await semaphore.run(task, { signal: context });
    } finally {
      pending.delete(context);
    }
  }

  return Object.defineProperties(run, {
    activeCount: { get: () => semaphore.held },
    pendingCount: { get: () => semaphore.waiting },
    concurrency: {
      get: () => semaphore.permits,
      set: (value: number) => semaphore.resize(checkConcurrency(value)),
    },
    clearQueue: { value: () => pending.clear(!rejectOnClear) },
    map: {
      value: async <Item, T>(items: Iterable<Item>, mapper: (item: Item, index: number) => T | PromiseLike<T>) => {
        const calls: Promise<T>[] = [];
        try {
          for (const item of items) calls.push(run(mapper, item, calls.length));
        } catch (error) {
          for (const call of calls) call.catch(() => {}); // they go on, and nobody is going to see how
          throw error;
        }
        return await Promise.all(calls);
      },
    },
    // The properties are those of the interface; Object.defineProperties cannot tell.
  }) as PLimitFunction;
}

/**
 * Limits one function.
 *
 * @example
 * ```ts
 * import { limitFunction } from "@proj/concurrency/compat";
 *
 * const double = limitFunction(async (value: number) => value * 2, { concurrency: 1 });
 * console.log(await Promise.all([1, 2].map((value) => double(value)))); // prints: [ 2, 4 ]
 * ```
 */
export function limitFunction<A extends readonly unknown[], T>(
  f: (...args: A) => T | PromiseLike<T>,
  options: PLimitOptions,
): ((...args: A) => Promise<T>) & Pick<PLimitFunction, "clearQueue"> {
  const limit = pLimit(options);
  const limited = (...args: A): Promise<T> => limit(f, ...args);
  return Object.assign(limited, { clearQueue: () => limit.clearQueue() });
}

/** p-limit refuses any wrong number with a TypeError. */
function checkConcurrency(concurrency: number): number {
  try {
    return checkCount("create a limit", "concurrency", concurrency, 1, true);
  } catch (error) {
    throw new TypeError((error as Error).message); // checkCount throws nothing else
  }
}
