// Calls what the owner of a pool passed in: in a context of its own, and for a limited time.
import { runIn } from "./ambient.ts";
import type { Receiver, Subscription } from "./cancellation.ts";
import type { Clock } from "./clock.ts";
import type { Context } from "./context.ts";
import { ContextNode } from "./context-node.ts";

/**
 * Resolves with what `call` gives, or rejects with a TimeoutError when `timeout` milliseconds are over; what it gives
 * after that goes to `onLate`. The context has no values: what a pool does serves no caller in particular.
 */
export async function withinTime<T>(
  clock: Clock,
  timeout: number,
  call: (context: Context) => T | PromiseLike<T>,
  onLate?: (value: T) => void,
): Promise<T> {
  const deadline = clock.now() + timeout;
  const context = new ContextNode({ clock, values: new Map(), deadline, timeout });
  const given = runIn(context, call, context);
  if (!isPromiseLike(given)) return given; // nothing to wait for: no timer is set
  const wait = new Wait<T>(context);
  Promise.resolve(given).then(wait.resolve, wait.reject);
  try {
    return await wait.promise;
  } catch (error) {
    if (wait.isOver && onLate !== undefined) Promise.resolve(given).then(onLate, () => {});
    throw error;
  } finally {
    wait.subscription[Symbol.dispose]();
    context.cancel();
  }
}

class Wait<T> implements Receiver {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
  readonly subscription: Subscription;
  isOver = false;

  constructor(context: ContextNode) {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.promise = promise;
    this.resolve = resolve;
    this.reject = reject;
    this.subscription = context.subscribe(this);
  }

  cancelledBy(cause: unknown): undefined {
    this.isOver = true;
    this.reject(cause);
  }
}

function isPromiseLike<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
