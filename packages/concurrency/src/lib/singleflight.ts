// Callers who want the same thing at the same time share one piece of work.
import { currentNode, rootNode, runIn } from "./ambient.ts";
import type { Receiver, Subscription } from "./cancellation.ts";
import { describe } from "./check.ts";
import type { Task } from "./context.ts";
import { ContextNode } from "./context-node.ts";
import { contextFor } from "./derive.ts";
import { keepShape } from "./keep-shape.ts";
import type { WaitOptions } from "./wait-options.ts";

/** Shares running work by key, made by {@link singleflight}. */
export interface Singleflight<Key, Value> {
  /** Flights in the air. */
  readonly size: number;
  /**
   * Joins the flight of `key`, or starts it with `task` if there is none. All who join get the same value, or the same
   * error object. When it has landed the next call starts a new one: nothing is cached.
   *
   * **Abort**: a caller whose signal or context ends rejects at once, alone, with that reason. The flight goes on for
   * the others; when the last one has left, its context is cancelled with the reason of that last one, and the next
   * call starts a new flight. **Context**: the task gets a context of its own with the values of the caller that started
   * it, without that caller's deadline. A task must not join its own flight: it would wait for itself.
   */
  run(key: Key, task: Task<Value>, options?: WaitOptions): Promise<Value>;
}

/**
 * Makes a table of flights. Keys are compared as in a `Map`.
 *
 * @example
 * ```ts
 * import { singleflight } from "@proj/concurrency";
 *
 * let queries = 0;
 * const users = singleflight<number, string>();
 * const load = (id: number) => users.run(id, async () => `user ${id}, query ${++queries}`);
 *
 * console.log(new Set(await Promise.all([load(1), load(1), load(1)]))); // prints: Set(1) { 'user 1, query 1' }
 * console.log(await load(1)); // prints: user 1, query 2
 * ```
 */
export function singleflight<Key, Value>(): Singleflight<Key, Value> {
  return new Flights();
}

class Flights<Key, Value> implements Singleflight<Key, Value> {
  readonly #flights = new Map<Key, Flight<Value>>();

  get size(): number {
    return this.#flights.size;
  }

  run(key: Key, task: Task<Value>, options?: WaitOptions): Promise<Value> {
    try {
      const context = options === undefined ? currentNode() : contextFor("join a flight", options.signal);
      if (context.cancelled) return Promise.reject(context.cause);
      return this.#flights.get(key)?.join(context) ?? this.#start(key, task, context);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #start(key: Key, task: Task<Value>, context: ContextNode): Promise<Value> {
    if (typeof task !== "function") {
      throw new TypeError(`Cannot start a flight: task must be a function, got ${describe(task)}`);
    }
    const flight = new Flight<Value>(context, () => {
      // A flight that everybody has left may have been followed by another one of the same key.
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    });
    this.#flights.set(key, flight);
    return flight.start(task, context);
  }
}

class Flight<Value> {
  readonly #context: ContextNode;
  readonly #onGone: () => void;
  /** Those who can leave; made for the first of them. */
  #callers: Set<Caller<Value>> | undefined;
  /** Somebody has come who can never leave. */
  #isPinned = false;
  #hasLanded = false;
  #promise: Promise<Value> | undefined;

  constructor(starter: ContextNode, onGone: () => void) {
    // A caller who can never leave keeps the flight in the air: it needs no context that somebody could cancel.
    this.#context = starter.isRoot
      ? starter
      : new ContextNode({ clock: starter.clock, values: starter.values, deadline: Number.POSITIVE_INFINITY });
    this.#onGone = onGone;
  }

  /** For its first caller, whose context may have ended when the task has begun. */
  start(task: Task<Value>, context: ContextNode): Promise<Value> {
    const promise = this.#fly(task);
    this.#promise = promise;
    if (!context.cancelled) return this.join(context);
    promise.catch(() => {});
    this.leave(undefined, context.cause);
    return Promise.reject(context.cause);
  }

  join(context: ContextNode): Promise<Value> {
    const promise = this.#promise;
    if (promise === undefined) throw new Error("Cannot join a flight from its own task: it would wait for itself");
    if (context.isRoot) this.#isPinned = true;
    if (context.isRoot || this.#hasLanded) return promise;
    const caller = new Caller(this, context);
    this.#callers ??= new Set();
    this.#callers.add(caller);
    return caller.follow(promise);
  }

  leave(caller: Caller<Value> | undefined, cause: unknown): void {
    if (caller !== undefined) this.#callers?.delete(caller);
    if (this.#isPinned || (this.#callers?.size ?? 0) > 0) return;
    this.#onGone();
    this.#context.cancel(cause);
  }

  async #fly(task: Task<Value>): Promise<Value> {
    const context = this.#context;
    try {
      return await (context === currentNode() ? task(context) : runIn(context, task, context));
    } finally {
      this.#hasLanded = true;
      this.#onGone();
      if (this.#callers !== undefined) for (const caller of this.#callers) caller.stay();
      if (!context.isRoot) context.cancel(); // what the task left behind ends with it
    }
  }
}

/** A caller who can leave. */
class Caller<Value> implements Receiver {
  readonly #flight: Flight<Value>;
  readonly #subscription: Subscription;
  readonly #outcome = Promise.withResolvers<Value>();

  constructor(flight: Flight<Value>, context: ContextNode) {
    this.#flight = flight;
    this.#subscription = context.subscribe(this);
  }

  /** The promise's own functions, without a closure: so an async stack trace reaches from the task to the caller. */
  follow(promise: Promise<Value>): Promise<Value> {
    const { promise: outcome, resolve, reject } = this.#outcome;
    promise.then(resolve, reject);
    return outcome;
  }

  /** The flight has landed: it is too late to leave. */
  stay(): void {
    this.#subscription[Symbol.dispose]();
  }

  cancelledBy(cause: unknown): undefined {
    this.#outcome.reject(cause);
    this.#flight.leave(this, cause);
  }
}

keepShape(new Flight<unknown>(rootNode, () => {}));
