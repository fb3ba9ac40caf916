// Callers of one priority in line: a ring in which those who leave from the middle make holes.

/** Somebody in a line. */
export interface Placed {
  /** Where it stands. Only for the line. */
  place: number;
}

const leastSlots = 16;

/** A linked list would do without holes, but a long one is slow to collect: its waiters can only be visited one by one. */
export class WaitLine<W extends Placed> {
  /** Only to be changed while nobody is here. */
  priority: number;
  size = 0;
  /** As many as a power of two. */
  #slots: (W | undefined)[] = new Array(leastSlots);
  // Places count up and go round the ring. The place of the first; all before it are empty:
  #start = 0;
  #end = 0;

  constructor(priority = 0) {
    this.priority = priority;
  }

  get first(): W | undefined {
    return this.#slots[this.#start & (this.#slots.length - 1)];
  }

  /** All who are here, in order. */
  toArray(): W[] {
    return this.#compact(this.size);
  }

  push(waiter: W): void {
    const { length } = this.#slots;
    if (this.#end - this.#start === length) this.#move(this.size * 2 > length ? length * 2 : length);
    waiter.place = this.#end++;
    this.#slots[waiter.place & (this.#slots.length - 1)] = waiter;
    this.size++;
  }

  remove(waiter: W): void {
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
    const waiters = this.#compact(Math.max(length, leastSlots));
    for (let place = 0; place < this.size; place++) (waiters[place] as W).place = place; // that many are here
    this.#slots = waiters;
    this.#start = 0;
    this.#end = this.size;
  }

  #compact(length: number): W[] {
    const waiters: W[] = new Array(length);
    const mask = this.#slots.length - 1;
    let size = 0;
    for (let place = this.#start; place < this.#end; place++) {
      const waiter = this.#slots[place & mask];
      if (waiter !== undefined) waiters[size++] = waiter;
    }
    return waiters;
  }
}
