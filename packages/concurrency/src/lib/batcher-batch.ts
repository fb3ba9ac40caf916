// One batch: its callers, each free to leave, and the context that ends when all of them have.
import type { Receiver, Subscription } from "./cancellation.ts";
import { describe } from "./check.ts";
import type { Timer } from "./clock.ts";
import { ContextNode } from "./context-node.ts";

export class Batch<Key, Value> {
  /** What the batch is loaded in: the values of its first caller, without the deadline of any. */
  readonly context: ContextNode;
  timer: Timer | undefined;
  readonly #onEmpty: (batch: Batch<Key, Value>) => void;
  #callers: Caller<Key, Value>[] = [];
  #left = 0;
  #hasDeparted = false;

  constructor(first: ContextNode, onEmpty: (batch: Batch<Key, Value>) => void) {
    this.context = new ContextNode({ clock: first.clock, values: first.values, deadline: Number.POSITIVE_INFINITY });
    this.#onEmpty = onEmpty;
  }

  /** How many callers have not left. */
  get callers(): number {
    return this.#callers.length - this.#left;
  }

  add(key: Key, context: ContextNode): Promise<Value> {
    return new Promise((resolve, reject) => {
      const caller = new Caller(this, key, resolve, reject);
      this.#callers.push(caller);
      if (!context.isRoot) caller.subscription = context.subscribe(caller);
    });
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
    return this.#callers.map((caller) => caller.key);
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
    for (let i = 0; i < callers.length; i++) {
      // One value for each caller: that has just been checked.
      callers[i]?.settle(values[i] as Value | Error);
    }
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
  readonly #resolve: (value: Value) => void;
  readonly #reject: (reason: unknown) => void;

  constructor(batch: Batch<Key, Value>, key: Key, resolve: (value: Value) => void, reject: (reason: unknown) => void) {
    this.#batch = batch;
    this.key = key;
    this.#resolve = resolve;
    this.#reject = reject;
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
