// The one implementation of a channel. Invariant: a receiver waits only while there is no item, a sender only while
// there is no room; so whoever arrives looks at the opposite line first, and each line stays in order of arrival.
import type { Channel, Overflow, Received } from "./channel.ts";
import { ChannelFullError } from "./channel-full-error.ts";
import { ChannelIterator } from "./channel-iterator.ts";
import { ItemQueue, type Waiter, WaiterList } from "./channel-queue.ts";
import { type Giver, ReceiveWait, SendWait, type Taker } from "./channel-waits.ts";
import { ClosedError } from "./closed-error.ts";
import type { ContextNode } from "./context-node.ts";
import { contextFor } from "./derive.ts";
import type { WaitOptions } from "./wait-options.ts";

export class BufferedChannel<T> implements Channel<T> {
  readonly capacity: number;
  readonly #overflow: Overflow;
  readonly #name: string;
  readonly #items = new ItemQueue<T>();
  readonly #takers = new WaiterList<Taker<T>>();
  readonly #givers = new WaiterList<Giver<T>>();
  #dropped = 0;
  #closed = false;
  #cause: unknown;

  constructor(capacity: number, overflow: Overflow, name = "channel") {
    this.capacity = capacity;
    this.#overflow = overflow;
    this.#name = name;
  }

  get size(): number {
    return this.#items.length;
  }

  get waitingSenders(): number {
    return this.#givers.length;
  }

  get waitingReceivers(): number {
    return this.#takers.length;
  }

  get dropped(): number {
    return this.#dropped;
  }

  get closed(): boolean {
    return this.#closed;
  }

  send(value: T, options?: WaitOptions): Promise<void> {
    try {
      const context = contextFor("send", options?.signal);
      if (context.cancelled) return Promise.reject(context.cause);
      if (this.trySend(value) || this.#overflow === "drop-newest") return done;
      if (this.#overflow === "error") return Promise.reject(new ChannelFullError(this.#name, this.capacity));
      return this.#waitForRoom(value, context);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  trySend(value: T): boolean {
    if (this.#closed) throw this.closedError();
    const taker = this.#takers.shift();
    if (taker !== undefined) {
      taker.take(value);
      return true;
    }
    if (this.#items.length >= this.capacity) {
      if (this.#overflow === "drop-newest") this.#dropped++;
      if (this.#overflow !== "drop-oldest") return false;
      this.#items.shift();
      this.#dropped++;
    }
    this.#items.push(value);
    return true;
  }

  recv(options?: WaitOptions): Promise<Received<T>> {
    return this.receive(options, undefined);
  }

  /** As `recv`, for a loop that may leave. */
  receive(options: WaitOptions | undefined, loop: object | undefined): Promise<Received<T>> {
    try {
      const context = contextFor("receive", options?.signal);
      if (context.cancelled) return Promise.reject(context.cause);
      const received = this.tryRecv();
      return received === undefined ? this.#waitForItem(context, loop) : Promise.resolve(received);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  tryRecv(): Received<T> | undefined {
    if (this.#items.length > 0) {
      const value = this.#items.shift();
      // The oldest sender moves up into the freed place at once: a newcomer must not overtake it.
      const giver = this.#givers.shift();
      if (giver !== undefined) {
        this.#items.push(giver.value);
        giver.settle(true);
      }
      return { done: false, value };
    }
    const giver = this.#givers.shift(); // only with a capacity of 0
    if (giver !== undefined) {
      giver.settle(true);
      return { done: false, value: giver.value };
    }
    if (!this.#closed) return undefined;
    if (this.#cause !== undefined) throw this.#cause;
    return { done: true, value: undefined };
  }

  close(cause?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cause = cause;
    for (let taker = this.#takers.shift(); taker !== undefined; taker = this.#takers.shift()) {
      if (cause === undefined) taker.finish();
      else taker.fail(cause);
    }
    for (let giver = this.#givers.shift(); giver !== undefined; giver = this.#givers.shift()) {
      giver.settle(false);
    }
  }

  values(options?: WaitOptions): AsyncIterableIterator<T, undefined> {
    return new ChannelIterator(this, options);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T, undefined> {
    return new ChannelIterator(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return done;
  }

  /** Ends what a loop waits for: nobody would take the item that it got. */
  leave(loop: object): void {
    let taker: Waiter | undefined = this.#takers.first;
    while (taker !== undefined) {
      const { next }: Waiter = taker;
      if (taker instanceof ReceiveWait && taker.loop === loop) {
        taker.leave();
        taker.finish();
      }
      taker = next;
    }
  }

  /** Puts a receiver in line. To be called only when `tryRecv` has just found nothing. */
  addTaker(taker: Taker<T>): void {
    this.#takers.add(taker);
  }

  /** Puts a sender in line. To be called only when there was no room just now. */
  addGiver(giver: Giver<T>): void {
    this.#givers.add(giver);
  }

  /** What a sender that comes now, or waits now, is refused with once the channel is closed. */
  closedError(): ClosedError {
    return new ClosedError(this.#name, this.#cause === undefined ? undefined : { cause: this.#cause });
  }

  /** Whether a sender that finds no room waits for it. */
  get waitsForRoom(): boolean {
    return this.#overflow === "wait";
  }

  #waitForItem(context: ContextNode, loop: object | undefined): Promise<Received<T>> {
    const wait = new ReceiveWait<T>(loop);
    this.#takers.add(wait);
    if (!context.isRoot) wait.subscription = context.subscribe(wait);
    return wait.received;
  }

  /** The error of a refused sender is made here, where its stack shows who was waiting. */
  async #waitForRoom(value: T, context: ContextNode): Promise<void> {
    const wait = new SendWait(value);
    this.#givers.add(wait);
    if (!context.isRoot) wait.subscription = context.subscribe(wait);
    if (!(await wait.accepted)) throw this.closedError();
  }
}

const done: Promise<void> = Promise.resolve();
