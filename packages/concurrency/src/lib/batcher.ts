// Collects single loads into batches: one query for many keys.
import { keepFrame, runIn } from "./ambient.ts";
import { Batch } from "./batcher-batch.ts";
import { BatchSize } from "./batcher-size.ts";
import { checkCount, checkDuration, describe } from "./check.ts";
import { type Clock, systemClock } from "./clock.ts";
import { ClosedError } from "./closed-error.ts";
import type { Context } from "./context.ts";
import { contextFor } from "./derive.ts";
import { register } from "./registry.ts";
import type { WaitOptions } from "./wait-options.ts";

/**
 * Loads a batch: one result for each key, in the order of the keys. An `Error` in a place is the failure of that key
 * alone; a rejection is the failure of all. `context` ends when every caller of the batch has left.
 */
export type LoadBatch<Key, Value> = (
  keys: readonly Key[],
  context: Context,
) => PromiseLike<readonly (Value | Error)[]> | readonly (Value | Error)[];

/** How {@link batcher} forms its batches. */
export interface BatcherOptions {
  /** Used in error messages. Default: `"batcher"`. */
  readonly name?: string | undefined;
  /** Keys in a batch at most; a full batch is loaded at once. Default: 100. */
  readonly maxSize?: number | undefined;
  /**
   * Milliseconds that the first key of a batch waits for others at most. Default: 0, which is until the work that is
   * ready to run, promise callbacks included, has run.
   */
  readonly maxWait?: number | undefined;
  /** Finds the size of batch that loads within a time, by itself, below `maxSize`. Default: every batch may be full. */
  readonly adaptive?: AdaptiveBatching | undefined;
  /** Measures `maxWait` and latencies. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** What an adaptive batcher aims at. */
export interface AdaptiveBatching {
  /**
   * Milliseconds that loading a batch should take. A full batch within it lets the next ones be larger by 1/32 of
   * `maxSize`, one beyond it makes them smaller by a quarter (additive increase, multiplicative decrease, after the
   * Clipper paper).
   */
  readonly targetLatency: number;
}

/** Loads by batches, made by {@link batcher}. */
export interface Batcher<Key, Value> extends AsyncDisposable {
  /** Keys that wait for their batch to be loaded. */
  readonly waiting: number;
  /** Batches being loaded. */
  readonly inFlight: number;
  /** Keys that a batch may have now: `maxSize`, or what `adaptive` has found. */
  readonly size: number;
  /**
   * Adds a key to the current batch and resolves with its value.
   *
   * **Abort**: the caller rejects at once with the reason, and its key is not loaded if the batch has not left yet. The
   * batch goes on for the others; once all have left, its context is cancelled with the reason of the last one.
   *
   * @throws what `load` threw or gave for the key · ClosedError · the reason of the signal or context
   */
  load(key: Key, options?: WaitOptions): Promise<Value>;
  /** Loads the current batch now, without waiting for more. */
  flush(): void;
  /** Loads what waits, refuses new keys with a `ClosedError`, and resolves when all batches are done. */
  close(): Promise<void>;
}

/**
 * Turns loads of one key into loads of many.
 *
 * Equal keys are not merged: put a {@link singleflight} in front for that. The batch runs in a context of its own, with
 * the values of the caller that opened it, whose `AsyncLocalStorage` frames it has as well.
 *
 * @example
 * ```ts
 * import { batcher } from "@proj/concurrency";
 *
 * const names = new Map([[1, "Ada"], [2, "Grace"]]);
 * await using users = batcher(async (ids: readonly number[]) => {
 *   console.log("where id in", ids); // prints: where id in [ 1, 2, 3 ]
 *   return ids.map((id) => names.get(id) ?? new Error(`There is no user ${id}`));
 * });
 *
 * const found = await Promise.allSettled([users.load(1), users.load(2), users.load(3)]);
 * console.log(found.map(({ status }) => status)); // prints: [ 'fulfilled', 'fulfilled', 'rejected' ]
 * ```
 *
 * @throws TypeError, RangeError for options out of range.
 */
export function batcher<Key, Value>(load: LoadBatch<Key, Value>, options: BatcherOptions = {}): Batcher<Key, Value> {
  if (typeof load !== "function") {
    throw new TypeError(`Cannot create a batcher: load must be a function, got ${describe(load)}`);
  }
  const made: Batcher<Key, Value> = new Batches(load, options);
  if (options.name !== undefined) {
    register("batcher", options.name, made, ({ waiting, inFlight, size }) => ({ waiting, inFlight, size }));
  }
  return made;
}

class Batches<Key, Value> implements Batcher<Key, Value> {
  readonly #load: LoadBatch<Key, Value>;
  readonly #name: string;
  readonly #maxWait: number;
  readonly #clock: Clock;
  readonly #size: BatchSize;
  #current: Batch<Key, Value> | undefined;
  #isTickDue = false;
  #inFlight = 0;
  #isClosed = false;
  #drained: PromiseWithResolvers<void> | undefined;

