// Waits that a context can end.
import type { Receiver, Source, Subscription } from "./cancellation.ts";
import type { Clock } from "./clock.ts";
import type { ContextNode } from "./context-node.ts";

/** Settles as `promise` does, or rejects with the context's cause if that ends first. The promise is never left unhandled. */
export function until<T>(context: ContextNode, promise: PromiseLike<T>): Promise<T> {
  return context.isRoot ? Promise.resolve(promise) : untilEnd(context, promise);
}

async function untilEnd<T>(context: ContextNode, promise: PromiseLike<T>): Promise<T> {
  let subscription: Subscription | undefined;
  try {
    return await new Promise<T>((resolve, reject) => {
      // The promise's own functions, and no second reaction: only so does an async stack trace pass through.
      Promise.resolve(promise).then(resolve, reject);
      subscription = onEnd(context, reject);
    });
  } finally {
    subscription?.[Symbol.dispose]();
  }
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
