// FIFO: first in, first out, whatever was read.
import { grown, SlotLists } from "./cache-lists.ts";
import { type MarkedPolicy, stepTable } from "./cache-policy.ts";

/** Hits change nothing. */
export class FifoPolicy implements MarkedPolicy {
  readonly step = stepTable((mark) => mark);
  readonly usesFingerprints = false;
  readonly #lists = new SlotLists(1, 0);
  marks = new Uint8Array(0);

  onInsert(slot: number): void {
    this.marks[slot] = 0;
    this.#lists.push(0, slot);
  }

  onRemove(slot: number): void {
    this.#lists.remove(slot);
  }

  victim(): number {
    return this.#lists.first(0);
  }

  grow(capacity: number): void {
    this.marks = grown(this.marks, capacity);
    this.#lists.grow(capacity);
  }

  clear(): void {
    this.#lists.clear();
  }
}
