// Makes nodes of the tree from what callers pass.
import { currentNode } from "./ambient.ts";
import { checkDuration, describe } from "./check.ts";
import type { Clock } from "./clock.ts";
import type { Context } from "./context.ts";
import type { ContextValue } from "./context-key.ts";
import { ContextNode, type Values } from "./context-node.ts";
import { isAbortSignal } from "./signal-hub.ts";

/** What a new context inherits, and what it adds. */
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
  /** What `timeout` counts from, for those who have just read the clock. Default: its time now. */
  readonly now?: number | undefined;
}

const never = Number.POSITIVE_INFINITY;

export function derive(options: DeriveOptions, action = "derive a context"): ContextNode {
  const parent = options.parent === undefined ? currentNode() : nodeOf(action, "parent", options.parent);
  const source = options.signal === undefined ? undefined : sourceOf(action, options.signal);
  const clock = options.clock ?? parent.clock;

  let { deadline } = parent;
  let own = never;
  // On another clock only what is left of a deadline has a meaning.
  if (parent.clock !== clock && deadline !== never) {
    own = clock.now() + parent.remaining;
    deadline = never;
  }
  if (source instanceof ContextNode && source.deadline !== never) {
    if (source.clock === clock) deadline = Math.min(deadline, source.deadline);
    else own = Math.min(own, clock.now() + source.remaining);
  }
  if (options.deadline !== undefined) own = Math.min(own, checkDeadline(action, options.deadline));
  let length: number | undefined; // of `own`, where it is known
  if (options.timeout !== undefined) {
    const end = (options.now ?? clock.now()) + checkDuration(action, "timeout", options.timeout);
    if (end < own) {
      own = end;
      length = options.timeout;
    }
  }

  return new ContextNode({
    clock,
    values: options.values === undefined ? parent.values : merge(parent.values, options.values),
    parent: parent.isRoot ? undefined : parent, // what never ends need not be listened to
    source,
    deadline: Math.min(own, deadline),
    timeout: own < deadline ? (length ?? Math.max(0, own - clock.now())) : undefined,
  });
}

/** A root with the values and the clock of a context, or with another clock. */
export function detach(node: ContextNode, clock: Clock = node.clock): ContextNode {
  return new ContextNode({ clock, values: node.values, deadline: never, isRoot: true });
}

/** The context to wait and to work in, when a caller may have passed a signal or another context. */
export function contextFor(action: string, signal: AbortSignal | Context | undefined): ContextNode {
  if (signal === undefined) return currentNode();
  return signal instanceof ContextNode ? signal : derive({ signal }, action);
}

/** What a caller passed as a context: only those made here know how to end. */
export function nodeOf(action: string, option: string, value: Context): ContextNode {
  if (value instanceof ContextNode) return value;
  throw new TypeError(`Cannot ${action}: ${option} must be made by Context.derive, got ${describe(value)}`);
}

function sourceOf(action: string, value: AbortSignal | Context): ContextNode | AbortSignal | undefined {
  if (value instanceof ContextNode) return value.isRoot ? undefined : value;
  if (isAbortSignal(value)) return value;
  throw new TypeError(`Cannot ${action}: signal must be an AbortSignal or a Context, got ${describe(value)}`);
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
