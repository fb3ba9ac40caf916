// p-map's surface: a concurrent map over any iterable, which rejects without waiting for those that run.
import { checkCount, describe } from "./check.ts";
import { Context } from "./context.ts";
import { contextFor } from "./derive.ts";

/** Given by a mapper: the item has no place in the result. */
export const pMapSkip: unique symbol = Symbol("skip");

/** Given by a mapper: the result ends before this item, as by `break` in a loop. */
export const pMapStop: unique symbol = Symbol("stop");

/** How {@link pMap} goes about it. */
export interface PMapOptions {
  /** How many mappers may run at a time; an integer of at least 1, or `Infinity`. Default: `Infinity`. */
  readonly concurrency?: number | undefined;
  /**
   * Whether the first failure ends it. Otherwise all items are mapped, and it rejects with an `AggregateError` of what
   * failed, in the order of the items. Default: `true`.
   */
  readonly stopOnError?: boolean | undefined;
  /** Ends it, with its own reason. Default: the current context. */
  readonly signal?: AbortSignal | Context | undefined;
}

/** What can be mapped. */
export type PMapInput<Item> = Iterable<Item | PromiseLike<Item>> | AsyncIterable<Item | PromiseLike<Item>>;
/** Called for each item. */
export type PMapMapper<Item, T> = (item: Item, index: number) => T | PromiseLike<T>;
/** What a mapper gives, without the two symbols. */
export type PMapped<T> = Exclude<T, typeof pMapSkip | typeof pMapStop>;

/**
 * The surface of p-map 7 (its `pMap` alone), for code that moves over one import at a time; new code is better served by
 * `limit().map`, which also cancels those that run and waits for them.
 *
 * The next item is taken only when there is room for it, one at a time. Once it has settled nothing more is taken, the
 * source is closed, and those that run go on unseen.
 *
 * @example
 * ```ts
 * import { pMap, pMapSkip } from "@proj/concurrency/compat";
 *
 * const halves = await pMap([1, 2, 3, 4], async (n) => (n % 2 === 0 ? n / 2 : pMapSkip), { concurrency: 2 });
 * console.log(halves); // prints: [ 1, 2 ]
 * ```
 */
export async function pMap<Item, T>(
  input: PMapInput<Item>,
  mapper: PMapMapper<Item, T>,
  options: PMapOptions = {},
): Promise<PMapped<T>[]> {
  const { concurrency = Number.POSITIVE_INFINITY, stopOnError = true, signal } = options;
  checkCount("map", "concurrency", concurrency, 1, true);
  if (typeof mapper !== "function") {
    throw new TypeError(`Cannot map: mapper must be a function, got ${describe(mapper)}`);
  }
  const source = iterate(input);
  const context = contextFor("map", signal);
  context.throwIfCancelled();
  let leave: Disposable | undefined;
  try {
    const results = await new Promise<unknown[]>((resolve, reject) => {
      const mapping = new Mapping(source, mapper, concurrency, stopOnError, resolve, reject);
      leave = Context.after(context, (cause) => mapping.fail(cause));
      void mapping.feed();
    });
    // The mapping has left the two symbols out.
    return results as PMapped<T>[];
  } finally {
    leave?.[Symbol.dispose]();
  }
}

class Mapping<Item, T> {
  readonly #source: Source<Item>;
  readonly #mapper: PMapMapper<Item, T>;
  readonly #concurrency: number;
  readonly #stopOnError: boolean;
  readonly #resolve: (results: unknown[]) => void;
  readonly #reject: (error: unknown) => void;
  readonly #results: unknown[] = [];
  readonly #errors: { readonly index: number; readonly error: unknown }[] = [];
  readonly #running = new Set<number>();
  /** The first index that does not count: the source has ended there, or a mapper has stopped. */
  #end = Number.POSITIVE_INFINITY;
  #isExhausted = false;
  #isOver = false;
  #room: PromiseWithResolvers<void> | undefined;

  constructor(
    source: Source<Item>,
    mapper: PMapMapper<Item, T>,
    concurrency: number,
    stopOnError: boolean,
    resolve: (results: unknown[]) => void,
    reject: (error: unknown) => void,
  ) {
    this.#source = source;
    this.#mapper = mapper;
    this.#concurrency = concurrency;
    this.#stopOnError = stopOnError;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Takes items as long as they count, each when there is room for it. Does not reject. */
  async feed(): Promise<void> {
    try {
      for (let index = 0; await this.#wants(index); index++) {
        const next = await this.#source.next();
        if (next.done) {
          this.#isExhausted = true;
          this.#end = Math.min(this.#end, index);
          break;
        }
        this.#running.add(index);
        const done = this.#map(next.value, index);
        // Never settles, and only leads the stack of the mapper's error to whoever awaits the whole.
        void done.then(() => new Promise<never>(() => {})).then(this.#resolve);
      }
      this.#finish();
    } catch (error) {
      this.#isExhausted = true; // a source that throws has closed itself
      this.fail(error);
    }
  }

  /** The first one decides; what comes later is dropped. */
  fail(error: unknown): void {
    this.#settle(() => this.#reject(error));
  }

  async #wants(index: number): Promise<boolean> {
    if (this.#running.size >= this.#concurrency) {
      this.#room = Promise.withResolvers();
      await this.#room.promise;
    }
    return !this.#isOver && index < this.#end;
  }

  async #map(item: Item | PromiseLike<Item>, index: number): Promise<void> {
    try {
      const value = await item;
      if (this.#isOver || index >= this.#end) return;
      const result = await this.#mapper(value, index);
      if (result === pMapStop) this.#end = Math.min(this.#end, index);
      else this.#results[index] = result;
    } catch (error) {
      if (index >= this.#end) return;
      if (this.#stopOnError) this.fail(error);
      else this.#errors.push({ index, error });
    } finally {
      this.#running.delete(index);
      this.#room?.resolve();
      this.#finish();
    }
  }

  /** Settles if all that counts is done. */
  #finish(): void {
    if (this.#end === Number.POSITIVE_INFINITY) return;
    for (const index of this.#running) if (index < this.#end) return;
    const errors = this.#errors.filter(({ index }) => index < this.#end).sort((a, b) => a.index - b.index);
    if (errors.length > 0) {
      const all = errors.map(({ error }) => error);
      this.fail(new AggregateError(all, `Cannot map: ${all.length} items failed`));
    } else {
      this.#settle(() => this.#resolve(this.#results.slice(0, this.#end).filter((result) => result !== pMapSkip)));
    }
  }

  #settle(settle: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    settle();
    this.#room?.resolve();
    if (!this.#isExhausted) void this.#close();
  }

  /** The result stands already: how the source closes changes nothing. */
  async #close(): Promise<void> {
    try {
      await this.#source.return?.();
    } catch {}
  }
}

type Source<Item> = Iterator<Item | PromiseLike<Item>> | AsyncIterator<Item | PromiseLike<Item>>;

function iterate<Item>(input: PMapInput<Item>): Source<Item> {
  const iterable: Partial<AsyncIterable<Item> & Iterable<Item>> = Object(input ?? {});
  const source = iterable[Symbol.asyncIterator]?.() ?? iterable[Symbol.iterator]?.();
  if (source !== undefined) return source;
  throw new TypeError(`Cannot map: input must be an iterable or an async iterable, got ${describe(input)}`);
}
