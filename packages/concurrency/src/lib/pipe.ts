// Lazy pipelines over async data, with backpressure from end to end.

import { checkCount, checkDuration, describe } from "./check.ts";
import type { Clock } from "./clock.ts";
import type { Context } from "./context.ts";
import { inBatches } from "./pipe-batch.ts";
import { mergeAll, teeInto } from "./pipe-branches.ts";
import { mapConcurrently } from "./pipe-map.ts";
import { drain, iterate, toNodeWritable, toWebWritable } from "./pipe-sinks.ts";
import { checkSource, type Open, read, type Source } from "./pipe-source.ts";
import { flatten, keepIf, mapInTurn, takeFirst } from "./pipe-stages.ts";
import type { WaitOptions } from "./wait-options.ts";

export type { Source } from "./pipe-source.ts";

/** A step of a pipe: gets an item, and the context of the run, which ends when the run does. */
export type Step<T, U> = (item: T, context: Context) => U | PromiseLike<U>;

/** How {@link Pipe.map} calls its function. */
export interface PipeMapOptions {
  /** Calls of the function at a time, and items read ahead at most. Default: 1. */
  readonly concurrency?: number | undefined;
  /** Whether results keep the order of the items; otherwise they come as they are ready. Default: true. */
  readonly ordered?: boolean | undefined;
}

/** How {@link Pipe.batch} forms its batches. */
export interface PipeBatchOptions {
  /** Items in a batch at most. */
  readonly max: number;
  /**
   * Milliseconds that the first item of a batch waits for others at most, while somebody waits for the batch. Default:
   * `Infinity`. With a limit one item is read ahead.
   */
  readonly wait?: number | undefined;
  /** Measures `wait`. Default: that of the current context. */
  readonly clock?: Clock | undefined;
}

/** How far the branches of {@link Pipe.tee} may be apart. */
export interface PipeTeeOptions {
  /** Items that one branch may be ahead of the slowest other. Default: 16. */
  readonly buffer?: number | undefined;
}

/**
 * A description of work on a sequence of items, made by {@link pipe}. Each method returns a new pipe; nothing runs before
 * it is iterated, or `run`, `forEach`, `toArray` or `to` is called. A pipe over something that can be iterated again,
 * like an array, can itself be run again.
 *
 * **Backpressure**: an item is read when somebody wants it. What is read ahead: by `map`, `concurrency` items; by
 * `merge`, one of each source; by `batch` with `wait`, one; by `tee`, `buffer`; by everything else, none.
 *
 * **Errors**: the first one ends the run and is what it rejects with, untouched. The context of the functions that are
 * under way is cancelled with it, they are waited for, and the source is closed (`return()` of its iterator).
 *
 * **Abort**: the same, with the reason of the signal. A function that does not heed its context is still waited for: no
 * work is left behind. A source that is stuck in `next()` is told to close, but not waited for.
 */
export interface Pipe<T> extends AsyncIterable<T, undefined> {
  /** Calls `f` for each item and passes on its result. */
  map<U>(f: Step<T, U>, options?: PipeMapOptions): Pipe<Awaited<U>>;
  /** Keeps the items for which `f` gives a true value. */
  filter<U extends T>(f: (item: T, context: Context) => item is U): Pipe<U>;
  filter(f: Step<T, unknown>): Pipe<T>;
  /** Calls `f` for each item and passes on the items of its result, one result after the other. */
  flatMap<U>(f: Step<T, Source<U>>): Pipe<U>;
  /** Collects items into arrays. What is left at the end becomes a smaller one; after an error it is dropped. */
  batch(options: PipeBatchOptions): Pipe<T[]>;
  /** Passes on the first `count` items and closes the source as soon as the last of them was read. */
  take(count: number): Pipe<T>;
  /** Passes on the items of this pipe and of the others as they come. An error of one ends all. */
  merge<U = T>(...others: Source<U>[]): Pipe<T | U>;
  /**
   * Splits into `count` pipes that each give every item, from one run of this one. Run them at the same time: the fastest
   * waits when it is `buffer` items ahead of the slowest, even of one that nobody has started. A branch that is left does
   * not hold up the others; when all are left, the source is closed. Each can be run once.
   */
  tee(count: number, options?: PipeTeeOptions): Pipe<T>[];

  /** Runs to the end. */
  run(options?: WaitOptions): Promise<void>;
  /** Runs, and calls `f` for each item, `concurrency` at a time and, beyond 1, in no particular order. */
  forEach(f: Step<T, unknown>, options?: WaitOptions & Pick<PipeMapOptions, "concurrency">): Promise<void>;
  /** Runs, and gives all items. */
  toArray(options?: WaitOptions): Promise<T[]>;
  /**
   * Runs into a stream, at the pace of the stream, and closes it at the end. An error on either side ends both: the
   * stream is aborted or destroyed with it.
   */
  to(stream: WritableStream<T> | NodeJS.WritableStream, options?: WaitOptions): Promise<void>;
  /** A Web stream that runs this pipe as it is read. */
  toReadableStream(): ReadableStream<T>;
  /** A Node.js stream, in object mode, that runs this pipe as it is read. */
  toReadable(): NodeJS.ReadableStream & AsyncDisposable;
}

