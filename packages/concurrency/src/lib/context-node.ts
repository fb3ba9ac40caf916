// One node of the tree of contexts. Nobody is told of its end unless somebody watches: a node costs one small object
// until its signal is read or something waits for it, and only then links to its parent and sets a timer.

import { broadcast, type Receiver, Source, Subscription } from "./cancellation.ts";
import { CancelledError } from "./cancelled-error.ts";
import { type Clock, systemClock, type Timer } from "./clock.ts";
import type { OwnedContext } from "./context.ts";
import type { ContextKey } from "./context-key.ts";
import { keepShape } from "./keep-shape.ts";
import { hubOf } from "./signal-hub.ts";
import { TimeoutError } from "./timeout-error.ts";

export type Values = ReadonlyMap<ContextKey<unknown>, unknown>;

interface Origin {
  readonly clock: Clock;
  readonly values: Values;
  /** Roots never end. */
  readonly isRoot?: boolean;
  /** Cancels this node with itself. */
  readonly parent?: ContextNode | undefined;
  /** Cancels this node as well. */
  readonly source?: ContextNode | AbortSignal | undefined;
  /** On `clock`, own or inherited. */
  readonly deadline: number;
  /** How much time that was when the node was made, if the deadline is its own; undefined when it is the parent's. */
  readonly timeout?: number | undefined;
}

/** No cause was given: an error is made when somebody reads it. */
const unspoken = Symbol("no cause given");

export class ContextNode extends Source implements OwnedContext, Receiver {
  readonly clock: Clock;
  readonly values: Values;
  readonly deadline: number;
  readonly isRoot: boolean;
  #timeout: number | undefined;
  #parent: ContextNode | undefined;
  #source: ContextNode | AbortSignal | undefined;

  #ended = false;
  #cause: unknown;

  #controller: AbortController | undefined;
  #isLinked = false;
  #parentLink: Subscription | undefined;
  #sourceLink: Subscription | undefined;
  #timer: Timer | undefined;

