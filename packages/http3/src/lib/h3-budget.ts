// A count of bytes with a ceiling, which may lie under the ceiling of a wider one.

/** Bytes of one stream, connection or process. What is taken here is taken from the wider budget too. */
export class ByteBudget {
  readonly #limit: number;
  readonly #wider: ByteBudget | undefined;
  #used = 0;

  constructor(limit: number, wider?: ByteBudget) {
    this.#limit = limit;
    this.#wider = wider;
  }

  get used(): number {
    return this.#used;
  }

  /** False, and nothing changed, when the bytes do not fit. */
  take(bytes: number): boolean {
    if (this.#used + bytes > this.#limit) return false;
    if (this.#wider !== undefined && !this.#wider.take(bytes)) return false;
    this.#used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#used -= bytes;
    this.#wider?.give(bytes);
  }
}
