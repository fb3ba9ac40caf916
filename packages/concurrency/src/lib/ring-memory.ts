// The shared memory under a ring. The protocols see it through a small port, so that a test can put one together step
// by step and walk through every interleaving of the very code that runs here.

/** Atomic words. All accesses are sequentially consistent, as those of `Atomics` are. */
export interface RingWords {
  load(index: number): number;
  store(index: number, value: number): void;
  /** Puts `value` in the place of `expected`; returns whether that was there. */
  swap(index: number, expected: number, value: number): boolean;
}

export class SharedWords implements RingWords {
  readonly array: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.array = new Int32Array(buffer);
  }

  load(index: number): number {
    return Atomics.load(this.array, index);
  }

  store(index: number, value: number): void {
    Atomics.store(this.array, index, value);
  }

  swap(index: number, expected: number, value: number): boolean {
    return Atomics.compareExchange(this.array, index, expected, value) === expected;
  }
}

/** Where things are in the memory of both kinds of rings, in words. What different threads write is on different cache lines. */
export const ringLayout = {
  kind: 0,
  slots: 1,
  slotBytes: 2,
  tail: 16,
  head: 32,
  itemBell: 48,
  roomBell: 64,
  seats: 80,
  data: 96,
} as const;

/** Copies bytes into shared memory. Short ones in a loop: `set` with a view costs more than they do. */
export function copyBytes(source: Uint8Array, from: number, target: Uint8Array, to: number, length: number): void {
  if (length <= 64) {
    for (let i = 0; i < length; i++) target[to + i] = source[from + i] as number; // within both
  } else {
    target.set(source.subarray(from, from + length), to);
  }
}

/** The SharedArrayBuffer of a ring of this kind, or a TypeError. */
export function checkRingBuffer(action: string, buffer: unknown, kind: number): SharedArrayBuffer {
  if (!(buffer instanceof SharedArrayBuffer)) {
    throw new TypeError(`Cannot ${action}: the buffer must be a SharedArrayBuffer`);
  }
  const isLargeEnough = buffer.byteLength > ringLayout.data * 4;
  if (!isLargeEnough || new Int32Array(buffer)[ringLayout.kind] !== kind) {
    throw new TypeError(`Cannot ${action}: the buffer is not that of such a ring`);
  }
  return buffer;
}
