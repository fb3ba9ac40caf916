// CLOCK: a hand goes round all slots and empties the first one that was not read since it came by.
import { grown } from "./cache-lists.ts";
import { type MarkedPolicy, stepTable } from "./cache-policy.ts";

const inUse = 64;
const read = 1;

/** Corbató's second chance (1968), in the order of slots: one byte for each entry, and no list. */
export class ClockPolicy implements MarkedPolicy {
  readonly step = stepTable((mark) => mark | read);
  readonly usesFingerprints = false;
  marks = new Uint8Array(0);
  #hand = 0;

  onInsert(slot: number): void {
    this.marks[slot] = inUse;
  }

  onRemove(slot: number): void {
    this.marks[slot] = 0;
  }

  victim(): number {
    const { marks } = this;
    for (;;) {
      const slot = this.#hand;
      this.#hand = slot + 1 < marks.length ? slot + 1 : 0;
      const mark = marks[slot] as number;
      if ((mark & inUse) === 0) continue;
      if ((mark & read) === 0) return slot;
      marks[slot] = mark & ~read;
    }
  }

  grow(capacity: number): void {
    this.marks = grown(this.marks, capacity);
  }

  clear(): void {
    this.marks.fill(0);
    this.#hand = 0;
  }
}