/**
 * Starts a pipe from anything that can be iterated: an array, a generator, a {@link Channel}, a Node.js or Web stream,
 * another pipe. See {@link Pipe} for its promises on backpressure, errors and abort.
 *
 * @example
 * ```ts
 * import { pipe } from "@proj/concurrency";
 *
 * const pages = pipe([1, 2, 3, 4, 5, 6])
 *   .map(async (page) => ({ page, rows: page * 10 }), { concurrency: 3 })
 *   .filter(({ rows }) => rows > 10)
 *   .batch({ max: 2 });
 *
 * for await (const batch of pages) console.log(batch.map(({ page }) => page));
 * // prints: [ 2, 3 ]
 * // prints: [ 6 ]
 * ```
 *
 * @throws TypeError if `source` cannot be iterated.
 */
export function pipe<T>(source: Source<T>): Pipe<T> {
  checkSource("start a pipe", source);
  return new LazyPipe((context) => read(source, context));
}

/**
 * Gives the items of several sources as they come.
 *
 * @example
 * ```ts
 * import { merge } from "@proj/concurrency";
 *
 * console.log((await merge([1, 2], [3]).toArray()).length); // prints: 3
 * ```
 */
export function merge<T>(...sources: Source<T>[]): Pipe<T> {
  for (const source of sources) checkSource("merge", source);
  const opens = sources.map(
    (source): Open<T> =>
      (context) =>
        read(source, context),
  );
  return new LazyPipe((context) => mergeAll(opens, context));
}

class LazyPipe<T> implements Pipe<T> {
  readonly #open: Open<T>;

  constructor(open: Open<T>) {
    this.#open = open;
  }

  map<U>(f: Step<T, U>, { concurrency = 1, ordered = true }: PipeMapOptions = {}): Pipe<Awaited<U>> {
    checkStep("map", f);
    checkCount("map a pipe", "concurrency", concurrency, 1, true);
    const open = this.#open;
    if (concurrency === 1) return new LazyPipe((context) => mapInTurn(open, f, context));
    return new LazyPipe((context) => mapConcurrently(open, f, concurrency, ordered, context));
  }

  filter(f: Step<T, unknown>): Pipe<T>;
  filter<U extends T>(f: (item: T, context: Context) => item is U): Pipe<U>;
  filter(f: Step<T, unknown>): Pipe<T>;
  filter(f: Step<T, unknown>): Pipe<T> {
    checkStep("filter", f);
    const open = this.#open;
    return new LazyPipe((context) => keepIf(open, f, context));
  }

  flatMap<U>(f: Step<T, Source<U>>): Pipe<U> {
    checkStep("flatMap", f);
    const open = this.#open;
    return new LazyPipe((context) => flatten(open, f, context));
  }

  batch({ max, wait = Number.POSITIVE_INFINITY, clock }: PipeBatchOptions): Pipe<T[]> {
    checkCount("batch a pipe", "max", max, 1, true);
    checkDuration("batch a pipe", "wait", wait);
    const open = this.#open;
    return new LazyPipe((context) => inBatches(open, max, wait, clock ?? context.clock, context));
  }

  take(count: number): Pipe<T> {
    checkCount("take from a pipe", "count", count, 0, true);
    const open = this.#open;
    return new LazyPipe((context) => takeFirst(open, count, context));
  }

  merge<U = T>(...others: Source<U>[]): Pipe<T | U> {
    for (const other of others) checkSource("merge", other);
    const opens: Open<T | U>[] = [
      this.#open,
      ...others.map(
        (other): Open<U> =>
          (context) =>
            read(other, context),
      ),
    ];
    return new LazyPipe((context) => mergeAll(opens, context));
  }

  tee(count: number, { buffer = 16 }: PipeTeeOptions = {}): Pipe<T>[] {
    checkCount("tee a pipe", "count", count, 1);
    checkCount("tee a pipe", "buffer", buffer, 0, true);
    return teeInto(this.#open, count, buffer).map((open) => new LazyPipe(open));
  }

  run(options?: WaitOptions): Promise<void> {
    return drain(this.#open, options, () => {});
  }

  async forEach(
    f: Step<T, unknown>,
    { concurrency = 1, ...options }: WaitOptions & Pick<PipeMapOptions, "concurrency"> = {},
  ): Promise<void> {
    await this.map(f, { concurrency, ordered: false }).run(options);
  }

  async toArray(options?: WaitOptions): Promise<T[]> {
    const items: T[] = [];
    await drain(this.#open, options, (item) => void items.push(item));
    return items;
  }

  async to(stream: WritableStream<T> | NodeJS.WritableStream, options?: WaitOptions): Promise<void> {
    if (stream instanceof WritableStream) await toWebWritable(this.#open, stream, options);
    else await toNodeWritable(this.#open, stream, options);
  }

  toReadableStream(): ReadableStream<T> {
    return ReadableStream.from(this);
  }

  toReadable(): NodeJS.ReadableStream & AsyncDisposable {
    return process.getBuiltinModule("node:stream").Readable.from(this);
  }

  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    return iterate(this.#open);
  }
}

function checkStep(method: string, f: unknown): void {
  if (typeof f !== "function") {
    throw new TypeError(`Cannot ${method} a pipe: it takes a function, got ${describe(f)}`);
  }
}
