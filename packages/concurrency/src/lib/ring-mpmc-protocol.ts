// Many producers, many consumers. Each slot has one state word: the lap it belongs to, its phase, and the seat of the
// thread at work on it. A thread claims a slot with one swap of that word, so it is known at any instant whose it is:
// head and tail only follow and anybody moves them on, and the slots of a thread that was killed can be found and freed.
//
//   empty(lap) -> writing(lap, seat) -> full(lap) -> reading(lap, seat) -> empty(lap + 1)
//                        |                                     ^
//                        +------- killed: void(lap) -----------+ (skipped)
import { type RingWords, ringLayout } from "./ring-memory.ts";

/** What the slots hold, and where their state words are. */
export interface RecordSlots<R> {
  stateOf(slot: number): number;
  write(slot: number, record: R): void;
  read(slot: number): R;
}

const empty = 0;
const writing = 1;
const full = 2;
const reading = 3;
const skipped = 4;

const { tail: tailIndex, head: headIndex } = ringLayout;

export class MpmcProtocol<R> {
  readonly #words: RingWords;
  readonly #slots: RecordSlots<R>;
  readonly #seat: number;
  readonly #count: number;
  readonly #shift: number;
  readonly #lapMask: number;

  /** `count` is a power of two up to 2^20, `seat` a number from 1 to 255. */
  constructor(words: RingWords, slots: RecordSlots<R>, count: number, seat: number) {
    this.#words = words;
    this.#slots = slots;
    this.#count = count;
    this.#seat = seat;
    this.#shift = Math.log2(count);
    // Laps wrap together with the 32-bit positions, whatever the number of slots.
    this.#lapMask = 2 ** Math.min(lapBits, 32 - this.#shift) - 1;
  }

  push(record: R): boolean {
    for (;;) {
      const tail = this.#words.load(tailIndex);
      const slot = tail & (this.#count - 1);
      const index = this.#slots.stateOf(slot);
      const lap = this.#lapOf(tail);
      const state = this.#words.load(index);
      if (state === stateFor(lap, empty)) {
        const mine = stateFor(lap, writing, this.#seat);
        if (!this.#words.swap(index, state, mine)) continue;
        this.#words.swap(tailIndex, tail, (tail + 1) | 0);
        this.#slots.write(slot, record);
        if (this.#words.swap(index, mine, stateFor(lap, full))) return true;
        // Somebody took this thread for dead and freed its slot: nothing was pushed yet.
      } else if (state >>> seatBits === ((lap - 1) & this.#lapMask)) {
        if (this.#words.load(tailIndex) === tail) return false; // what was here a lap ago is still here
      } else {
        this.#words.swap(tailIndex, tail, (tail + 1) | 0); // claimed, but its owner has not moved the tail on yet
      }
    }
  }

  pop(): R | undefined {
    for (;;) {
      const head = this.#words.load(headIndex);
      const slot = head & (this.#count - 1);
      const index = this.#slots.stateOf(slot);
      const lap = this.#lapOf(head);
      const state = this.#words.load(index);
      const next = stateFor((lap + 1) & this.#lapMask, empty);
      if (state === stateFor(lap, full)) {
        const mine = stateFor(lap, reading, this.#seat);
        if (!this.#words.swap(index, state, mine)) continue;
        this.#words.swap(headIndex, head, (head + 1) | 0);
        const record = this.#slots.read(slot);
        if (this.#words.swap(index, mine, next)) return record;
        // Somebody took this thread for dead and has the record now.
      } else if (state === stateFor(lap, skipped)) {
        this.#words.swap(index, state, next);
        this.#words.swap(headIndex, head, (head + 1) | 0);
      } else if (isNothing(state, lap, this.#lapMask)) {
        if (this.#words.load(headIndex) === head) return undefined;
      } else {
        this.#words.swap(headIndex, head, (head + 1) | 0); // claimed, but its owner has not moved the head on yet
      }
    }
  }

  /** Frees what a thread that no longer runs had claimed. Returns what it had taken out but not given to anybody. */
  recover(seat: number): R[] {
    const rescued: R[] = [];
    for (let slot = 0; slot < this.#count; slot++) {
      const index = this.#slots.stateOf(slot);
      const state = this.#words.load(index);
      if ((state & seatMask) >>> 3 !== seat) continue;
      const lap = state >>> seatBits;
      if ((state & phaseMask) === writing) {
        this.#words.swap(index, state, stateFor(lap, skipped));
      } else {
        const record = this.#slots.read(slot);
        if (this.#words.swap(index, state, stateFor((lap + 1) & this.#lapMask, empty))) rescued.push(record);
      }
    }
    return rescued;
  }

  #lapOf(position: number): number {
    return (position >>> this.#shift) & this.#lapMask;
  }
}

// A state word: 21 bits of lap, 8 of seat, 3 of phase. A thread would have to sleep for exactly a multiple of 2^21 laps
// between two steps to mistake one lap for another.
const lapBits = 21;
const seatBits = 11;
const seatMask = 0b111_1111_1000;
const phaseMask = 0b111;

function stateFor(lap: number, phase: number, seat = 0): number {
  return (lap << seatBits) | (seat << 3) | phase;
}

/** Nothing to take in this slot on this lap: not written, being written, or still being read on the lap before. */
function isNothing(state: number, lap: number, lapMask: number): boolean {
  const phase = state & phaseMask;
  if (state >>> seatBits === lap) return phase === empty || phase === writing;
  return state >>> seatBits === ((lap - 1) & lapMask);
}
