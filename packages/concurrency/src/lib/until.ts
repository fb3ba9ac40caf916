// Waits that a context can end.
import type { Receiver, Source, Subscription } from "./cancellation.ts";
import type { Clock } from "./clock.ts";
import type { ContextNode } from "./context-node.ts";

/** Settles as `promise` does, or rejects with the context's cause if that ends first. The promise is never left unhandled. */
export function until<T>(context: ContextNode, promise: PromiseLike<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    promise.then(resolve, reject); // the native resolvers, which keep the chain of the stack
    const subscription = onEnd(context, reject);
    if (subscription === undefined) return;
    const leave = (): void => subscription[Symbol.dispose]();
    promise.then(leave, leave);
  });
}

/** Resolves after `ms` milliseconds, or rejects with the context's cause if that ends first. Keeps the process alive. */
export function sleep(context: ContextNode, clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimeout(() => {
      subscription?.[Symbol.dispose]();
      resolve();
    }, ms);
    timer.ref();
    const subscription = onEnd(context, (cause) => {
      timer.clear();
      reject(cause);
    });
  });
}

function onEnd(context: ContextNode, callback: (cause: unknown) => void): Subscription | undefined {
  if (context.isRoot) return undefined;
  if (!context.cancelled) return context.subscribe(new Callback(callback));
  callback(context.cause);
  return undefined;
}

class Callback implements Receiver {
  readonly #callback: (cause: unknown) => void;

  constructor(callback: (cause: unknown) => void) {
    this.#callback = callback;
  }

  cancelledBy(cause: unknown): Source | undefined {
    this.#callback(cause);
    return undefined;
  }
}
