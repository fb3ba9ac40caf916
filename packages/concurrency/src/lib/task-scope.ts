// A family of tasks with one life: none of them outlives it, and one decides for all.
import { currentNode, runIn } from "./ambient.ts";
import { checkCount, describe } from "./check.ts";
import type { Clock } from "./clock.ts";
import { ClosedError } from "./closed-error.ts";
import type { Context, Task } from "./context.ts";
import type { ContextNode } from "./context-node.ts";
import { derive } from "./derive.ts";
import { keepShape } from "./keep-shape.ts";
import { asKind } from "./registry-kind.ts";
import { keepSuppressed } from "./scope-failures.ts";
import { Semaphore } from "./semaphore.ts";

/**
 * What ends a scope before all of its tasks are done:
 * - `"all"`: the first failure;
 * - `"any"`: the first success;
 * - `"race"`: the first of both;
 * - `"settled"`: nothing.
 */
export type Join = "all" | "any" | "settled" | "race";

/** What {@link TaskScope.join} gives. */
export type Joined<J extends Join, T> = J extends "all"
  ? undefined
  : J extends "settled"
    ? PromiseSettledResult<T>[]
    : T;

/** How tasks of a scope run and end. */
export interface ScopeOptions<J extends Join = "all"> {
  /** When the rest is cancelled, and what counts as a failure of the scope. Default: `"all"`. */
  readonly join?: J | undefined;
  /** How many tasks may run at a time; the others wait in order. Default: `Infinity`. */
  readonly limit?: number | undefined;
  /** Milliseconds until the scope's context ends with a `TimeoutError`. Default: no limit. */
  readonly timeout?: number | undefined;
  /** Cancels the scope, with its own reason. The scope always ends with the context it was made in. */
  readonly signal?: AbortSignal | Context | undefined;
  /** Used in error messages. Default: `"scope"`. */
  readonly name?: string | undefined;
  /** Measures `timeout`. Default: that of the current context. */
  readonly clock?: Clock | undefined;
}

/**
 * Calls the body of {@link scope}, whose failure is one of the scope whatever `join` says, and waits for the tasks. Made by
 * the class below, whose privates it uses: a method would be for everybody.
 */
export let runBody: <R, T, J extends Join>(
  scope: TaskScope<T, J>,
  body: (scope: TaskScope<T, J>) => R | PromiseLike<R>,
) => Promise<R>;

/**
 * A scope to hold with `await using`, for code that does not fit into one callback; otherwise {@link scope} is simpler.
 *
 * **Join**: a block cannot tell whether it ended well, so the end must be asked for: `await scope.join()`. Without that,
 * disposing cancels the tasks; it always waits until none is left, and never throws. **Failures**: the scope owns them,
 * so a promise of `spawn` that nobody awaits is never an unhandled rejection. A task that ends because the scope was
 * cancelled, by rejecting with that cause, has not failed.
 *
 * @example
 * ```ts
 * import { TaskScope } from "@proj/concurrency";
 *
 * await using scope = new TaskScope<number, "settled">({ join: "settled", limit: 2 });
 * for (const value of [1, 2, 3]) scope.spawn(async () => value * 2);
 * const results = await scope.join();
 * console.log(results.map(({ status }) => status)); // prints: [ 'fulfilled', 'fulfilled', 'fulfilled' ]
 * ```
 */
export class TaskScope<T = unknown, J extends Join = "all"> implements AsyncDisposable {
  /** As in the options; `"scope"` without one. */
  readonly name: string;
  readonly #join: Join;
  readonly #node: ContextNode;
  readonly #limit: Semaphore | undefined;
  /** Only for `"settled"`: a scope that spawns for ever must not keep what it has been given. */
  readonly #results: PromiseSettledResult<T>[] = [];
  /** For `"any"` all failures so far, else those after the first. */
  readonly #failures: unknown[] = [];
  #end: End | undefined;
  #spawned = 0;
  #active = 0;
  #idle: PromiseWithResolvers<void> | undefined;
  #closed = false;

  /** @throws TypeError or RangeError for an option that is none. */
  constructor(options: ScopeOptions<J> = {}) {
    const action = "create a scope";
    const { join = "all", limit, name = "scope", timeout, signal, clock } = options;
    if (!joins.has(join)) {
      throw new TypeError(`Cannot ${action}: join must be "all", "any", "settled" or "race", got ${describe(join)}`);
    }
    if (limit !== undefined) checkCount(action, "limit", limit, 1, true);
    this.name = name;
    this.#join = join;
    this.#limit = limit === undefined ? undefined : new Semaphore(limit, asKind(name, {}));
    this.#node = derive({ timeout, signal, clock }, action);
  }

  /** What the tasks run in. Ends with the scope. */
  get context(): Context {
    return this.#node;
  }

  /** How many tasks have been spawned and are not done. */
  get active(): number {
    return this.#active;
  }

