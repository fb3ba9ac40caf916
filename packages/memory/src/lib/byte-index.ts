// Finds positions by hash, in typed arrays: one allocation for millions of entries, nothing for the collector to visit.

/** An open-addressed table of hashes and positions. A position is never 0. */
export class ByteIndex {
  #hashes = new Uint32Array(1_024);
  #positions = new Uint32Array(1_024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** What the table takes. */
  get bytes(): number {
    return this.#hashes.byteLength + this.#positions.byteLength;
  }

  /** The first position of this hash that `matches`; 0 if there is none. */
  find(hash: number, matches: (at: number) => boolean): number {
    const mask = this.#positions.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const at = this.#positions[slot] as number; // the mask keeps it in bounds
      if (at === 0) return 0;
      if (this.#hashes[slot] === hash && matches(at)) return at;
    }
  }

  /** Adds a position that is not there. */
  add(hash: number, at: number): void {
    if (this.#size >= this.#positions.length * 0.75) this.#grow();
    this.#place(hash, at);
    this.#size++;
  }

  /** Puts another position in the place of one that is there. */
  move(hash: number, from: number, to: number): void {
    this.#positions[this.#slotOf(hash, from)] = to;
  }

  /** Removes a position that is there. */
  delete(hash: number, at: number): void {
    const mask = this.#positions.length - 1;
    let hole = this.#slotOf(hash, at);
    // Those behind it move up, or a search for them would end at the hole.
    for (let slot = (hole + 1) & mask; this.#positions[slot] !== 0; slot = (slot + 1) & mask) {
      const home = (this.#hashes[slot] as number) & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue; // it would come to lie in front of its home
      this.#hashes[hole] = this.#hashes[slot] as number;
      this.#positions[hole] = this.#positions[slot] as number;
      hole = slot;
    }
    this.#positions[hole] = 0;
    this.#size--;
  }

  clear(): void {
    this.#hashes = new Uint32Array(1_024);
    this.#positions = new Uint32Array(1_024);
    this.#size = 0;
  }

  #slotOf(hash: number, at: number): number {
    const mask = this.#positions.length - 1;
    let slot = hash & mask;
    while (this.#positions[slot] !== at) {
      if (this.#positions[slot] === 0) throw new Error("Cannot find a position that was added"); // a bug of ours
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #place(hash: number, at: number): void {
    const mask = this.#positions.length - 1;
    let slot = hash & mask;
    while (this.#positions[slot] !== 0) slot = (slot + 1) & mask;
    this.#hashes[slot] = hash;
    this.#positions[slot] = at;
  }

  #grow(): void {
    const [hashes, positions] = [this.#hashes, this.#positions];
    this.#hashes = new Uint32Array(hashes.length * 2);
    this.#positions = new Uint32Array(positions.length * 2);
    for (const [slot, at] of positions.entries()) if (at !== 0) this.#place(hashes[slot] as number, at);
  }
}
