// A queue between two threads: one puts in, the other takes out.
import { checkCount, describe } from "./check.ts";
import { RingBell } from "./ring-bell.ts";
import { checkRingBuffer, copyBytes, ringLayout, SharedWords } from "./ring-memory.ts";
import { RecordRing, type Ring } from "./ring-record.ts";
import { type RecordBytes, SpscProtocol } from "./ring-spsc-protocol.ts";

/** The size of a new ring. */
export interface SpscRingOptions {
  /** Room in bytes, rounded up to a power of two: 8 at least, 2^30 at most. Each record takes its length plus 4 to 7. */
  readonly bytes: number;
}

/** A queue between two threads, made by {@link spscRing}. */
export interface SpscRing extends Ring {
  /** Hand it to the other thread, which calls `spscRing(buffer)`. */
  readonly buffer: SharedArrayBuffer;
}

const kind = 0x5350_5343; // "SPSC"

/**
 * Makes a lock-free queue of byte records over shared memory, or opens one that another thread has made.
 *
 * **One thread pushes and one pops**, at a time; that is not checked. Records come out whole, once, in order. A thread
 * that is killed, at whatever step, leaves the queue intact: what it was pushing is not there, what it was popping still
 * is, and another thread may take its part. Records may have any length up to `maxRecord`.
 *
 * @example
 * ```ts
 * import { spscRing } from "@proj/concurrency/ring";
 *
 * const ring = spscRing({ bytes: 65_536 });
 * const other = spscRing(ring.buffer); // in a worker: spscRing(workerData.buffer)
 *
 * ring.tryPush(new TextEncoder().encode("hello"));
 * console.log(new TextDecoder().decode(other.tryPop())); // prints: hello
 * ```
 *
 * @throws TypeError, RangeError for a size out of range, or a buffer that is not that of such a ring.
 */
export function spscRing(ring: SpscRingOptions | SharedArrayBuffer): SpscRing {
  if (ring instanceof SharedArrayBuffer) return new SharedSpscRing(checkRingBuffer("open a ring", ring, kind));
  if (typeof ring !== "object" || ring === null) {
    throw new TypeError(`Cannot create a ring: options must be an object, got ${describe(ring)}`);
  }
  const bytes = checkCount("create a ring", "bytes", ring.bytes, 8);
  if (bytes > 2 ** 30) throw new RangeError(`Cannot create a ring: bytes must be at most 2^30, got ${bytes}`);
  const capacity = 2 ** Math.ceil(Math.log2(bytes));
  const buffer = new SharedArrayBuffer(ringLayout.data * 4 + capacity);
  const words = new Int32Array(buffer);
  words[ringLayout.slots] = capacity;
  words[ringLayout.kind] = kind;
  return new SharedSpscRing(buffer);
}

class SharedSpscRing extends RecordRing implements SpscRing {
  readonly buffer: SharedArrayBuffer;
  readonly maxRecord: number;
  readonly #words: SharedWords;
  readonly #protocol: SpscProtocol<Uint8Array>;

  constructor(buffer: SharedArrayBuffer) {
    const words = new SharedWords(buffer);
    super(new RingBell(words.array, ringLayout.itemBell), new RingBell(words.array, ringLayout.roomBell));
    const capacity = words.load(ringLayout.slots);
    this.buffer = buffer;
    this.maxRecord = capacity - 4;
    this.#words = words;
    this.#protocol = new SpscProtocol(words, new WrappedBytes(buffer, capacity), capacity);
  }

  get isEmpty(): boolean {
    return this.#words.load(ringLayout.head) === this.#words.load(ringLayout.tail);
  }

  protected put(record: Uint8Array): boolean {
    return this.#protocol.push(record);
  }

  protected take(): Uint8Array | undefined {
    return this.#protocol.pop();
  }
}

/** Records one after the other, each as its length and its bytes, over the edge where it comes. */
class WrappedBytes implements RecordBytes<Uint8Array> {
  readonly #bytes: Uint8Array;
  readonly #lengths: Int32Array;
  readonly #mask: number;

  constructor(buffer: SharedArrayBuffer, capacity: number) {
    this.#bytes = new Uint8Array(buffer, ringLayout.data * 4, capacity);
    this.#lengths = new Int32Array(buffer, ringLayout.data * 4, capacity / 4);
    this.#mask = capacity - 1;
  }

  room({ length }: Uint8Array): number {
    return roomFor(length);
  }

  write(position: number, record: Uint8Array): void {
    const at = position & this.#mask; // a multiple of four: a length never lies over the edge
    this.#lengths[at >>> 2] = record.length;
    const start = (at + 4) & this.#mask;
    const first = Math.min(record.length, this.#bytes.length - start);
    copyBytes(record, 0, this.#bytes, start, first);
    if (first < record.length) copyBytes(record, first, this.#bytes, 0, record.length - first);
  }

  read(position: number): { readonly record: Uint8Array; readonly room: number } {
    const at = position & this.#mask;
    const length = this.#lengths[at >>> 2] as number; // within the ring
    const record = new Uint8Array(length);
    const start = (at + 4) & this.#mask;
    const first = Math.min(length, this.#bytes.length - start);
    copyBytes(this.#bytes, start, record, 0, first);
    if (first < length) copyBytes(this.#bytes, 0, record, first, length - first);
    return { record, room: roomFor(length) };
  }
}

function roomFor(length: number): number {
  return 4 + ((length + 3) & ~3);
}