  /**
   * Starts a task, at once unless `limit` makes it wait, and gives its result. The task runs in the context of the
   * scope, which is also its argument. In a scope that has been cancelled it does not start, and rejects with the cause.
   *
   * @throws ClosedError, as a rejection, when the scope is over
   */
  spawn<R extends T>(task: Task<R>): Promise<R> {
    if (this.#closed) {
      const refused = this.#refuse();
      refused.catch(ignore);
      return refused;
    }
    const index = this.#spawned++;
    this.#active++;
    // No async function in between: this is what a task costs, and `then` leads the stack of its error to the caller.
    const done: Promise<R> = this.#start(task).then(
      this.#join === "all" ? this.#onDone : (value) => this.#onSuccess(value, index),
      (error) => {
        // A handler, but only now: with one more from the start, the stack of the error would have ended here.
        done.catch(ignore);
        this.#onFailure(error, index);
        throw error;
      },
    );
    return done;
  }

  #start<R>(task: Task<R>): Promise<R> {
    const node = this.#node;
    if (this.#limit !== undefined) return this.#limit.run(task, { signal: node });
    try {
      if (node.cancelled) return Promise.reject(node.cause);
      return Promise.resolve(currentNode() === node ? task(node) : runIn(node, task, node));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #refuse(): Promise<never> {
    throw new ClosedError(this.name);
  }

  /**
   * Waits until no task is left, those included that are spawned meanwhile, and gives what `join` says: nothing for
   * `"all"`, the first success for `"any"`, the first result for `"race"`, and for `"settled"` all results in the order
   * in which they were spawned.
   *
   * @throws the first failure, untouched (`"all"`, and `"race"` if it came first; {@link suppressed} tells of the
   * others) · AggregateError with all failures in order (`"any"`) · the cause, if the scope was cancelled before
   * · TypeError, if nothing was spawned that could win
   */
  async join(): Promise<Joined<J, T>> {
    await this.#drain();
    this.#throwFailure();
    // The class is told by J what the option `join` said.
    return this.#joined() as Joined<J, T>;
  }

  #joined(): unknown {
    if (this.#join === "all") return undefined;
    if (this.#join === "settled") return [...this.#results];
    if (this.#end?.kind === "won") return this.#end.value;
    this.#node.throwIfCancelled();
    throw new TypeError(`Cannot join ${this.name}: nothing was spawned that could win`);
  }

  /** Cancels what runs and what waits. The scope is over when all of it has ended. */
  cancel(cause?: unknown): void {
    this.#node.cancel(cause);
  }

  /** Cancels whatever {@link TaskScope.join} has not waited for, and waits for it. Failures are dropped. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#node.cancel();
    await this.#drain();
    this.#closed = true;
  }

  static {
    runBody = async (scope, body) => {
      const outcome = await scope.#runBody(body);
      await scope.#drain();
      scope.#closed = true;
      scope.#throwFailure();
      scope.#node.cancel(); // lets go of timer and links
      if ("error" in outcome) throw outcome.error;
      return outcome.value;
    };
  }

  async #runBody<R>(body: (scope: this) => R | PromiseLike<R>): Promise<{ value: R } | { error: unknown }> {
    try {
      return { value: await runIn(this.#node, body, this) };
    } catch (error) {
      this.#fail(error);
      return { error };
    }
  }

  /** Bound, so that a task which is one of `"all"` needs no closure. */
  readonly #onDone = <R>(value: R): R => {
    if (--this.#active === 0) this.#idle?.resolve();
    return value;
  };

  #onSuccess<R extends T>(value: R, index: number): R {
    if (this.#join === "settled") {
      this.#results[index] = { status: "fulfilled", value };
    } else if (this.#end === undefined) {
      this.#end = { kind: "won", value };
      this.#node.cancel();
    }
    return this.#onDone(value);
  }

  #onFailure(error: unknown, index: number): void {
    if (this.#join === "settled") this.#results[index] = { status: "rejected", reason: error };
    else if (this.#join === "any") this.#failures.push(error);
    else this.#fail(error);
    this.#onDone(undefined);
  }

  /** The first failure ends the scope, unless somebody has won already. */
  #fail(error: unknown): void {
    const obeys = this.#isObedience(error);
    if (this.#end === undefined) {
      this.#end = { kind: "failed", error: obeys ? this.#node.cause : error };
      this.#node.cancel(error);
    } else if (this.#end.kind === "failed" && !obeys && error !== this.#end.error) {
      this.#failures.push(error);
    }
  }

  /** Whether it only says that the scope was cancelled: by the cause itself, or by the platform's wrapper for it. */
  #isObedience(error: unknown): boolean {
    if (!this.#node.cancelled) return false;
    const { cause } = this.#node;
    return error === cause || (error instanceof Error && error.name === "AbortError" && error.cause === cause);
  }

  #throwFailure(): void {
    if (this.#end?.kind === "failed") {
      keepSuppressed(this.#end.error, this.#failures.splice(0));
      throw this.#end.error;
    }
    if (this.#join !== "any" || this.#end !== undefined || this.#spawned === 0) return;
    if (this.#node.cancelled) throw this.#node.cause; // from outside: nobody has won
    throw new AggregateError(this.#failures, `Every task of ${this.name} failed`);
  }

  /** Resolves when no task is left. */
  async #drain(): Promise<void> {
    while (this.#active > 0) {
      this.#idle ??= Promise.withResolvers();
      await this.#idle.promise;
      this.#idle = undefined;
    }
  }
}

type End = { readonly kind: "failed"; readonly error: unknown } | { readonly kind: "won"; readonly value: unknown };

const joins: ReadonlySet<string> = new Set<Join>(["all", "any", "settled", "race"]);

function ignore(): void {}

keepShape(new TaskScope());
