// The tree of cancellation, deadlines and values that every piece of work runs in.
import { currentNode, runIn } from "./ambient.ts";
import type { Receiver, Source } from "./cancellation.ts";
import { checkDuration, describe } from "./check.ts";
import type { Clock } from "./clock.ts";
import {
  type ExtractOptions,
  extractTimeout,
  type HeaderSource,
  type HeaderTarget,
  injectTimeout,
} from "./context-headers.ts";
import type { ContextKey } from "./context-key.ts";
import { type DeriveOptions, derive, detach, nodeOf } from "./derive.ts";

/**
 * What a piece of work knows about the call it belongs to: whether it is still wanted, until when, and the values that
 * travel along. Read only; whoever made it with {@link Context.derive} holds the {@link OwnedContext} that can end it.
 */
export interface Context {
  /** Aborts when the context is cancelled, with the same cause. Made on first read: a context that nobody asks costs none. */
  readonly signal: AbortSignal;
  /** Measures the deadline. */
  readonly clock: Clock;
  /** In milliseconds of the context's clock; `Infinity` when there is none. */
  readonly deadline: number;
  /** Milliseconds until the deadline, never below zero; `Infinity` when there is none. */
  readonly remaining: number;
  /** Whether this context, or one above it, was cancelled or has passed its deadline. */
  readonly cancelled: boolean;
  /** Why; `undefined` while it is not cancelled. One object for all contexts that ended together. */
  readonly cause: unknown;
  /** Throws {@link Context.cause}, untouched, if the context is cancelled. */
  throwIfCancelled(): void;
  /** The value of the nearest context that has one under this key. */
  get<T>(key: ContextKey<T>): T | undefined;
}

/** A context in the hands of its maker. Disposing it cancels it and lets go of its timer and its links. */
export interface OwnedContext extends Context, Disposable {
  /** Ends this context and all below it, once. Without a cause it is a `CancelledError`. */
  cancel(cause?: unknown): void;
  /**
   * Lets go of its timer and its links without ending it: from now on only `cancel` does. For work that is done while its
   * result lives on with the signal, as a response whose body is still to be read. An end above that nobody has heard of
   * by then counts no more.
   */
  release(): void;
}

/** A unit of work. */
export type Task<T> = (context: Context) => T | PromiseLike<T>;

/**
 * Makes contexts and finds the current one.
 *
 * A context is an immutable node in a tree. Cancelling one cancels all below it, parents before children, each with the
 * same cause; a deadline is never later than the one above. It costs one small object until somebody reads its `signal`
 * or waits for it: no `AbortController`, no timer and no link to its parent before that, so a context that is dropped
 * without being disposed is collected like any other object. One whose `signal` was read stays until it is disposed,
 * released or cancelled, or what is above it ends: the signal may have listeners, and nobody can tell. Timers do not keep
 * the process alive.
 *
 * @example
 * ```ts
 * import { Context } from "@proj/concurrency";
 *
 * using context = Context.derive({ timeout: 5_000 });
 * await Context.run(context, async () => {
 *   const { signal, remaining } = Context.current(); // anywhere below, however deep
 *   console.log(signal.aborted, remaining > 4_000); // prints: false true
 * });
 * ```
 */
