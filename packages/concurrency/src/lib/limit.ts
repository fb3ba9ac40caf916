// Runs functions a few at a time: a semaphore in the shape of a function.
import { runIn } from "./ambient.ts";
import { checkCount, describe } from "./check.ts";
import type { Context } from "./context.ts";
import { contextFor, derive } from "./derive.ts";
import { asKind } from "./registry-kind.ts";
import { Semaphore } from "./semaphore.ts";
import type { SemaphoreOptions } from "./semaphore-options.ts";
import type { WaitOptions } from "./wait-options.ts";

/** A limit that several callers share. */
export interface Limit {
  /**
   * Calls `f(...args)` as soon as fewer than the limit are running, in order of arrival, and resolves with its result.
   * Gives up waiting when the current context ends.
   */
  <A extends readonly unknown[], T>(f: (...args: A) => T | PromiseLike<T>, ...args: A): Promise<T>;

  /**
   * Maps a sequence, taking the next item only when there is room for it, and resolves with the results in the order of
   * the items. The first failure cancels the context that the mappers run in and starts no further item; once those that
   * run have ended, it rejects with that failure.
   */
  map<Item, T>(
    items: Iterable<Item> | AsyncIterable<Item>,
    mapper: (item: Item, index: number, context: Context) => T | PromiseLike<T>,
    options?: WaitOptions,
  ): Promise<T[]>;

  /** How many are running. */
  readonly running: number;
  /** How many wait. */
  readonly waiting: number;
  /** How many may run at a time. Set it to let more or fewer run from now on. */
  concurrency: number;
  /** The semaphore below, for weights, priorities and timeouts. */
  readonly semaphore: Semaphore;
}

/**
 * Lets at most `concurrency` functions run at a time.
 *
 * @example
 * ```ts
 * import { limit } from "@proj/concurrency";
 *
 * const two = limit(2);
 * const double = async (value: number) => value * 2;
 *
 * console.log(await two(double, 21)); // prints: 42
 * console.log(await two.map([1, 2, 3], double)); // prints: [ 2, 4, 6 ]
 * ```
 */
export function limit(concurrency: number, options: SemaphoreOptions = {}): Limit {
  checkCount("create a limit", "concurrency", concurrency, 1, true);
  const semaphore = new Semaphore(concurrency, asKind("limit", options));

  function run<A extends readonly unknown[], T>(f: (...args: A) => T | PromiseLike<T>, ...args: A): Promise<T> {
    return semaphore.run(() => f(...args));
  }

  const properties = {
    map: <Item, T>(items: Iterable<Item> | AsyncIterable<Item>, mapper: Mapper<Item, T>, mapOptions?: WaitOptions) =>
      map(semaphore, items, mapper, mapOptions),
    semaphore,
  };
  const accessors: PropertyDescriptorMap = {
    running: { get: () => semaphore.held },
    waiting: { get: () => semaphore.waiting },
    concurrency: { get: () => semaphore.permits, set: (permits: number) => semaphore.resize(permits) },
  };
  // The accessors are those that the interface names; Object.defineProperties cannot tell.
  return Object.defineProperties(Object.assign(run, properties), accessors) as Limit;
}

type Mapper<Item, T> = (item: Item, index: number, context: Context) => T | PromiseLike<T>;

async function map<Item, T>(
  semaphore: Semaphore,
  items: Iterable<Item> | AsyncIterable<Item>,
  mapper: Mapper<Item, T>,
  { signal }: WaitOptions = {},
): Promise<T[]> {
  if (typeof mapper !== "function") {
    throw new TypeError(`Cannot map: mapper must be a function, got ${describe(mapper)}`);
  }
  using context = derive({ parent: contextFor("map", signal) });
  const results: T[] = [];
  const running = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  const fail = (error: unknown): void => {
    failure ??= { error };
    context.cancel(error);
  };

  async function work(item: Item, index: number): Promise<void> {
    results[index] = await runIn(context, () => mapper(item, index, context), undefined);
  }

  try {
    let index = 0;
    for await (const item of items) {
      const permit = await semaphore.acquire({ signal: context });
      const done = work(item, index++)
        .catch(fail)
        .finally(() => {
          permit.release();
          running.delete(done);
        });
      running.add(done);
    }
  } catch (error) {
    fail(error);
  }
  await Promise.all(running);
  if (failure !== undefined) throw failure.error;
  return results;
}
