// A queue among many threads: any of them puts in, any takes out.
import { checkCount, describe } from "./check.ts";
import { RingBell } from "./ring-bell.ts";
import { checkRingBuffer, copyBytes, ringLayout, SharedWords } from "./ring-memory.ts";
import { MpmcProtocol, type RecordSlots } from "./ring-mpmc-protocol.ts";
import { RecordRing, type Ring } from "./ring-record.ts";

/** The size of a new ring. */
export interface MpmcRingOptions {
  /** Records at most, rounded up to a power of two: 1 at least, 2^20 at most. */
  readonly slots: number;
  /** Bytes of a record at most. Each slot takes that plus 8, rounded up to a multiple of 8. */
  readonly slotBytes: number;
}

/** A thread's place at a ring. Can be posted to a worker. */
export interface MpmcShare {
  /** The memory of the ring. */
  readonly buffer: SharedArrayBuffer;
  /** A number from 1 to 255 that no other thread at the ring has. */
  readonly seat: number;
}

/** A queue among many threads, made by {@link mpmcRing}. */
export interface MpmcRing extends Ring {
  /** Makes a place for one more thread: post it to the thread, which calls `mpmcRing(share)`. There are 255. */
  share(): MpmcShare;
  /**
   * Cleans up after a thread that no longer runs (after the `exit` event of its worker, not before), and takes its place
   * back. A record that it was putting in is not there; the records returned are those that it had begun to take out
   * and given to nobody: handle them, or push them again.
   */
  recover(share: MpmcShare): Uint8Array[];
}

const kind = 0x4d50_4d43; // "MPMC"

/**
 * Makes a lock-free queue of byte records over shared memory, or takes a place at one that another thread has made.
 *
 * Each record comes out whole and once; those of one producer come out in their order. A push may find the ring full,
 * and a pop may find it empty, while another thread is between claiming a slot and leaving it. A thread that is killed
 * at such a moment holds up those who need that slot until somebody calls {@link MpmcRing.recover} for it; nothing is
 * lost or doubled by that.
 *
 * @example
 * ```ts
 * import { mpmcRing } from "@proj/concurrency/ring";
 *
 * const ring = mpmcRing({ slots: 1_024, slotBytes: 64 });
 * const share = ring.share(); // new Worker(url, { workerData: share })
 * const worker = mpmcRing(share); // in the worker: mpmcRing(workerData)
 *
 * worker.tryPush(Uint8Array.of(1, 2, 3));
 * console.log(ring.tryPop()); // prints: Uint8Array(3) [ 1, 2, 3 ]
 * // After the exit event of the worker:
 * console.log(ring.recover(share)); // prints: []
 * ```
 *
 * @throws TypeError, RangeError for a size out of range, or a share that is not that of such a ring.
 */
export function mpmcRing(ring: MpmcRingOptions | MpmcShare): MpmcRing {
  if (typeof ring !== "object" || ring === null) {
    throw new TypeError(`Cannot create a ring: options must be an object, got ${describe(ring)}`);
  }
  if ("buffer" in ring) {
    checkRingBuffer("take a place at a ring", ring.buffer, kind);
    checkSeat("take a place at a ring", ring.seat);
    return new SharedMpmcRing(ring);
  }
  const action = "create a ring";
  const slots = checkCount(action, "slots", ring.slots, 1);
  if (slots > 2 ** 20) throw new RangeError(`Cannot ${action}: slots must be at most 2^20, got ${slots}`);
  const slotBytes = checkCount(action, "slotBytes", ring.slotBytes, 1);
  const count = 2 ** Math.ceil(Math.log2(slots));
  const size = ringLayout.data * 4 + count * strideOf(slotBytes);
  if (size >= 2 ** 31) throw new RangeError(`Cannot ${action}: it must take less than 2^31 bytes, got ${size}`);
  const buffer = new SharedArrayBuffer(size);
  const words = new Int32Array(buffer);
  words[ringLayout.slots] = count;
  words[ringLayout.slotBytes] = slotBytes;
  words[ringLayout.kind] = kind;
  return new SharedMpmcRing({ buffer, seat: takeSeat(words) });
}

class SharedMpmcRing extends RecordRing implements MpmcRing {
  readonly maxRecord: number;
  readonly #buffer: SharedArrayBuffer;
  readonly #words: SharedWords;
  readonly #seat: number;
  readonly #protocol: MpmcProtocol<Uint8Array>;

  constructor({ buffer, seat }: MpmcShare) {
    const words = new SharedWords(buffer);
    super(new RingBell(words.array, ringLayout.itemBell), new RingBell(words.array, ringLayout.roomBell));
    const count = words.load(ringLayout.slots);
    const slotBytes = words.load(ringLayout.slotBytes);
    this.maxRecord = slotBytes;
    this.#buffer = buffer;
    this.#words = words;
    this.#seat = seat;
    this.#protocol = new MpmcProtocol(words, new ByteSlots(buffer, slotBytes), count, seat);
  }

  get isEmpty(): boolean {
    return this.#words.load(ringLayout.head) === this.#words.load(ringLayout.tail);
  }

  share(): MpmcShare {
    return { buffer: this.#buffer, seat: takeSeat(this.#words.array) };
  }

  recover({ seat }: MpmcShare): Uint8Array[] {
    checkSeat("recover a place", seat);
    if (seat === this.#seat) throw new TypeError("Cannot recover a place: this thread still has it");
    const rescued = this.#protocol.recover(seat);
    leaveSeat(this.#words.array, seat);
    this.ringBoth();
    return rescued;
  }

  protected put(record: Uint8Array): boolean {
    return this.#protocol.push(record);
  }

  protected take(): Uint8Array | undefined {
    return this.#protocol.pop();
  }
}

/** Each slot: its state, the length of its record, the bytes. */
class ByteSlots implements RecordSlots<Uint8Array> {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #stride: number;

  constructor(buffer: SharedArrayBuffer, slotBytes: number) {
    this.#words = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#stride = strideOf(slotBytes);
  }

  stateOf(slot: number): number {
    return ringLayout.data + slot * (this.#stride >>> 2);
  }

  write(slot: number, record: Uint8Array): void {
    const state = this.stateOf(slot);
    this.#words[state + 1] = record.length;
    copyBytes(record, 0, this.#bytes, (state + 2) * 4, record.length);
  }

  read(slot: number): Uint8Array {
    const state = this.stateOf(slot);
    const length = this.#words[state + 1] as number; // within the ring
    const record = new Uint8Array(length);
    copyBytes(this.#bytes, (state + 2) * 4, record, 0, length);
    return record;
  }
}

function strideOf(slotBytes: number): number {
  return 8 + ((slotBytes + 7) & ~7);
}

/** Seats are bits; seat 0 means nobody. */
function takeSeat(words: Int32Array): number {
  for (let seat = 1; seat < 256; seat++) {
    const bit = 1 << (seat & 31);
    if ((Atomics.or(words, ringLayout.seats + (seat >>> 5), bit) & bit) === 0) return seat;
  }
  throw new RangeError(
    "Cannot share a ring: all of its 255 places are taken; recover those of threads that have ended",
  );
}

function leaveSeat(words: Int32Array, seat: number): void {
  Atomics.and(words, ringLayout.seats + (seat >>> 5), ~(1 << (seat & 31)));
}

function checkSeat(action: string, seat: number): void {
  checkCount(action, "seat", seat, 1);
  if (seat > 255) throw new RangeError(`Cannot ${action}: seat must be at most 255, got ${seat}`);
}
