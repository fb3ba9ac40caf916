// Finds positions by hash, in one typed array: nothing for the collector to visit, however many entries there are.

/** How many slots a new table has. */
const fewest = 1_024;

/** An open-addressed table of hashes and positions. A position is never 0. */
export class ByteIndex {
  /** Hash and position of each slot, side by side: mostly in one line of the processor's cache. */
  #table = new Uint32Array(2 * fewest);
  #mask = fewest - 1;
  #size = 0;
  #slot = 0; // where first() or next() has found something

  get size(): number {
    return this.#size;
  }

  /** What the table takes. */
  get bytes(): number {
    return this.#table.byteLength;
  }

  /** A position of this hash; 0 if there is none. Others may have the same hash: see {@link ByteIndex.next}. */
  first(hash: number): number {
    return this.#search(hash, hash & this.#mask);
  }

  /** The position of this hash behind the one that was found last; 0 if there is none. */
  next(hash: number): number {
    return this.#search(hash, (this.#slot + 1) & this.#mask);
  }

  /** Adds a position that is not there. */
  add(hash: number, at: number): void {
    if (this.#size >= (this.#mask + 1) * 0.75) this.#resize((this.#mask + 1) * 2);
    this.#place(hash, at);
    this.#size++;
  }

  /** Puts another position in the place of one that is there. */
  move(hash: number, from: number, to: number): void {
    this.#table[2 * this.#slotOf(hash, from) + 1] = to;
  }

  /** Removes a position that is there. */
  delete(hash: number, at: number): void {
    const table = this.#table;
    const mask = this.#mask;
    let hole = this.#slotOf(hash, at);
    // Those behind it move up, or a search for them would end at the hole.
    for (let slot = (hole + 1) & mask; table[2 * slot + 1] !== 0; slot = (slot + 1) & mask) {
      const home = (table[2 * slot] as number) & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue; // it would come to lie in front of its home
      table[2 * hole] = table[2 * slot] as number;
      table[2 * hole + 1] = table[2 * slot + 1] as number;
      hole = slot;
    }
    table[2 * hole + 1] = 0;
    this.#size--;
  }

  /** Gives back what a table of this size does not need. */
  trim(): void {
    let slots = fewest;
    while (this.#size >= slots * 0.75) slots *= 2;
    if (slots <= this.#mask) this.#resize(slots);
  }

  clear(): void {
    this.#table = new Uint32Array(2 * fewest);
    this.#mask = fewest - 1;
    this.#size = 0;
  }

  #search(hash: number, from: number): number {
    const table = this.#table;
    const mask = this.#mask;
    for (let slot = from; ; slot = (slot + 1) & mask) {
      const at = table[2 * slot + 1] as number; // the mask keeps it in bounds
      if (at === 0) return 0;
      if (table[2 * slot] === hash) {
        this.#slot = slot;
        return at;
      }
    }
  }

  #slotOf(hash: number, at: number): number {
    const table = this.#table;
    const mask = this.#mask;
    let slot = hash & mask;
    while (table[2 * slot + 1] !== at) {
      if (table[2 * slot + 1] === 0) throw new Error("Cannot find a position that was added"); // a bug of ours
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #place(hash: number, at: number): void {
    const table = this.#table;
    const mask = this.#mask;
    let slot = hash & mask;
    while (table[2 * slot + 1] !== 0) slot = (slot + 1) & mask;
    table[2 * slot] = hash;
    table[2 * slot + 1] = at;
  }

  /** In the order of the old table, which is nearly that of the new one: memory is walked through, not jumped about in. */
  #resize(slots: number): void {
    const old = this.#table;
    this.#table = new Uint32Array(2 * slots);
    this.#mask = slots - 1;
    for (let index = 0; index < old.length; index += 2) {
      const at = old[index + 1] as number; // in bounds
      if (at !== 0) this.#place(old[index] as number, at);
    }
  }
}
