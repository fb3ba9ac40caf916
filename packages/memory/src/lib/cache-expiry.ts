// When entries expire: a wheel of lists, so that setting one costs the same however many there are.
import { grown, SlotLists } from "./cache-lists.ts";

/** Milliseconds of the finest bucket. */
const resolution = 16;
const buckets = 64;
/** The last one reaches some 34 years. */
const levels = 6;
/** The list of slots that have expired and wait to be removed. */
const dueList = levels * buckets;
/** The list of slots that are being moved. */
const moving = dueList + 1;
const farthest = buckets ** levels - buckets ** (levels - 1) - 1;

/** A hierarchical timing wheel (Varghese and Lauck, 1987) over slots. It has no timer: its owner calls `advance`. */
export class Expiry {
  /** By slot: when it expires, in milliseconds of the cache's clock; `Infinity` for never. May be moved later in place. */
  deadlines: Float64Array;
  readonly #lists: SlotLists;
  /** By slot: 1 if it is in a list. */
  #listed: Uint8Array;
  /** All before this tick has been dealt with. */
  #tick = 0;

  constructor(capacity: number, now: number) {
    this.deadlines = new Float64Array(capacity).fill(Number.POSITIVE_INFINITY);
    this.#lists = new SlotLists(moving + 1, capacity);
    this.#listed = new Uint8Array(capacity);
    this.#tick = tickOf(now);
  }

  grow(capacity: number): void {
    const before = this.deadlines.length;
    this.deadlines = grown(this.deadlines, capacity).fill(Number.POSITIVE_INFINITY, before);
    this.#listed = grown(this.#listed, capacity);
    this.#lists.grow(capacity);
  }

  set(slot: number, deadline: number): void {
    this.remove(slot);
    if (deadline === Number.POSITIVE_INFINITY) return;
    this.deadlines[slot] = deadline;
    this.#listed[slot] = 1;
    this.#link(slot, tickOf(deadline));
  }

  remove(slot: number): void {
    this.deadlines[slot] = Number.POSITIVE_INFINITY;
    if (this.#listed[slot] === 0) return;
    this.#listed[slot] = 0;
    this.#lists.remove(slot);
  }

  clear(): void {
    this.deadlines.fill(Number.POSITIVE_INFINITY);
    this.#listed.fill(0);
    this.#lists.clear();
  }

  /** Finds what has expired up to the last whole tick. */
  advance(now: number): void {
    const tick = tickOf(now);
    const before = this.#tick;
    if (tick <= before) return;
    this.#tick = tick;
    for (let level = levels - 1; level > 0; level--) {
      const span = buckets ** level;
      const from = Math.floor(before / span) + 1;
      const to = Math.floor(tick / span);
      for (let at = Math.max(from, to - buckets + 1); at <= to; at++) this.#empty(level * buckets + (at % buckets));
    }
    for (let at = Math.max(before, tick - buckets); at < tick; at++) this.#empty(at % buckets);
  }

  /** A slot that {@link advance} has found expired; -1 if there is none. It must be removed before the next call. */
  due(): number {
    return this.#lists.first(dueList);
  }

  /** When to advance next, in milliseconds; `Infinity` if nothing expires. */
  nextAt(): number {
    if (!this.#lists.isEmpty(dueList)) return 0;
    let soonest = Number.POSITIVE_INFINITY;
    for (let level = 0; level < levels; level++) {
      const span = buckets ** level;
      const first = Math.floor(this.#tick / span) + (level === 0 ? 0 : 1);
      for (let at = first; at < first + buckets; at++) {
        if (this.#lists.isEmpty(level * buckets + (at % buckets))) continue;
        // The finest bucket is looked at when it is over, the others when they begin.
        soonest = Math.min(soonest, (level === 0 ? at + 1 : at * span) * resolution);
        break;
      }
    }
    return soonest;
  }

  /** Each slot of a bucket goes to a finer one, or to those that are due. */
  #empty(bucket: number): void {
    const lists = this.#lists;
    if (lists.isEmpty(bucket)) return;
    // Moved away first: what is late by a whole turn comes back to the same bucket.
    lists.append(bucket, moving);
    for (let slot = lists.first(moving); slot !== -1; slot = lists.first(moving)) {
      lists.remove(slot);
      const tick = tickOf(this.deadlines[slot] as number);
      if (tick < this.#tick) lists.push(dueList, slot);
      else this.#link(slot, tick);
    }
  }

  #link(slot: number, deadline: number): void {
    const tick = Math.min(Math.max(deadline, this.#tick), this.#tick + farthest);
    const ahead = tick - this.#tick;
    let level = 0;
    let span = 1;
    while (ahead >= span * buckets) {
      level++;
      span *= buckets;
    }
    this.#lists.push(level * buckets + (Math.floor(tick / span) % buckets), slot);
  }
}

function tickOf(time: number): number {
  return Math.floor(time / resolution);
}
