// LFU with aging: least used first; uses of long ago count half, a quarter, and so on.
import { grown, SlotLists } from "./cache-lists.ts";
import { type MarkedPolicy, stepTable } from "./cache-policy.ts";

const most = 127;

/** A list for each number of uses. Hits only count: a slot goes to its list when it is looked at as a victim. */
export class LfuPolicy implements MarkedPolicy {
  readonly step = stepTable((uses) => Math.min(most, uses + 1));
  readonly usesFingerprints = false;
  readonly #lists = new SlotLists(most + 1, 0);
  marks = new Uint8Array(0);
  /** No list below this one has a slot. */
  #lowest = 0;

  onInsert(slot: number): void {
    this.marks[slot] = 0;
    this.#lists.push(0, slot);
    this.#lowest = 0;
  }

  onRemove(slot: number): void {
    this.#lists.remove(slot);
  }

  victim(): number {
    const lists = this.#lists;
    for (;;) {
      while (lists.isEmpty(this.#lowest)) this.#lowest++;
      const slot = lists.first(this.#lowest);
      const uses = (this.marks[slot] as number) & most;
      if (uses <= this.#lowest) return slot;
      lists.remove(slot);
      lists.push(uses, slot);
    }
  }

  age(): void {
    const { marks } = this;
    for (let slot = 0; slot < marks.length; slot++) {
      const mark = marks[slot] as number;
      marks[slot] = ((mark & most) >>> 1) | (mark & ~most);
    }
    for (let uses = 1; uses <= most; uses++) this.#lists.append(uses, uses >>> 1);
    this.#lowest = 0;
  }

  grow(capacity: number): void {
    this.marks = grown(this.marks, capacity);
    this.#lists.grow(capacity);
  }

  clear(): void {
    this.#lists.clear();
  }
}
