// How large a batch may be: a fixed number, or one that follows the time that loading takes.

/** Additive increase, multiplicative decrease (Crankshaw et al., Clipper, NSDI 2017, section 4.3.1). */
export class BatchSize {
  limit: number;
  readonly #max: number;
  readonly #step: number;
  readonly #targetLatency: number | undefined;

  constructor(max: number, targetLatency: number | undefined) {
    this.#max = max;
    this.#step = Math.ceil(max / 32);
    this.#targetLatency = targetLatency;
    this.limit = targetLatency === undefined ? max : this.#step;
  }

  get isAdaptive(): boolean {
    return this.#targetLatency !== undefined;
  }

  /** A batch of `size` keys took `latency` milliseconds. One that was not full says nothing about larger ones. */
  learn(size: number, latency: number): void {
    if (this.#targetLatency === undefined) return;
    if (latency > this.#targetLatency) this.limit = Math.max(1, Math.floor(Math.min(this.limit, size) * 0.75));
    else if (size >= this.limit) this.limit = Math.min(this.#max, this.limit + this.#step);
  }
}
