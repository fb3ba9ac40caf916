// The tree of cancellation, deadlines and values that every piece of work runs in, and the one place where it is ambient.
import { AsyncLocalStorage } from "node:async_hooks";
import type { Receiver, Source } from "./cancellation.ts";
import { checkDuration, describe } from "./check.ts";
import { type Clock, systemClock } from "./clock.ts";
import {
  type ExtractOptions,
  extractTimeout,
  type HeaderSource,
  type HeaderTarget,
  injectTimeout,
} from "./context-headers.ts";
import type { ContextKey, ContextValue } from "./context-key.ts";
import { ContextNode, type Values } from "./context-node.ts";
import { isAbortSignal } from "./signal-hub.ts";

/**
 * What a piece of work knows about the call it belongs to: whether it is still wanted, until when, and the values that
 * travel along. Read only; whoever made it with {@link Context.derive} holds the {@link OwnedContext} that can end it.
 */
export interface Context {
  /** Aborts when the context is cancelled, with the same cause. Made on first read: a context that nobody asks costs none. */
  readonly signal: AbortSignal;
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
}

/** A unit of work. */
export type Task<T> = (context: Context) => T | PromiseLike<T>;

export interface DeriveOptions {
  /** Whose cancellation, deadline and values are inherited. Default: the current context. */
  readonly parent?: Context | undefined;
  /** Also cancels the new context, with its own reason. */
  readonly signal?: AbortSignal | Context | undefined;
  /** Milliseconds until it ends by itself with a `TimeoutError`. Never lengthens what is inherited. Default: no limit. */
  readonly timeout?: number | undefined;
  /** The same as a point in time of the context's clock. With both, the earlier counts. Default: no limit. */
  readonly deadline?: number | undefined;
  /** Values to add, made by `key.of(value)`. */
  readonly values?: Iterable<ContextValue> | undefined;
  /** Measures the deadlines of the new context and of all below it. Default: the parent's. */
  readonly clock?: Clock | undefined;
}

/** The only AsyncLocalStorage: the cost of one grows with the number of them in a process. */
const ambient = new AsyncLocalStorage<ContextNode>();

const root = new ContextNode({
  clock: systemClock,
  values: new Map(),
  deadline: Number.POSITIVE_INFINITY,
  isRoot: true,
});

/**
 * Makes contexts and finds the current one.
 *
 * A context is an immutable node in a tree. Cancelling one cancels all below it, parents before children, each with the
 * same cause; a deadline is never later than the one above. It costs one small object until somebody reads its `signal`
 * or waits for it: no `AbortController`, no timer and no link to its parent before that, so a context that is dropped
 * without being disposed is collected like any other object. Timers do not keep the process alive.
 *
 * @example
 * ```ts
 * import { Context } from "@proj/concurrency";
 *
 * using context = Context.derive({ timeout: 5_000 });
 * await Context.run(context, async () => {
 *   const { signal, remaining } = Context.current(); // anywhere below, however deep
 *   console.log(signal.aborted, remaining > 4_000); // false true
 * });
 * ```
 */
export const Context = {
  current,
  run,
  derive,
  detach,
  after,
  inject,
  extract,
} as const;

/** The context of the running code; outside any, a root that is never cancelled. */
function current(): Context {
  return ambient.getStore() ?? root;
}

/** Calls `f` with `context` as the current one, for all it calls and awaits, and returns what it returns. */
function run<T>(context: Context, f: () => T): T {
  return ambient.run(nodeOf("run in a context", "context", context), f);
}

