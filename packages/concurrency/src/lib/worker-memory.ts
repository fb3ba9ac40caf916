// All that the pool and one thread share: the slots, and a ring of slot numbers in each direction.
import { spscRing } from "./ring-spsc.ts";
import { Bell } from "./worker-bell.ts";
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
    this.requests = new SlotRing(requests, new Bell(this.slots.words, this.slots.requestBell));
    this.replies = new SlotRing(replies, new Bell(this.slots.words, this.slots.replyBell));
    this.shared = { size, slots: this.slots.buffer, requests: requests.buffer, replies: replies.buffer };
  }
}

/** A ring with a bell. What is put in is seen by the other side after `send`, all at once. */
class SlotRing {
  readonly #ring: ReturnType<typeof spscRing>;
  readonly #bell: Bell;
  readonly #pending = new Uint8Array(mostSlots);
  #size = 0;

  constructor(ring: ReturnType<typeof spscRing>, bell: Bell) {
    this.#ring = ring;
    this.#bell = bell;
  }

  add(slot: number): void {
    this.#pending[this.#size++] = slot;
  }

  send(): void {
    if (this.#size === 0) return;
    this.#ring.tryPush(this.#pending.subarray(0, this.#size)); // there is room for all slots
    this.#size = 0;
    this.#bell.ring();
  }

  /** The oldest batch of slots. */
  take(): Uint8Array | undefined {
    return this.#ring.tryPop();
  }

  /** Calls back whenever there may be something to take. */
  listen(listener: () => void): void {
    this.#bell.listen(listener, () => this.#ring.isEmpty);
  }

  mute(): void {
    this.#bell.mute();
  }
}
