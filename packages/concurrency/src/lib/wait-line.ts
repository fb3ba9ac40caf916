// Callers of one priority in line: a ring in which those who leave from the middle make holes.
import type { Waiter } from "./wait-queue.ts";

const leastSlots = 16;

/** A linked list would do without holes, but a long one is slow to collect: its waiters can only be visited one by one. */
export class WaitLine {
  /** Only to be changed while nobody is here. */
  priority: number;
  size = 0;
  /** As many as a power of two. */
  #slots: (Waiter | undefined)[] = new Array(leastSlots);
  // Places count up and go round the ring. The place of the first; all before it are empty:
  #start = 0;
  #end = 0;

  constructor(priority: number) {
    this.priority = priority;
  }

  get first(): Waiter | undefined {
    return this.#slots[this.#start & (this.#slots.length - 1)];
  }

  push(waiter: Waiter): void {
    const { length } = this.#slots;
    if (this.#end - this.#start === length) this.#move(this.size * 2 > length ? length * 2 : length);
    waiter.place = this.#end++;
    this.#slots[waiter.place & (this.#slots.length - 1)] = waiter;
    this.size++;
  }

  remove(waiter: Waiter): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    slots[waiter.place & mask] = undefined;
    if (--this.size === 0) {
      this.#start = 0;
      this.#end = 0;
    } else {
      while (slots[this.#start & mask] === undefined) this.#start++;
    }
    if (this.size * 8 < slots.length && slots.length > leastSlots) this.#move(slots.length / 4);
  }

  /** To a ring of another length, without the holes. Copies less than came or left since the last time. */
  #move(length: number): void {
    const slots: (Waiter | undefined)[] = new Array(Math.max(length, leastSlots));
    const mask = this.#slots.length - 1;
    let size = 0;
    for (let place = this.#start; place < this.#end; place++) {
      const waiter = this.#slots[place & mask];
      if (waiter === undefined) continue;
      waiter.place = size;
      slots[size++] = waiter;
    }
    this.#slots = slots;
    this.#start = 0;
    this.#end = size;
  }
}
