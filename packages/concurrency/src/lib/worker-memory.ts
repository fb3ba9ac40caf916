// All that the pool and one thread share: the slots, a ring of slot numbers in each direction, and who of them sleeps.
import { type SpscRing, spscRing } from "./ring-spsc.ts";
import { SlotTable } from "./worker-slots.ts";

/** Goes to the thread when it starts. */
export interface SharedMemory {
  readonly size: number;
  readonly slots: SharedArrayBuffer;
  readonly requests: SharedArrayBuffer;
  readonly replies: SharedArrayBuffer;
}

/** Slot numbers are bytes. */
export const mostSlots = 256;

export class ThreadMemory {
  readonly slots: SlotTable;
  /** From the pool to the thread: tasks whose arguments are in their slots. */
  readonly requests: SlotRing;
  /** From the thread to the pool: tasks whose results are in their slots. */
  readonly replies: SlotRing;
  readonly shared: SharedMemory;

  constructor(memory: number | SharedMemory) {
    const isNew = typeof memory === "number";
    const size = isNew ? memory : memory.size;
    // A record of one slot takes 8 bytes, and no slot is in a ring twice.
    const bytes = Math.max(64, size * 8);
    const requests = spscRing(isNew ? { bytes } : memory.requests);
    const replies = spscRing(isNew ? { bytes } : memory.replies);
    this.slots = isNew ? new SlotTable(size) : new SlotTable(size, memory.slots);
    this.requests = new SlotRing(requests, this.slots.words, this.slots.requestSleep);
    this.replies = new SlotRing(replies, this.slots.words, this.slots.replySleep);
    this.shared = { size, slots: this.slots.buffer, requests: requests.buffer, replies: replies.buffer };
  }
}

const awake = 0;
/** The receiver stands still until it is woken up. */
const blocked = 1;
/** The receiver is in its event loop, where messages reach it. */
const turning = 2;

/**
 * A ring, and a word that says what its receiver does. The receiver says that it goes to sleep first and then looks once
 * more; the sender puts something in first and then looks at the word: one of them always sees the other.
 */
export class SlotRing {
  readonly #ring: SpscRing;
  readonly #words: Int32Array;
  readonly #sleep: number;
  readonly #pending = new Uint8Array(mostSlots);
  #size = 0;

  constructor(ring: SpscRing, words: Int32Array, sleep: number) {
    this.#ring = ring;
    this.#words = words;
    this.#sleep = sleep;
  }

  add(slot: number): void {
    this.#pending[this.#size++] = slot;
  }

  /** Puts in what was added, all at once. Returns whether there was something. */
  send(): boolean {
    if (this.#size === 0) return false;
    this.#ring.tryPush(this.#pending.subarray(0, this.#size)); // there is room for all slots
    this.#size = 0;
    return true;
  }

  /** Wakes the receiver after something was put in. Returns whether it takes a message to do that. */
  wake(): boolean {
    const before = Atomics.exchange(this.#words, this.#sleep, awake);
    if (before === blocked) Atomics.notify(this.#words, this.#sleep);
    return before === turning;
  }

  /** Wakes the receiver after a message was sent, if it stands still: else its event loop brings the message. */
  unblock(): void {
    const before = Atomics.compareExchange(this.#words, this.#sleep, blocked, awake);
    if (before === blocked) Atomics.notify(this.#words, this.#sleep);
  }

  /** The oldest batch of slots. */
  take(): Uint8Array | undefined {
    return this.#ring.tryPop();
  }

  get isEmpty(): boolean {
    return this.#ring.isEmpty;
  }

  /** From now on a message comes when there is something. Look into the ring after this. */
  turn(): void {
    Atomics.store(this.#words, this.#sleep, turning);
  }

  /** Stands still until it is woken up, or time is over; not at all when there is something or a message has come. */
  block(ms: number, hasMessage: () => boolean): void {
    Atomics.store(this.#words, this.#sleep, blocked);
    if (this.#ring.isEmpty && !hasMessage()) Atomics.wait(this.#words, this.#sleep, blocked, ms);
    Atomics.store(this.#words, this.#sleep, awake);
  }
}
