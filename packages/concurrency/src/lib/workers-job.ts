// One call of a worker's function, from the caller's side.
import type { Transferable } from "node:worker_threads";
import { rootNode } from "./ambient.ts";
import type { Receiver, Source, Subscription } from "./cancellation.ts";
import type { ContextNode } from "./context-node.ts";
import { keepResolvers, rejecter, resolver } from "./keep-resolvers.ts";
import { keepShape } from "./keep-shape.ts";
import type { Thread } from "./workers-thread.ts";

export interface JobOwner {
  /** The caller has given up; the job is settled already. */
  onCancelled(job: Job): void;
  onSettled(job: Job): void;
}

export class Job implements Receiver {
  /** In the order of the calls. */
  readonly id: number;
  readonly name: string;
  readonly args: readonly unknown[];
  readonly transfer: readonly Transferable[] | undefined;
  readonly context: ContextNode;
  readonly result: Promise<unknown>;

  // Its place: in the queue, or in a slot of a thread.
  previous: Job | undefined;
  next: Job | undefined;
  thread: Thread | undefined;
  slot = -1;
  /** Its arguments have been moved to the thread: nobody else can run it. */
  isMoved = false;

  isSettled = false;
  readonly #owner: JobOwner;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;
  readonly #ownsContext: boolean;
  #subscription: Subscription | undefined;

  constructor(
    owner: JobOwner,
    id: number,
    name: string,
    args: readonly unknown[],
    transfer: readonly Transferable[] | undefined,
    context: ContextNode,
    ownsContext: boolean,
  ) {
    this.#owner = owner;
    this.id = id;
    this.name = name;
    this.args = args;
    this.transfer = transfer;
    this.context = context;
    this.#ownsContext = ownsContext;
    this.result = new Promise(keepResolvers);
    this.#resolve = resolver;
    this.#reject = rejecter;
    if (!context.isRoot) this.#subscription = context.subscribe(this);
  }

  cancelledBy(cause: unknown): Source | undefined {
    this.fail(() => cause);
    this.#owner.onCancelled(this);
    return undefined;
  }

  succeed(value: unknown): void {
    if (this.#settle()) this.#resolve(value);
  }

  /**
   * `make` gives the error. It is called within a promise that the caller's depends on by the very functions of the
   * platform: so the stack of an error that is made there goes on to whoever awaits the call, and a call that succeeds
   * needs only one promise.
   */
  fail(make: () => unknown): void {
    if (!this.#settle()) return;
    Promise.resolve()
      .then(() => {
        throw make();
      })
      .then(this.#resolve, this.#reject);
  }

  /** Returns whether this is the first outcome: a thread may answer a call that was given up. */
  #settle(): boolean {
    if (this.isSettled) return false;
    this.isSettled = true;
    this.#subscription?.[Symbol.dispose]();
    if (this.#ownsContext) this.context.cancel(); // made for this call: releases its timer
    this.#owner.onSettled(this);
    return true;
  }
}

keepShape(new Job({ onCancelled: () => {}, onSettled: () => {} }, 1, "", [], undefined, rootNode, false));
