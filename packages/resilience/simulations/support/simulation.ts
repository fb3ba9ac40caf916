// Virtual time for real policies: events happen in order, and between two of them all promises settle that can.
import type { Clock, Timer } from "@proj/concurrency";
import { type Random, randomFrom } from "./random.ts";

interface Event extends Timer {
  readonly due: number;
  readonly order: number;
  callback: ((arg: never) => void) | undefined;
  readonly arg: unknown;
}

/** Looks at what is to come in batches: a turn of the event loop per event would take ten times as long. */
const batch = 512;

/** A world with a clock of its own. The same seed makes the same history. */
export class Simulation {
  readonly seed: number;
  readonly clock: Clock;
  readonly #heap = new EventHeap();
  #now = 0;
  #order = 0;
  #streams = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.clock = {
      now: () => this.#now,
      wall: () => Date.UTC(2030, 0, 1) + this.#now,
      setTimeout: (callback: (arg: never) => void, ms: number, arg?: unknown) => this.#add(callback, ms, arg),
    };
  }

  get now(): number {
    return this.#now;
  }

  /** Random numbers that nobody else draws from: a change in one part of the world leaves the others as they were. */
  stream(): Random {
    return randomFrom(this.seed * 1_000 + this.#streams++);
  }

  /** Calls back in so many milliseconds. */
  after(ms: number, callback: () => void): Timer {
    return this.#add(callback, ms, undefined);
  }

  /** Calls back every so many milliseconds. */
  every(ms: number, callback: () => void): void {
    this.after(ms, () => {
      callback();
      this.every(ms, callback);
    });
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, resolve);
    });
  }

  /** Goes on until then. Rejects with what an event throws. */
  run(until: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      const step = () => {
        if (isOver) return;
        try {
          isOver = !this.#step(until);
        } catch (error) {
          isOver = true;
          reject(error as Error);
        }
        if (isOver) resolve();
      };
      const go = () => {
        if (isOver) return;
        for (let count = 0; count < batch; count++) setImmediate(step);
        setImmediate(go);
      };
      setImmediate(go);
    });
  }

  /** The same, for a world without promises. */
  runSync(until: number): void {
    while (this.#step(until));
  }

  #step(until: number): boolean {
    const next = this.#heap.first;
    if (next === undefined || next.due > until) {
      this.#now = until;
      return false;
    }
    this.#heap.shift();
    const { callback, arg } = next;
    if (callback === undefined) return true;
    this.#now = next.due;
    next.callback = undefined;
    callback(arg as never); // as it was given with it
    return true;
  }

  #add(callback: (arg: never) => void, ms: number, arg: unknown): Timer {
    const event: Event = {
      due: this.#now + Math.max(0, ms),
      order: this.#order++,
      callback,
      arg,
      clear() {
        event.callback = undefined;
      },
      ref() {},
    };
    if (ms !== Number.POSITIVE_INFINITY) this.#heap.push(event);
    return event;
  }
}

/** Earliest first, and in the order in which they were made. */
class EventHeap {
  readonly #events: Event[] = [];

  get first(): Event | undefined {
    return this.#events[0];
  }

  push(event: Event): void {
    const events = this.#events;
    let at = events.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = events[above] as Event; // below `at`
      if (!isBefore(event, parent)) break;
      events[at] = parent;
      at = above;
    }
    events[at] = event;
  }

  shift(): void {
    const events = this.#events;
    const last = events.pop();
    const { length } = events;
    if (last === undefined || length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && isBefore(events[child + 1] as Event, events[child] as Event)) child++;
      const below = events[child] as Event; // below `length`
      if (!isBefore(below, last)) break;
      events[at] = below;
      at = child;
    }
    events[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.due < b.due || (a.due === b.due && a.order < b.order);
}