export const Context = {
  /** The context of the running code; outside any, a root that is never cancelled. */
  current(): Context {
    return currentNode();
  },

  /**
   * Calls `f` with `context` as the current one, for all it calls and awaits, and returns what it returns. An `argument`
   * for `f` saves those who run much a closure.
   */
  run: run as {
    <T>(context: Context, f: () => T): T;
    <A, T>(context: Context, f: (argument: A) => T, argument: A): T;
  },

  /** Makes a context below another one, by default below the current one. */
  derive(options: DeriveOptions = {}): OwnedContext {
    return derive(options);
  },

  /**
   * Keeps the values and the clock of a context, and drops its cancellation and deadline: for work that must go on after
   * the call that started it has ended. Default: the current context.
   *
   * @example
   * ```ts
   * import { Context } from "@proj/concurrency";
   *
   * const request = Context.derive();
   * const audit = Context.detach(request);
   * request.cancel();
   * console.log(request.cancelled, audit.cancelled); // prints: true false
   * ```
   */
  detach(context: Context = currentNode()): Context {
    return detach(nodeOf("detach a context", "context", context));
  },

  /**
   * Calls `callback(cause)` once when the context ends: at once if it has ended already, else in the order of
   * registration, within the call that cancels. It runs with the context that is current now as its current context.
   * Dispose the result to unregister. An error it throws is an uncaught exception, as for any event listener, and keeps
   * nobody else from being told.
   *
   * @example
   * ```ts
   * import { Context } from "@proj/concurrency";
   *
   * const context = Context.derive();
   * using registration = Context.after(context, (cause) => console.log("ended:", cause));
   * context.cancel("no longer needed"); // ended: no longer needed
   * ```
   */
  after(context: Context, callback: (cause: unknown) => void): Disposable {
    const node = nodeOf("wait for the end of a context", "context", context);
    if (typeof callback !== "function") {
      throw new TypeError(
        `Cannot wait for the end of a context: callback must be a function, got ${describe(callback)}`,
      );
    }
    if (node.isRoot) return inert;
    const listener = new Listener(callback);
    if (!node.cancelled) return node.subscribe(listener);
    listener.cancelledBy(node.cause);
    return inert;
  },

  /**
   * Writes the time left into outgoing headers as `x-deadline-ms`: a duration, so the clocks of the two machines need not
   * agree. Without a deadline nothing is written; a shorter time that is there already stays.
   *
   * @example
   * ```ts
   * import { Context } from "@proj/concurrency";
   *
   * using context = Context.derive({ timeout: 250 });
   * const headers = new Headers();
   * Context.inject(context, headers);
   * console.log(Number(headers.get("x-deadline-ms")) <= 250); // prints: true
   * ```
   */
  inject(context: Context, headers: HeaderTarget): void {
    injectTimeout(nodeOf("inject a context", "context", context).remaining, headers);
  },

  /**
   * Makes a context from incoming headers: the shortest time in `x-deadline-ms`, `grpc-timeout`, `connect-timeout-ms` and
   * `x-envoy-expected-rq-timeout-ms`, cut to `timeout` and to what `parent` has left. A caller can shorten the time, never
   * extend it. Values that cannot be read are ignored: nothing a peer sends makes this throw.
   *
   * @example
   * ```ts
   * import { Context } from "@proj/concurrency";
   *
   * using context = Context.extract({ "x-deadline-ms": "60000" }, { timeout: 1_000 });
   * console.log(context.remaining <= 1_000); // prints: true
   * ```
   */
  extract(headers: HeaderSource, options: ExtractOptions = {}): OwnedContext {
    const { allowance = 0, ...rest } = options;
    checkDuration("extract a context", "allowance", allowance);
    const asked = Math.max(0, extractTimeout(headers) - allowance);
    if (asked === Number.POSITIVE_INFINITY) return derive(rest);
    if (rest.timeout === undefined) return derive({ ...rest, timeout: asked });
    return derive({ ...rest, timeout: Math.min(asked, checkDuration("extract a context", "timeout", rest.timeout)) });
  },
} as const;

function run<A, T>(context: Context, f: (argument: A) => T, argument: A): T {
  return runIn(nodeOf("run in a context", "context", context), f, argument);
}

const inert: Disposable = { [Symbol.dispose]() {} };

class Listener implements Receiver {
  readonly #callback: (cause: unknown) => void;
  readonly #context = currentNode();

  constructor(callback: (cause: unknown) => void) {
    this.#callback = callback;
  }

  cancelledBy(cause: unknown): Source | undefined {
    try {
      const callback = this.#callback;
      if (this.#context === currentNode()) callback(cause);
      else runIn(this.#context, callback, cause);
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
    return undefined;
  }
}
