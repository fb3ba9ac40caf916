// What simulations count.

/** The value that the given share of the values is at or below. */
export function quantileOf(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).toSorted();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** To so many digits that matter: what is committed should be readable. */
export function round(value: number, digits = 3): number {
  return Number.isFinite(value) ? Number(value.toPrecision(digits)) : value;
}

/** Counts per step of time. */
export class Series {
  readonly #step: number;
  readonly #counts: number[] = [];

  constructor(step: number) {
    this.#step = step;
  }

  add(now: number, amount = 1): void {
    const index = Math.floor(now / this.#step);
    while (this.#counts.length <= index) this.#counts.push(0);
    this.#counts[index] = (this.#counts[index] ?? 0) + amount;
  }

  /** Per second, at the end of each step. */
  perSecond(until: number): readonly (readonly [seconds: number, rate: number])[] {
    return Array.from({ length: Math.floor(until / this.#step) }, (_, index) => [
      round(((index + 1) * this.#step) / 1_000, 6),
      round(((this.#counts[index] ?? 0) * 1_000) / this.#step, 4),
    ]);
  }

  /** The sum over a span of time, whole steps. */
  sum(from: number, until: number): number {
    return this.#counts
      .slice(Math.floor(from / this.#step), Math.floor(until / this.#step))
      .reduce((sum, count) => sum + count, 0);
  }
}
