// The timers of a virtual clock, the next one first: to set one or to clear it takes logarithmic time.
import type { Timer } from "./clock.ts";

/** A binary heap, ordered by time and by arrival among equals. */
export class TestTimers {
  readonly #heap: TestTimer[] = [];
  #arrivals = 0;

  get size(): number {
    return this.#heap.length;
  }

  get next(): TestTimer | undefined {
    return this.#heap[0];
  }

  /** One that is due at `Infinity` is never kept. */
  add(due: number, call: () => void): Timer {
    const timer = new TestTimer(this, due, this.#arrivals++, call);
    if (due !== Number.POSITIVE_INFINITY) this.#rise(timer, this.#heap.length);
    return timer;
  }

  /** Harmless for one that is not kept. */
  remove(timer: TestTimer): void {
    const { place } = timer;
    if (place < 0) return;
    timer.place = -1;
    const last = this.#heap.pop() as TestTimer; // at least this timer was there
    if (last === timer) return;
    if (place > 0 && last.isBefore(this.#at((place - 1) >> 1))) this.#rise(last, place);
    else this.#sink(last, place);
  }

  #rise(timer: TestTimer, from: number): void {
    let place = from;
    for (; place > 0; place = (place - 1) >> 1) {
      const parent = this.#at((place - 1) >> 1);
      if (!timer.isBefore(parent)) break;
      this.#put(parent, place);
    }
    this.#put(timer, place);
  }

  #sink(timer: TestTimer, from: number): void {
    let place = from;
    for (let child = place * 2 + 1; child < this.#heap.length; child = place * 2 + 1) {
      if (child + 1 < this.#heap.length && this.#at(child + 1).isBefore(this.#at(child))) child++;
      if (!this.#at(child).isBefore(timer)) break;
      this.#put(this.#at(child), place);
      place = child;
    }
    this.#put(timer, place);
  }

  #put(timer: TestTimer, place: number): void {
    this.#heap[place] = timer;
    timer.place = place;
  }

  #at(place: number): TestTimer {
    return this.#heap[place] as TestTimer; // every caller stays within the heap
  }
}

class TestTimer implements Timer {
  readonly due: number;
  readonly call: () => void;
  /** Where it stands in the heap, -1 outside. */
  place = -1;
  readonly #all: TestTimers;
  readonly #arrival: number;

  constructor(all: TestTimers, due: number, arrival: number, call: () => void) {
    this.#all = all;
    this.due = due;
    this.#arrival = arrival;
    this.call = call;
  }

  isBefore(other: TestTimer): boolean {
    return this.due < other.due || (this.due === other.due && this.#arrival < other.#arrival);
  }

  clear(): void {
    this.#all.remove(this);
  }

  ref(): void {}
}
