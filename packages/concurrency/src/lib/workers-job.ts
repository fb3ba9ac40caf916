// One call of a worker's function, from the caller's side.
import type { Transferable } from "node:worker_threads";
import type { Receiver, Source, Subscription } from "./cancellation.ts";
import type { ContextNode } from "./context-node.ts";
import type { Thread } from "./workers-thread.ts";

/** Why a call has no result. The error is made by the caller's own async function: only there does its stack show who called. */
export class Failure {
  readonly make: () => unknown;

  constructor(make: () => unknown) {
    this.make = make;
  }
}

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
  /** The result, or a {@link Failure}. */
  readonly outcome: Promise<unknown>;

  // Its place: in the queue, or in a slot of a thread.
  previous: Job | undefined;
  next: Job | undefined;
  thread: Thread | undefined;
  slot = -1;
  /** Its arguments have been moved to the thread: nobody else can run it. */
  isMoved = false;

  isSettled = false;
  readonly #owner: JobOwner;
  readonly #resolve: (outcome: unknown) => void;
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
    this.outcome = new Promise(keepResolver);
    this.#resolve = resolver;
    if (!context.isRoot) this.#subscription = context.subscribe(this);
  }

  cancelledBy(cause: unknown): Source | undefined {
    this.fail(() => cause);
    this.#owner.onCancelled(this);
    return undefined;
  }

  succeed(value: unknown): void {
    this.#settle(value);
  }

  fail(make: () => unknown): void {
    this.#settle(new Failure(make));
  }

  /** Only the first outcome counts: a thread may answer a call that was given up. */
  #settle(outcome: unknown): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.#subscription?.[Symbol.dispose]();
    if (this.#ownsContext) this.context.cancel(); // made for this call: releases its timer
    this.#resolve(outcome);
    this.#owner.onSettled(this);
  }
}

let resolver: (outcome: unknown) => void;

/** One function for all promises, which saves a closure for each. */
function keepResolver(resolve: (outcome: unknown) => void): void {
  resolver = resolve;
}
