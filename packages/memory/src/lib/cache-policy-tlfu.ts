// The default policy: what is used once leaves through a small window; what was used more often stays.
import { Ghosts } from "./cache-ghosts.ts";
import { grown, SlotLists } from "./cache-lists.ts";
import { type MarkedPolicy, stepTable } from "./cache-policy.ts";

const windowList = 0;
const mainList = 1;

/** A mark: how often it was used lately, up to 3; how often in all, up to 15; whether it is in the main part. */
const lately = 0b11;
const uses = 0b1111 << 2;
const oneUse = 1 << 2;
const inMain = 1 << 6;

const step = stepTable((mark) => {
  const more = (mark & lately) === lately ? mark : mark + 1;
  return (more & uses) === uses ? more : more + oneUse;
});

/** The share of entries in the window, at least. */
const windowShare = 0.1;
/** What it may have beyond that, where nothing stays wanted for long. */
const mostWidened = 0.8;
/** How much narrower each use of the main part makes it; each key that comes back makes it 1 wider. */
const narrowing = 1 / 3;
/** Slots of which the uses are halved at a time: nobody waits for all of them. */
const agingSlice = 256;

/**
 * A window of a tenth, first in, first out, in front of a CLOCK with two bits. What leaves the window goes to the main
 * part if it was used in the window, or more often in all than the main part's victim: the admission of TinyLFU
 * (Einziger, Friedman, Manes, 2017), with exact counters of what is there and a short history of what has gone instead
 * of a sketch. What comes back soon after it has gone goes to the main part at once, as in S3-FIFO (Yang et al., 2023).
 * The window widens as long as unused keys come back that it has just let go, and narrows as the main part is used.
 */
export class TlfuPolicy implements MarkedPolicy {
  readonly step = step;
  readonly usesFingerprints = true;
  readonly #lists = new SlotLists(2, 0);
  readonly #ghosts = new Ghosts();
  marks = new Uint8Array(0);
  #inWindow = 0;
  #inMain = 0;
  /** Entries that the window may hold beyond its share. */
  #widened = 0;
  /** Slots from here on are yet to be aged. */
  #aging = 0;

  onInsert(slot: number, fingerprint: number): void {
    if (this.#aging < this.marks.length) this.#ageSome(agingSlice);
    const ghost = this.#ghosts.take(fingerprint);
    const seen = ghost === undefined ? 0 : Math.min(uses, (ghost.uses + 1) * oneUse);
    if (ghost?.isRecent === true) {
      // It left before it was used once: a larger window would have kept it.
      if (ghost.uses === 0) this.#widened = Math.min(this.#widened + 1, mostWidened * (this.#inWindow + this.#inMain));
      this.marks[slot] = seen | inMain;
      this.#inMain++;
      this.#lists.push(mainList, slot);
      return;
    }
    this.marks[slot] = seen;
    this.#inWindow++;
    this.#lists.push(windowList, slot);
    // As long as nothing has to leave, the window overflows into the main part.
    if (this.#inWindow > this.#windowSize() + 1) this.#toMain(this.#lists.first(windowList));
  }

  onRemove(slot: number): void {
    if (((this.marks[slot] as number) & inMain) === 0) this.#inWindow--;
    else this.#inMain--;
    this.#lists.remove(slot);
  }

  remember(slot: number, fingerprint: number): void {
    const entries = this.#inWindow + this.#inMain;
    this.#ghosts.add(fingerprint, ((this.marks[slot] as number) & uses) / oneUse, entries);
  }

  victim(): number {
    for (;;) {
      if (this.#inMain > 0 && this.#inWindow <= this.#windowSize()) return this.#mainVictim();
      const slot = this.#lists.first(windowList);
      const mark = this.marks[slot] as number;
      if ((mark & lately) !== 0) {
        this.#toMain(slot);
        continue;
      }
      if (this.#inMain === 0) return slot;
      const other = this.#mainVictim();
      if ((mark & uses) <= ((this.marks[other] as number) & uses)) return slot;
      this.#toMain(slot);
      return other;
    }
  }

  age(): void {
    this.#ageSome(this.marks.length);
    this.#ghosts.age();
    this.#aging = 0;
  }

  grow(capacity: number): void {
    if (this.#aging >= this.marks.length) this.#aging = capacity;
    this.marks = grown(this.marks, capacity);
    this.#lists.grow(capacity);
  }

  clear(): void {
    this.#lists.clear();
    this.#ghosts.clear();
    this.#inWindow = 0;
    this.#inMain = 0;
    this.#widened = 0;
  }

  #windowSize(): number {
    return Math.max(1, (this.#inWindow + this.#inMain) * windowShare + this.#widened);
  }

  /** The first slot of the main part that was not used since it was last looked at. */
  #mainVictim(): number {
    const { marks } = this;
    for (;;) {
      const slot = this.#lists.first(mainList);
      const mark = marks[slot] as number;
      if ((mark & lately) === 0) return slot;
      marks[slot] = mark - 1;
      this.#widened = Math.max(0, this.#widened - narrowing); // what is here is wanted here
      this.#lists.remove(slot);
      this.#lists.push(mainList, slot);
    }
  }

  #toMain(slot: number): void {
    this.#lists.remove(slot);
    this.#lists.push(mainList, slot);
    this.marks[slot] = ((this.marks[slot] as number) & ~lately) | inMain;
    this.#inWindow--;
    this.#inMain++;
  }

  #ageSome(slots: number): void {
    const { marks } = this;
    const end = Math.min(marks.length, this.#aging + slots);
    for (let slot = this.#aging; slot < end; slot++) {
      const mark = marks[slot] as number;
      marks[slot] = (mark & ~uses) | ((mark >>> 1) & uses);
    }
    this.#aging = end;
  }
}
