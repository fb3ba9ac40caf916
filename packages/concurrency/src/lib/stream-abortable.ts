// Waiting for a promise that cannot be cancelled, on behalf of a caller who can.
import type { Receiver, Subscription } from "./cancellation.ts";
import type { ContextNode } from "./context-node.ts";

/** Settles as `promise` does, or rejects with the cause of `context` if that ends first. It must not have ended yet. */
export function abortable<T>(promise: PromiseLike<T>, context: ContextNode): Promise<T> {
  if (context.isRoot) return Promise.resolve(promise);
  return new AbortableWait<T>(context).for(promise);
}

class AbortableWait<T> implements Receiver {
  readonly #subscription: Subscription;
  #reject!: (reason: unknown) => void;

  constructor(context: ContextNode) {
    this.#subscription = context.subscribe(this);
  }

  async for(promise: PromiseLike<T>): Promise<T> {
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#reject = reject;
        Promise.resolve(promise).then(resolve, reject); // its own functions: async stack traces pass through
      });
    } finally {
      this.#subscription[Symbol.dispose]();
    }
  }

  cancelledBy(cause: unknown): undefined {
    this.#reject(cause);
  }
}