  constructor(origin: Origin) {
    super();
    this.clock = origin.clock;
    this.values = origin.values;
    this.deadline = origin.deadline;
    this.isRoot = origin.isRoot ?? false;
    this.#timeout = origin.timeout;
    this.#parent = origin.parent;
    this.#source = origin.source;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      if (this.cancelled) {
        controller.abort(this.cause);
      } else {
        this.#link();
      }
      this.#controller = controller;
    }
    return this.#controller.signal;
  }

  get remaining(): number {
    const { deadline } = this;
    if (deadline === Number.POSITIVE_INFINITY) return deadline;
    return Math.max(0, deadline - this.clock.now());
  }

  get cancelled(): boolean {
    return this.#ended || (!this.isRoot && this.#findEnd());
  }

  get cause(): unknown {
    if (!this.cancelled) return undefined;
    if (this.#cause === unspoken) this.#cause = new CancelledError();
    return this.#cause;
  }

  throwIfCancelled(): void {
    if (this.cancelled) throw this.cause;
  }

  get<T>(key: ContextKey<T>): T | undefined {
    // The value was stored under this very key by ContextKey<T>.of(value: T).
    return this.values.get(key) as T | undefined;
  }

  /** A node below this one that only adds a value. */
  with<T>(key: ContextKey<T>, value: T): ContextNode {
    const { clock, deadline, isRoot } = this;
    const values = new Map(this.values).set(key, value);
    return new ContextNode({ clock, values, deadline, isRoot, parent: isRoot ? undefined : this });
  }

  cancel(cause?: unknown): void {
    if (this.isRoot) throw new TypeError("Cannot cancel this context: it has no owner");
    if (!this.cancelled) this.#end(cause === undefined ? unspoken : cause);
  }

  release(): void {
    if (this.isRoot) throw new TypeError("Cannot release this context: it has no owner");
    const isHeard = this.#isLinked;
    this.#unlink();
    this.#isLinked = isHeard; // whoever watches it is still told when it is cancelled
    this.#parent = undefined;
    this.#source = undefined;
    this.#timeout = undefined; // the deadline still tells how long the work had, and ends nothing
  }

  [Symbol.dispose](): void {
    this.cancel();
  }

  cancelledBy(): Source {
    return this; // until its turn comes, whoever asks it finds the end above
  }

  override onCancelled(cause: unknown): void {
    if (!this.#ended) this.#settle(cause);
  }

  /**
   * Nobody may have told this node: it looks for itself, at its own state first and then at those above. When several
   * of them have ended meanwhile, the nearest one that gave a cause wins, and a deadline only where nothing else ended.
   */
  #findEnd(): boolean {
    let owner: ContextNode | undefined; // of the deadline
    for (let node: ContextNode | undefined = this; node !== undefined; node = node.#parent) {
      if (node !== this && node.#ended) {
        this.#end(node.cause);
        return true;
      }
      const source = node.#source;
      if (source !== undefined && hasEnded(source)) {
        node.#end(causeOf(source));
        if (node !== this) this.#end(node.cause);
        return true;
      }
      if (node.#timeout !== undefined && node.deadline === this.deadline) owner = node;
    }
    if (owner === undefined || this.clock.now() < this.deadline) return false;
    owner.#expire();
    if (!this.#ended) this.#end(owner.cause); // it was not linked, so the owner could not tell it
    return true;
  }

  #expire(): void {
    const timeout = this.#timeout ?? 0;
    this.#end(new TimeoutError(`The deadline of ${timeout} ms passed`, timeout));
  }

  #end(cause: unknown): void {
    const isHeard = this.#isLinked;
    this.#settle(isHeard && cause === unspoken ? new CancelledError() : cause);
    if (isHeard) broadcast(this, this.#cause);
  }

  /** Takes on the cause, lets go of everything above and tells the signal; the subscribers come next. */
  #settle(cause: unknown): void {
    this.#ended = true;
    this.#cause = cause;
    this.#unlink();
    this.#parent = undefined;
    this.#source = undefined;
    this.#controller?.abort(cause);
  }

  protected override onWatched(): void {
    this.#link();
  }

  protected override onUnwatched(): void {
    // A signal that was handed out may have listeners: no way to know, so the links stay until this node ends.
    if (this.#controller === undefined) this.#unlink();
  }

  /** Somebody wants to know: hears of the end of whatever can end this node, and so on upwards. */
  #link(): void {
    let node: ContextNode | undefined = this; // a loop, since a chain of contexts may be deeper than the stack
    while (node !== undefined && !node.#isLinked) {
      node.#isLinked = true;
      const source: ContextNode | AbortSignal | undefined = node.#source;
      if (source !== undefined) node.#sourceLink = sourceOf(source).subscribe(node);
      if (node.#timeout !== undefined && node.deadline !== Number.POSITIVE_INFINITY) {
        node.#timer = node.clock.setTimeout(ContextNode.#onTimer, node.deadline - node.clock.now(), node);
      }
      const parent: ContextNode | undefined = node.#parent;
      node.#parentLink = parent?.enlist(node);
      node = parent;
    }
  }

  /** Nobody wants to know any longer: lets go of everything above, and so on upwards. */
  #unlink(): void {
    let node: ContextNode | undefined = this;
    while (node !== undefined) {
      if (!node.#isLinked) return;
      node.#isLinked = false;
      node.#timer?.clear();
      node.#timer = undefined;
      node.#sourceLink?.[Symbol.dispose]();
      node.#sourceLink = undefined;
      const parent: ContextNode | undefined = node.#parent;
      const link = node.#parentLink;
      node.#parentLink = undefined;
      if (parent === undefined || !link?.isListed) return;
      link.detach();
      if (!parent.unlist(link) || parent.#controller !== undefined) return;
      node = parent;
    }
  }

  /** Static, so that a timer costs no closure. */
  static #onTimer(node: ContextNode): void {
    if (!node.#ended) node.#expire();
  }
}

function sourceOf(source: ContextNode | AbortSignal): Source {
  return source instanceof ContextNode ? source : hubOf(source);
}

function hasEnded(source: ContextNode | AbortSignal): boolean {
  return source instanceof ContextNode ? source.cancelled : source.aborted;
}

function causeOf(source: ContextNode | AbortSignal): unknown {
  return source instanceof ContextNode ? source.cause : source.reason;
}

const kept = new ContextNode({ clock: systemClock, values: new Map(), deadline: Number.POSITIVE_INFINITY });
keepShape(kept);
keepShape(new Subscription(kept, kept));
