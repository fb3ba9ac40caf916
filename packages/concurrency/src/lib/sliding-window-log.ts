// The exact sliding window: a ring of takes per key.
import { type Meter, wholeMs } from "./rate-limiter-meter.ts";

export class LogMeter implements Meter {
  readonly limit: number;
  readonly maxCost: number;
  readonly windowMs: number;
  readonly #rings: Ring[] = [];

  constructor(limit: number, window: number) {
    this.limit = limit;
    this.maxCost = limit;
    this.windowMs = window;
  }

  resize(slots: number): void {
    while (this.#rings.length < slots) this.#rings.push(new Ring());
  }

  open(slot: number): void {
    this.#ring(slot).clear();
  }

  take(slot: number, cost: number, now: number): number {
    const ring = this.#ring(slot);
    ring.expire(now - this.windowMs);
    const excess = ring.units + cost - this.limit;
    if (excess > 0) return wholeMs(ring.timeOf(excess) + this.windowMs - now);
    ring.push(now, cost);
    return 0;
  }

  delay(slot: number, cost: number, ahead: number, now: number): number {
    const ring = this.#ring(slot);
    ring.expire(now - this.windowMs);
    const excess = ring.units + ahead + cost - this.limit;
    if (excess <= 0) return 0;
    // A unit that is yet to be admitted leaves the window at least one window after the unit it had to wait for.
    const rounds = Math.ceil(excess / this.limit);
    const rest = excess - (rounds - 1) * this.limit;
    return wholeMs((rest <= ring.units ? ring.timeOf(rest) : now) + rounds * this.windowMs - now);
  }

  available(slot: number, now: number): number {
    const ring = this.#ring(slot);
    ring.expire(now - this.windowMs);
    return this.limit - ring.units;
  }

  idleAt(slot: number): number {
    return this.#ring(slot).lastTime + this.windowMs;
  }

  #ring(slot: number): Ring {
    return this.#rings[slot] as Ring; // a slot is always within the array
  }
}

/** Takes in the order of time: pairs of a time and the units taken then. Grows by need, never beyond twice that. */
class Ring {
  /** Units of all takes. */
  units = 0;
  #pairs = new Float64Array(0);
  #first = 0;
  #length = 0;

  get lastTime(): number {
    return this.#length === 0 ? Number.NEGATIVE_INFINITY : this.#at(this.#length - 1, 0);
  }

  clear(): void {
    this.units = 0;
    this.#first = 0;
    this.#length = 0;
    if (this.#pairs.length > 8) this.#pairs = new Float64Array(0); // the next key may be a quiet one
  }

  push(time: number, units: number): void {
    this.units += units;
    if (this.lastTime === time) {
      this.#pairs[this.#index(this.#length - 1) + 1] = this.#at(this.#length - 1, 1) + units;
      return;
    }
    if (this.#length * 2 === this.#pairs.length) this.#grow();
    const index = this.#index(this.#length++);
    this.#pairs[index] = time;
    this.#pairs[index + 1] = units;
  }

  /** Drops the takes up to `time`. */
  expire(time: number): void {
    while (this.#length > 0 && this.#at(0, 0) <= time) {
      this.units -= this.#at(0, 1);
      this.#first = (this.#first + 1) % (this.#pairs.length / 2);
      this.#length--;
    }
  }

  /** The time of the unit with this number, counted from the oldest, which is 1. There must be so many. */
  timeOf(unit: number): number {
    let index = 0;
    for (let left = unit - this.#at(0, 1); left > 0; left -= this.#at(index, 1)) index++;
    return this.#at(index, 0);
  }

  #at(position: number, field: 0 | 1): number {
    return this.#pairs[this.#index(position) + field] as number; // callers stay below #length
  }

  #index(position: number): number {
    return ((this.#first + position) % (this.#pairs.length / 2)) * 2;
  }

  #grow(): void {
    const pairs = new Float64Array(Math.max(8, this.#pairs.length * 2));
    for (let position = 0; position < this.#length; position++) {
      pairs[position * 2] = this.#at(position, 0);
      pairs[position * 2 + 1] = this.#at(position, 1);
    }
    this.#pairs = pairs;
    this.#first = 0;
  }
}
