// One batch: its callers, each free to leave, and the context that ends when all of them have.

import type { AsyncResource } from "node:async_hooks";
import { rootNode } from "./ambient.ts";
import type { Receiver, Subscription } from "./cancellation.ts";
import { describe } from "./check.ts";
import type { Timer } from "./clock.ts";
import { ContextNode } from "./context-node.ts";
import { keepResolvers, rejecter, resolver } from "./keep-resolvers.ts";
import { keepShape } from "./keep-shape.ts";

export class Batch<Key, Value> {
  /** What the batch is loaded in: the values of its first caller, without the deadline of any. */
  readonly context: ContextNode;
  /** The `AsyncLocalStorage` frames of its first caller. */
  readonly frame: AsyncResource | undefined;
  timer: Timer | undefined;
  readonly #onEmpty: (batch: Batch<Key, Value>) => void;
  #callers: Caller<Key, Value>[] = [];
  #left = 0;
  #hasDeparted = false;

  constructor(first: ContextNode, onEmpty: (batch: Batch<Key, Value>) => void, frame: AsyncResource | undefined) {
    this.context = new ContextNode({ clock: first.clock, values: first.values, deadline: Number.POSITIVE_INFINITY });
    this.#onEmpty = onEmpty;
    this.frame = frame;
  }

  /** How many callers have not left. */
  get callers(): number {
    return this.#callers.length - this.#left;
  }

  add(key: Key, context: ContextNode): Promise<Value> {
    const caller = new Caller<Key, Value>(this, key);
    this.#callers.push(caller);
    if (!context.isRoot) caller.subscription = context.subscribe(caller);
    return caller.value;
  }

  /** A caller gave up. */
  leave(cause: unknown): void {
    this.#left++;
    if (this.callers > 0) return;
    this.timer?.clear();
    if (this.#hasDeparted) this.context.cancel(cause);
    else this.#onEmpty(this);
  }

  /** Leaves with those who are here; returns their keys. */
  depart(): Key[] {
    this.#hasDeparted = true;
    if (this.#left > 0) this.#callers = this.#callers.filter((caller) => !caller.hasLeft);
    this.#left = 0;
    const keys: Key[] = [];
    for (const caller of this.#callers) keys.push(caller.key);
    return keys;
  }

  /**
   * Leads the stack trace of what happens in `run` to the caller who came first. When it is done all callers are settled,
   * so it settles nobody.
   */
  trace(run: Promise<void>): void {
    this.#callers[0]?.follow(run);
  }

  settle(values: readonly (Value | Error)[]): void {
    const callers = this.#callers;
    if (!Array.isArray(values)) {
      throw new TypeError(`Cannot use what load() gave: it must be an array of results, got ${describe(values)}`);
    }
    if (values.length !== callers.length) {
      throw new TypeError(
        `Cannot use what load() gave: it must have one result for each of the ${callers.length} keys, got ${values.length}`,
      );
    }
    let place = 0;
    for (const caller of callers) caller.settle(values[place++] as Value | Error); // one for each, as was just checked
    this.context.cancel(); // what the load left behind ends with it
  }

  fail(error: unknown): void {
    for (const caller of this.#callers) caller.fail(error);
    this.context.cancel();
  }
}

class Caller<Key, Value> implements Receiver {
  readonly key: Key;
  hasLeft = false;
  subscription: Subscription | undefined;
  readonly #batch: Batch<Key, Value>;
  readonly value: Promise<Value>;
  readonly #resolve: (value: Value) => void;
  readonly #reject: (reason: unknown) => void;

  constructor(batch: Batch<Key, Value>, key: Key) {
    this.#batch = batch;
    this.key = key;
    this.value = new Promise(keepResolvers);
    this.#resolve = resolver;
    this.#reject = rejecter;
  }

  follow(run: Promise<void>): void {
    // It was settled before: what it is called with, if at all, does not matter.
    void run.then(this.#resolve as () => void, this.#reject);
  }

  settle(value: Value | Error): void {
    this.subscription?.[Symbol.dispose]();
    if (value instanceof Error) this.#reject(value);
    else this.#resolve(value);
  }

  fail(error: unknown): void {
    this.subscription?.[Symbol.dispose]();
    this.#reject(error);
  }

  cancelledBy(cause: unknown): undefined {
    this.hasLeft = true;
    this.#reject(cause);
    this.#batch.leave(cause);
  }
}

const kept = new Batch<number, number>(rootNode, () => {}, undefined);
keepShape(kept);
keepShape(new Caller(kept, 1));
