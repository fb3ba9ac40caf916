// Counts of the last while, in a ring of buckets that time empties: nothing has to run to keep them true.

/**
 * Counts events of a few kinds, as many as happened within `window`: never an older one, and all of the last
 * `window * (1 - 1 / buckets)`. One typed array holds the totals and the buckets.
 */
export class RollingCounts {
  readonly #width: number;
  readonly #buckets: number;
  readonly #kinds: number;
  /** The totals, then the kinds of each bucket. */
  readonly #counts: Int32Array;
  #tick = Number.NEGATIVE_INFINITY;
  /** Where the counts of the current bucket begin. */
  #at: number;

  constructor(window: number, buckets: number, kinds: number) {
    this.#width = window / buckets;
    this.#buckets = buckets;
    this.#kinds = kinds;
    this.#counts = new Int32Array((buckets + 1) * kinds);
    this.#at = kinds;
  }

  /** Lets go of what is too old by now. To be called before anything is counted or read. */
  advance(now: number): void {
    const tick = Math.floor(now / this.#width);
    const passed = tick - this.#tick;
    if (passed <= 0) return;
    this.#tick = tick;
    if (passed >= this.#buckets) this.clear();
    else for (let left = passed; left > 0; left--) this.#rotate();
  }

  add(kind: number, count = 1): void {
    const counts = this.#counts;
    // An index of a kind is always within the array.
    (counts[kind] as number) += count;
    (counts[this.#at + kind] as number) += count;
  }

  total(kind: number): number {
    return this.#counts[kind] as number; // as above
  }

  /** Of the bucket that counts go to now: what happened within the last `window / buckets` at most. */
  latest(kind: number): number {
    return this.#counts[this.#at + kind] as number; // as above
  }

  clear(): void {
    this.#counts.fill(0);
  }

  #rotate(): void {
    const counts = this.#counts;
    const kinds = this.#kinds;
    this.#at = this.#at === kinds * this.#buckets ? kinds : this.#at + kinds;
    for (let kind = 0; kind < kinds; kind++) {
      (counts[kind] as number) -= counts[this.#at + kind] as number;
      counts[this.#at + kind] = 0;
    }
  }
}
