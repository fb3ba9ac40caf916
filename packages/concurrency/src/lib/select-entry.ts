// One running select: its entries compete, the first to report ends all the others before the caller hears of it.
import type { Receiver, Subscription } from "./cancellation.ts";
import type { ContextNode } from "./context-node.ts";
import type { Settlers } from "./select-promise.ts";

/** One case of a running select. */
export interface SelectEntry {
  /** The outcome if it is ready now (which makes it happen); undefined otherwise. May throw. */
  poll(): unknown;
  /** Waits: calls one of the selection's methods, once, later. */
  enlist(selection: Selection): void;
  /** Stops waiting. Also called on the entry that has reported, and on those that were never enlisted. */
  withdraw(): void;
}

export class Selection implements Receiver {
  readonly #entries: readonly SelectEntry[];
  readonly #resolve: (outcome: unknown) => void;
  readonly #reject: (reason: unknown) => void;
  #subscription: Subscription | undefined;

  constructor(entries: readonly SelectEntry[], resolve: (outcome: unknown) => void, reject: (reason: unknown) => void) {
    this.#entries = entries;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Looks at every case before it waits for any: a select must not meet its own waiting half in a channel. */
  start(context: ContextNode): void {
    for (const entry of this.#entries) {
      const outcome = entry.poll();
      if (outcome !== undefined) {
        this.#resolve(outcome);
        return;
      }
    }
    if (context.cancelled) {
      this.#reject(context.cause);
      return;
    }
    for (const entry of this.#entries) entry.enlist(this);
    if (!context.isRoot) this.#subscription = context.subscribe(this);
  }

  get settlers(): Settlers {
    return [this.#resolve, this.#reject];
  }

  win(outcome: unknown): void {
    this.#withdraw();
    this.#resolve(outcome);
  }

  fail(reason: unknown): void {
    this.#withdraw();
    this.#reject(reason);
  }

  cancelledBy(cause: unknown): undefined {
    this.fail(cause);
  }

  #withdraw(): void {
    this.#subscription?.[Symbol.dispose]();
    for (const entry of this.#entries) entry.withdraw();
  }
}