  constructor(load: LoadBatch<Key, Value>, options: BatcherOptions) {
    const action = "create a batcher";
    const { name = "batcher", maxSize = 100, maxWait = 0, adaptive, clock = systemClock } = options;
    this.#load = load;
    this.#name = name;
    this.#maxWait = checkDuration(action, "maxWait", maxWait);
    this.#clock = clock;
    checkCount(action, "maxSize", maxSize, 1, adaptive === undefined);
    if (adaptive !== undefined) checkDuration(action, "adaptive.targetLatency", adaptive.targetLatency);
    this.#size = new BatchSize(maxSize, adaptive?.targetLatency);
  }

  get waiting(): number {
    return this.#current?.callers ?? 0;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get size(): number {
    return this.#size.limit;
  }

  load(key: Key, options?: WaitOptions): Promise<Value> {
    try {
      const context = contextFor("load a key", options?.signal);
      if (context.cancelled) return Promise.reject(context.cause);
      if (this.#isClosed) return Promise.reject(new ClosedError(this.#name));
      let batch = this.#current;
      if (batch === undefined) {
        batch = new Batch<Key, Value>(context, this.#forget, keepFrame());
        this.#current = batch;
        this.#schedule(batch);
      }
      const loading = batch.add(key, context);
      if (batch.callers >= this.#size.limit) this.#depart(batch);
      return loading;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  flush(): void {
    if (this.#current !== undefined) this.#depart(this.#current);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.flush();
    this.#drained ??= Promise.withResolvers();
    if (this.#inFlight === 0) this.#drained.resolve();
    return this.#drained.promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #schedule(batch: Batch<Key, Value>): void {
    if (this.#maxWait > 0) {
      batch.timer = this.#clock.setTimeout(this.#depart, this.#maxWait, batch);
      batch.timer.ref(); // callers wait for it
    } else if (!this.#isTickDue) {
      this.#isTickDue = true;
      // The next tick comes when no promise callback is left to run; asked for outside of one it would come before them.
      queueMicrotask(() => process.nextTick(this.#onTick));
    }
  }

  /** One tick serves all batches of a turn: it holds none of those that were full before. */
  readonly #onTick = (): void => {
    this.#isTickDue = false;
    this.flush();
  };

  /** All callers left before departure. */
  readonly #forget = (batch: Batch<Key, Value>): void => {
    if (this.#current === batch) this.#current = undefined;
  };

  readonly #depart = (batch: Batch<Key, Value>): void => {
    if (this.#current !== batch) return; // it was full, flushed or given up before its time
    this.#current = undefined;
    batch.timer?.clear();
    batch.trace(this.#run(batch));
  };

  async #run(batch: Batch<Key, Value>): Promise<void> {
    this.#inFlight++;
    const { context, frame } = batch;
    const keys = batch.depart();
    const startedAt = this.#size.isAdaptive ? this.#clock.now() : 0;
    try {
      const values = await runIn(context, (context) => this.#load(keys, context), context, frame);
      batch.settle(values);
    } catch (error) {
      batch.fail(error);
    }
    if (this.#size.isAdaptive) this.#size.learn(keys.length, this.#clock.now() - startedAt);
    if (--this.#inFlight === 0) this.#drained?.resolve();
  }
}
