// Those who wait at a channel: for an item, or for room.
import type { Receiver, Subscription } from "./cancellation.ts";
import type { Received } from "./channel.ts";
import { Waiter } from "./channel-queue.ts";
import { keepResolvers, rejecter, resolver } from "./keep-resolvers.ts";
import { keepShape } from "./keep-shape.ts";

/** Somebody who waits for an item. Exactly one of the three is called, after it has left the line. */
export abstract class Taker<T> extends Waiter {
  abstract take(value: T): void;
  abstract finish(): void;
  abstract fail(cause: unknown): void;
}

/** Somebody who waits for room. */
export abstract class Giver<T> extends Waiter {
  abstract readonly value: T;
  /** Called once, after it has left the line: the item was taken, or the channel was closed. */
  abstract settle(accepted: boolean): void;
}

// Waiters keep the promise's own resolve and reject: with a closure in between, async stack traces would end here.

export class ReceiveWait<T> extends Taker<T> implements Receiver {
  subscription: Subscription | undefined;
  /** Which one waits, if it is a loop. */
  readonly loop: object | undefined;
  readonly received: Promise<Received<T>>;
  readonly #resolve: (received: Received<T>) => void;
  readonly #reject: (reason: unknown) => void;

  constructor(loop: object | undefined) {
    super();
    this.loop = loop;
    this.received = new Promise(keepResolvers);
    this.#resolve = resolver;
    this.#reject = rejecter;
  }

  take(value: T): void {
    this.subscription?.[Symbol.dispose]();
    this.#resolve({ done: false, value });
  }

  finish(): void {
    this.subscription?.[Symbol.dispose]();
    this.#resolve({ done: true, value: undefined });
  }

  fail(cause: unknown): void {
    this.subscription?.[Symbol.dispose]();
    this.#reject(cause);
  }

  cancelledBy(cause: unknown): undefined {
    this.leave();
    this.#reject(cause);
  }
}

export class SendWait<T> extends Giver<T> implements Receiver {
  readonly value: T;
  subscription: Subscription | undefined;
  readonly accepted: Promise<boolean>;
  readonly #resolve: (accepted: boolean) => void;
  readonly #reject: (reason: unknown) => void;

  constructor(value: T) {
    super();
    this.value = value;
    this.accepted = new Promise(keepResolvers);
    this.#resolve = resolver;
    this.#reject = rejecter;
  }

  settle(accepted: boolean): void {
    this.subscription?.[Symbol.dispose]();
    this.#resolve(accepted);
  }

  cancelledBy(cause: unknown): undefined {
    this.leave();
    this.#reject(cause);
  }
}

keepShape(new ReceiveWait(undefined));
keepShape(new SendWait(1));
