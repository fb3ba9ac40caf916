// The kinds of cases of a select: how each is looked at, waited for and left.
import type { Receiver, Subscription } from "./cancellation.ts";
import type { BufferedChannel } from "./channel-buffered.ts";
import { Giver, Taker } from "./channel-waits.ts";
import type { Clock, Timer } from "./clock.ts";
import type { ContextNode } from "./context-node.ts";
import type { SelectEntry, Selection } from "./select-entry.ts";
import { type PromiseWatcher, watchPromise } from "./select-promise.ts";
import { hubOf } from "./signal-hub.ts";

export class ChannelEntry<T> extends Taker<T> implements SelectEntry {
  readonly #key: string;
  readonly #channel: BufferedChannel<T>;
  #selection: Selection | undefined;

  constructor(key: string, channel: BufferedChannel<T>) {
    super();
    this.#key = key;
    this.#channel = channel;
  }

  poll(): unknown {
    const received = this.#channel.tryRecv();
    return received === undefined ? undefined : { key: this.#key, ...received };
  }

  enlist(selection: Selection): void {
    this.#selection = selection;
    this.#channel.addTaker(this);
  }

  withdraw(): void {
    this.leave();
  }

  take(value: T): void {
    this.#selection?.win({ key: this.#key, done: false, value });
  }

  finish(): void {
    this.#selection?.win({ key: this.#key, done: true, value: undefined });
  }

  fail(cause: unknown): void {
    this.#selection?.fail(cause);
  }
}

export class SendEntry<T> extends Giver<T> implements SelectEntry {
  readonly value: T;
  readonly #key: string;
  readonly #channel: BufferedChannel<T>;
  #selection: Selection | undefined;

  constructor(key: string, channel: BufferedChannel<T>, value: T) {
    super();
    this.#key = key;
    this.#channel = channel;
    this.value = value;
  }

  poll(): unknown {
    return this.#channel.trySend(this.value) ? { key: this.#key, value: undefined } : undefined;
  }

  enlist(selection: Selection): void {
    this.#selection = selection;
    this.#channel.addGiver(this);
  }

  withdraw(): void {
    this.leave();
  }

  settle(accepted: boolean): void {
    if (accepted) this.#selection?.win({ key: this.#key, value: undefined });
    else this.#selection?.fail(this.#channel.closedError());
  }
}

export class TimerEntry implements SelectEntry {
  readonly #key: string;
  readonly #ms: number;
  readonly #clock: Clock;
  #timer: Timer | undefined;

  constructor(key: string, ms: number, clock: Clock) {
    this.#key = key;
    this.#ms = ms;
    this.#clock = clock;
  }

  poll(): undefined {}

  enlist(selection: Selection): void {
    this.#timer = this.#clock.setTimeout(() => selection.win({ key: this.#key, value: undefined }), this.#ms);
    this.#timer.ref(); // somebody waits for it
  }

  withdraw(): void {
    this.#timer?.clear();
  }
}

export class ContextEntry implements SelectEntry, Receiver {
  readonly #key: string;
  readonly #context: ContextNode;
  #selection: Selection | undefined;
  #subscription: Subscription | undefined;

  constructor(key: string, context: ContextNode) {
    this.#key = key;
    this.#context = context;
  }

  poll(): unknown {
    return this.#context.cancelled ? { key: this.#key, value: this.#context.cause } : undefined;
  }

  enlist(selection: Selection): void {
    this.#selection = selection;
    if (!this.#context.isRoot) this.#subscription = this.#context.subscribe(this);
  }

  withdraw(): void {
    this.#subscription?.[Symbol.dispose]();
  }

  cancelledBy(cause: unknown): undefined {
    this.#selection?.win({ key: this.#key, value: cause });
  }
}

export class SignalEntry implements SelectEntry, Receiver {
  readonly #key: string;
  readonly #signal: AbortSignal;
  #selection: Selection | undefined;
  #subscription: Subscription | undefined;

  constructor(key: string, signal: AbortSignal) {
    this.#key = key;
    this.#signal = signal;
  }

  poll(): unknown {
    return this.#signal.aborted ? { key: this.#key, value: this.#signal.reason } : undefined;
  }

  enlist(selection: Selection): void {
    this.#selection = selection;
    this.#subscription = hubOf(this.#signal).subscribe(this);
  }

  withdraw(): void {
    this.#subscription?.[Symbol.dispose]();
  }

  cancelledBy(cause: unknown): undefined {
    this.#selection?.win({ key: this.#key, value: cause });
  }
}

export class PromiseEntry implements SelectEntry, PromiseWatcher {
  readonly #key: string;
  readonly #promise: PromiseLike<unknown>;
  #selection: Selection | undefined;
  #registration: Disposable | undefined;

  constructor(key: string, promise: PromiseLike<unknown>) {
    this.#key = key;
    this.#promise = promise;
  }

  poll(): undefined {}

  enlist(selection: Selection): void {
    this.#selection = selection;
    this.#registration = watchPromise(this.#promise, this, selection.settlers);
  }

  withdraw(): void {
    this.#registration?.[Symbol.dispose]();
  }

  fulfilled(value: unknown): void {
    this.#selection?.win({ key: this.#key, value });
  }

  rejected(reason: unknown): void {
    this.#selection?.fail(reason);
  }
}
