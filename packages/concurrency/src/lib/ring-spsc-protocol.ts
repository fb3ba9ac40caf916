// One producer, one consumer (Lamport 1977): each side writes one index only, and looks at the other's only when what it
// remembers of it does not suffice. A side that is killed between two steps has either moved its record or not.
import { type RingWords, ringLayout } from "./ring-memory.ts";

/** The bytes of the ring; positions run on and wrap by themselves. */
export interface RecordBytes<R> {
  /** How much room a record takes, its length included. */
  room(record: R): number;
  write(position: number, record: R): void;
  /** Returns the record, and how much room it took. */
  read(position: number): { readonly record: R; readonly room: number };
}

const { tail: tailIndex, head: headIndex } = ringLayout;

/** Positions are 32-bit numbers that wrap: only their difference means something, and that stays right. */
export class SpscProtocol<R> {
  readonly #words: RingWords;
  readonly #bytes: RecordBytes<R>;
  readonly #capacity: number;
  #seenHead: number;
  #seenTail: number;

  /** `capacity` is a power of two up to 2^30. */
  constructor(words: RingWords, bytes: RecordBytes<R>, capacity: number) {
    this.#words = words;
    this.#bytes = bytes;
    this.#capacity = capacity;
    this.#seenHead = words.load(headIndex);
    this.#seenTail = words.load(tailIndex);
  }

  push(record: R): boolean {
    const room = this.#bytes.room(record);
    const tail = this.#words.load(tailIndex);
    if (((tail - this.#seenHead) | 0) + room > this.#capacity) {
      this.#seenHead = this.#words.load(headIndex);
      if (((tail - this.#seenHead) | 0) + room > this.#capacity) return false;
    }
    this.#bytes.write(tail, record);
    this.#words.store(tailIndex, (tail + room) | 0); // only now can it be seen
    return true;
  }

  pop(): R | undefined {
    const head = this.#words.load(headIndex);
    if (head === this.#seenTail) {
      this.#seenTail = this.#words.load(tailIndex);
      if (head === this.#seenTail) return undefined;
    }
    const { record, room } = this.#bytes.read(head);
    this.#words.store(headIndex, (head + room) | 0); // only now can its room be used again
    return record;
  }
}