/** Makes a context below another. */
function derive(options: DeriveOptions = {}): OwnedContext {
  const action = "derive a context";
  const above = options.parent === undefined ? (ambient.getStore() ?? root) : nodeOf(action, "parent", options.parent);
  const clock = options.clock ?? above.clock;
  const source = options.signal === undefined ? undefined : endOf(action, options.signal);
  let deadline = Number.POSITIVE_INFINITY;
  let own = Number.POSITIVE_INFINITY;
  for (const other of [above, source]) {
    if (!(other instanceof ContextNode) || other.deadline === Number.POSITIVE_INFINITY) continue;
    if (other.clock === clock) deadline = Math.min(deadline, other.deadline);
    else own = Math.min(own, clock.now() + other.remaining); // on another clock only what is left has a meaning
  }
  if (options.deadline !== undefined) own = Math.min(own, checkDeadline(action, options.deadline));
  if (options.timeout !== undefined)
    own = Math.min(own, clock.now() + checkDuration(action, "timeout", options.timeout));
  let timeout: number | undefined;
  if (own < deadline) {
    deadline = own;
    timeout = Math.max(0, own - clock.now());
  }
  return new ContextNode({
    clock,
    values: options.values === undefined ? above.values : merge(above.values, options.values),
    // A context that never ends need not be listened to.
    parent: above.isRoot ? undefined : above,
    source,
    deadline,
    timeout,
  });
}

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
 * console.log(request.cancelled, audit.cancelled); // true false
 * ```
 */
function detach(context: Context = current()): Context {
  const { clock, values } = nodeOf("detach a context", "context", context);
  return new ContextNode({ clock, values, deadline: Number.POSITIVE_INFINITY, isRoot: true });
}

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
function after(context: Context, callback: (cause: unknown) => void): Disposable {
  const node = nodeOf("wait for the end of a context", "context", context);
  if (typeof callback !== "function") {
    throw new TypeError(`Cannot wait for the end of a context: callback must be a function, got ${describe(callback)}`);
  }
  const listener = new Listener(callback);
  if (node.isRoot) return inert;
  if (!node.cancelled) return node.subscribe(listener);
  listener.cancelledBy(node.cause);
  return inert;
}

const inert: Disposable = { [Symbol.dispose]() {} };

class Listener implements Receiver {
  readonly #callback: (cause: unknown) => void;
  readonly #context = ambient.getStore() ?? root;

  constructor(callback: (cause: unknown) => void) {
    this.#callback = callback;
  }

  cancelledBy(cause: unknown): Source | undefined {
    try {
      ambient.run(this.#context, this.#callback, cause);
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
    return undefined;
  }
}

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
 * console.log(Number(headers.get("x-deadline-ms")) <= 250); // true
 * ```
 */
function inject(context: Context, headers: HeaderTarget): void {
  injectTimeout(nodeOf("inject a context", "context", context).remaining, headers);
}

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
 * console.log(context.remaining <= 1_000); // true
 * ```
 */
function extract(headers: HeaderSource, options: ExtractOptions = {}): OwnedContext {
  const { allowance = 0, ...rest } = options;
  checkDuration("extract a context", "allowance", allowance);
  const asked = Math.max(0, extractTimeout(headers) - allowance);
  if (asked === Number.POSITIVE_INFINITY) return derive(rest);
  if (rest.timeout === undefined) return derive({ ...rest, timeout: asked });
  return derive({ ...rest, timeout: Math.min(asked, checkDuration("extract a context", "timeout", rest.timeout)) });
}

function merge(inherited: Values, added: Iterable<ContextValue>): Values {
  const values = new Map(inherited);
  for (const { key, value } of added) values.set(key, value);
  return values;
}

function checkDeadline(action: string, deadline: number): number {
  if (typeof deadline === "number" && !Number.isNaN(deadline)) return deadline;
  throw new TypeError(
    `Cannot ${action}: deadline must be a time of its clock in milliseconds, got ${describe(deadline)}`,
  );
}

/** What a caller passed as a context; only those made here know how to end. */
function nodeOf(action: string, option: string, value: Context): ContextNode {
  if (value instanceof ContextNode) return value;
  throw new TypeError(`Cannot ${action}: ${option} must be made by Context.derive, got ${describe(value)}`);
}

/** What a caller passed as `signal`; undefined when it never ends. */
export function endOf(action: string, value: AbortSignal | Context): ContextNode | AbortSignal | undefined {
  if (value instanceof ContextNode) return value.isRoot ? undefined : value;
  if (isAbortSignal(value)) return value;
  throw new TypeError(`Cannot ${action}: signal must be an AbortSignal or a Context, got ${describe(value)}`);
}
