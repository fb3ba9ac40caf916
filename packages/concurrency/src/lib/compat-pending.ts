// Calls that wait in a facade and can be sent away together, without harm to those that run.
import type { ContextNode } from "./context-node.ts";

/** The calls that have not started, by their contexts. */
export class PendingCalls {
  readonly #waiting = new Map<ContextNode, Promise<unknown> | undefined>();

  /** A call that runs in this context is about to wait, unless it starts at once. */
  add(context: ContextNode): void {
    this.#waiting.set(context, undefined);
  }

  /** The promise that its caller has got, if it waits still. */
  keep(context: ContextNode, call: Promise<unknown>): void {
    if (this.#waiting.has(context)) this.#waiting.set(context, call);
  }

  /** It has started, or will not. */
  delete(context: ContextNode): void {
    this.#waiting.delete(context);
  }

  /** Rejects those that still wait, in order. With `quietly` that is no unhandled rejection. Returns who they were. */
  clear(quietly: boolean): readonly ContextNode[] {
    const cause = new DOMException("The call was cleared from the queue before it started", "AbortError");
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const [context, call] of waiting) {
      if (quietly) call?.catch(() => {});
      context.cancel(cause);
    }
    return waiting.map(([context]) => context);
  }
}
