// How a cancellation reaches those who wait for it: sources with an intrusive list of subscriptions each.

/** Somebody to be told of a cancellation. */
export interface Receiver {
  /** Called at most once. Must not throw. A receiver that is a source itself returns itself: its turn comes later. */
  cancelledBy(cause: unknown): Source | undefined;
}

/** Something that is cancelled at most once. Subscribing and unsubscribing take constant time. */
export abstract class Source {
  #first: Subscription | undefined;
  #last: Subscription | undefined;

  /** Adds a receiver behind the others. The source must not be cancelled yet. */
  subscribe(receiver: Receiver): Subscription {
    const isFirst = this.#first === undefined;
    const subscription = this.enlist(receiver);
    if (isFirst) this.onWatched();
    return subscription;
  }

  /** Adds a receiver to the list and does no more. */
  protected enlist(receiver: Receiver): Subscription {
    const subscription = new Subscription(this, receiver);
    const last = this.#last;
    this.#last = subscription;
    if (last === undefined) {
      this.#first = subscription;
    } else {
      subscription.previous = last;
      last.next = subscription;
    }
    return subscription;
  }

  /** Takes a subscription out of the list, and says so if it was the last. */
  remove(subscription: Subscription): void {
    if (this.unlist(subscription)) this.onUnwatched();
  }

  /** Takes a subscription out of the list. Returns whether none is left. */
  protected unlist(subscription: Subscription): boolean {
    const { previous, next } = subscription;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    // One that has grown old would keep all those behind it from being collected young.
    subscription.previous = undefined;
    subscription.next = undefined;
    return this.#first === undefined;
  }

  /** Takes the oldest receiver out of the list. */
  shift(): Receiver | undefined {
    const first = this.#first;
    if (first === undefined) return undefined;
    this.#first = first.next;
    if (first.next === undefined) this.#last = undefined;
    else first.next.previous = undefined;
    first.next = undefined;
    return first.detach();
  }

  /** Its turn has come, and its subscribers are next. Must not throw. */
  onCancelled(_cause: unknown): void {}

  /** The first receiver came. */
  protected abstract onWatched(): void;
  /** The last receiver left, without having been told. */
  protected abstract onUnwatched(): void;
}

/** A receiver's place in the list of a source. Disposing it twice, or after it was told, is harmless. */
export class Subscription implements Disposable {
  previous: Subscription | undefined;
  next: Subscription | undefined;
  #source: Source | undefined;
  readonly #receiver: Receiver;

  constructor(source: Source, receiver: Receiver) {
    this.#source = source;
    this.#receiver = receiver;
  }

  /** Forgets the source, whose list holds this subscription no longer. Returns whom to tell. */
  detach(): Receiver {
    this.#source = undefined;
    return this.#receiver;
  }

  get isListed(): boolean {
    return this.#source !== undefined;
  }

  [Symbol.dispose](): void {
    const source = this.#source;
    this.#source = undefined;
    source?.remove(this);
  }
}

/**
 * Tells everybody below `source`, parents before children, in the order in which they subscribed. A queue instead of
 * recursion: a chain of contexts may be deeper than the stack. A receiver that unsubscribes another one while the news
 * spreads is obeyed, since each leaves the list only when its turn comes.
 */
export function broadcast(source: Source, cause: unknown): void {
  const sources = [source];
  for (const next of sources) {
    next.onCancelled(cause);
    for (let receiver = next.shift(); receiver !== undefined; receiver = next.shift()) {
      const below = receiver.cancelledBy(cause);
      if (below !== undefined) sources.push(below);
    }
  }
}
