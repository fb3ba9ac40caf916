// The two queues inside a channel: those who wait, as an intrusive list, and the items, as a ring that grows.

/** Somebody in a {@link WaiterList}. Leaves in constant time, from anywhere in the line. */
export abstract class Waiter {
  previous: Waiter | undefined;
  next: Waiter | undefined;
  list: WaiterList<Waiter> | undefined;

  /** Steps out of the line; harmless when not in one. */
  leave(): void {
    this.list?.remove(this);
  }
}

/** First come, first served. */
export class WaiterList<W extends Waiter> {
  #first: W | undefined;
  #last: W | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(waiter: W): void {
    const last = this.#last;
    waiter.list = this as WaiterList<Waiter>; // only ever asked to remove this very waiter
    waiter.previous = last;
    if (last === undefined) this.#first = waiter;
    else last.next = waiter;
    this.#last = waiter;
    this.#length++;
  }

  get first(): W | undefined {
    return this.#first;
  }

  shift(): W | undefined {
    const first = this.#first;
    if (first !== undefined) this.remove(first);
    return first;
  }

  remove(waiter: W): void {
    // The neighbours were added to this list too, so they are of its type.
    const previous = waiter.previous as W | undefined;
    const next = waiter.next as W | undefined;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    waiter.previous = waiter.next = waiter.list = undefined;
    this.#length--;
  }
}

/** A queue of items in a ring whose size is a power of two: takes what it needs, however large the channel may grow. */
export class ItemQueue<T> {
  #items: (T | undefined)[] = new Array(8);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    if (this.#length === this.#items.length) this.#grow();
    this.#items[(this.#head + this.#length) & (this.#items.length - 1)] = item;
    this.#length++;
  }

  /** Takes the oldest item; there must be one. */
  shift(): T {
    const item = this.#items[this.#head] as T; // written by push
    this.#items[this.#head] = undefined; // lets go of it
    this.#head = (this.#head + 1) & (this.#items.length - 1);
    this.#length--;
    return item;
  }

  #grow(): void {
    const size = this.#items.length;
    this.#items = [...this.#items.slice(this.#head), ...this.#items.slice(0, this.#head)];
    this.#items.length = size * 2;
    this.#head = 0;
  }
}
