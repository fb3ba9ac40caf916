// Records of bytes in a ring of equal segments outside of the JavaScript heap: written one behind the other, dropped a
// segment at a time. Positions count units of eight bytes, so that 32 bits reach over 32 GiB.

/** What is in front of each record: hash, lengths, when it expires, flags. */
const headerBytes = 24;
const unit = 8;
const dead = 1;
const wanted = 2;

/** What happens to the records of a segment that is about to be written over. */
export interface LogOwner {
  /** Whether to carry the record along; it was read since it was written. Called for each that is alive. */
  survives(at: number): boolean;
  /** It is somewhere else now. */
  moved(from: number, to: number): void;
  /** It is gone. */
  dropped(at: number): void;
}

/** Where records are written and read. Knows nothing of keys but their bytes. */
export class ByteLog {
  readonly segmentBytes: number;
  readonly #owner: LogOwner;
  readonly #segments: (Segment | undefined)[] = [];
  readonly #order: number[] = []; // from the oldest to the one that is written to
  readonly #most: number;
  readonly #unitsPerSegment: number;
  #spare: number | undefined;

  constructor(segmentBytes: number, most: number, owner: LogOwner) {
    this.segmentBytes = segmentBytes;
    this.#unitsPerSegment = segmentBytes / unit;
    this.#most = most;
    this.#owner = owner;
  }

  /** What the segments take. */
  get bytes(): number {
    return (this.#order.length + (this.#spare === undefined ? 0 : 1)) * this.segmentBytes;
  }

  /** Whether a record of this size can be written: up to half a segment, so that there is room for it beside what stays. */
  fits(keyBytes: number, valueBytes: number): boolean {
    return sizeOf(keyBytes, valueBytes) <= this.segmentBytes / 2;
  }

  /** Writes a record and returns its position, which is never 0. May drop the oldest segment first. */
  append(hash: number, expiresAt: number, key: Uint8Array, keyBytes: number, value: Uint8Array): number {
    const size = sizeOf(keyBytes, value.length);
    const segment = this.#segmentFor(size);
    const offset = segment.end;
    segment.end += size;
    const { view, bytes } = segment;
    view.setUint32(offset, hash, true);
    view.setUint32(offset + 4, value.length, true);
    view.setFloat64(offset + 8, expiresAt, true);
    view.setUint32(offset + 16, keyBytes, true);
    view.setUint8(offset + 20, 0);
    for (let index = 0; index < keyBytes; index++) bytes[offset + headerBytes + index] = key[index] as number; // in bounds
    bytes.set(value, offset + headerBytes + keyBytes);
    return segment.base + offset / unit;
  }

  hashAt(at: number): number {
    return this.#at(at).view.getUint32(this.#offset, true);
  }

  expiresAt(at: number): number {
    return this.#at(at).view.getFloat64(this.#offset + 8, true);
  }

  /** Whether the record has this key. */
  hasKey(at: number, key: Uint8Array, keyBytes: number): boolean {
    const { view, bytes } = this.#at(at);
    if (view.getUint32(this.#offset + 16, true) !== keyBytes) return false;
    const start = this.#offset + headerBytes;
    for (let index = 0; index < keyBytes; index++) if (bytes[start + index] !== key[index]) return false;
    return true;
  }

  keyAt(at: number): Uint8Array {
    const { view, bytes } = this.#at(at);
    const start = this.#offset + headerBytes;
    return bytes.subarray(start, start + view.getUint32(this.#offset + 16, true));
  }

  /** The bytes of the value themselves, until something is written. */
  valueAt(at: number): Uint8Array {
    const { view, bytes } = this.#at(at);
    const start = this.#offset + headerBytes + view.getUint32(this.#offset + 16, true);
    return bytes.subarray(start, start + view.getUint32(this.#offset + 4, true));
  }

  copyAt(at: number): Buffer {
    const { view, buffer } = this.#at(at);
    const start = this.#offset + headerBytes + view.getUint32(this.#offset + 16, true);
    const length = view.getUint32(this.#offset + 4, true);
    const copy = Buffer.allocUnsafeSlow(length); // of a slab, a small copy that is kept would hold 64 KiB
    buffer.copy(copy, 0, start, start + length);
    return copy;
  }

  /** What the record takes, its header and its key included. */
  sizeAt(at: number): number {
    const { view } = this.#at(at);
    return sizeOf(view.getUint32(this.#offset + 16, true), view.getUint32(this.#offset + 4, true));
  }

  /** Remembers that somebody read the record. */
  want(at: number): void {
    const { bytes } = this.#at(at);
    bytes[this.#offset + 20] = (bytes[this.#offset + 20] as number) | wanted; // in bounds
  }

  isWanted(at: number): boolean {
    const { bytes } = this.#at(at);
    return ((bytes[this.#offset + 20] as number) & wanted) !== 0; // in bounds
  }

  /** The record is not to be found any more; its bytes come back with its segment. */
  kill(at: number): void {
    const { bytes } = this.#at(at);
    bytes[this.#offset + 20] = dead;
  }

  /** Where the records are that can be found, oldest first. */
  *positions(): IterableIterator<number> {
    for (const index of [...this.#order]) {
      const found: number[] = [];
      const segment = this.#segments[index];
      if (segment !== undefined) this.#each(segment, (at) => found.push(at));
      yield* found;
    }
  }

  /** Drops everything and gives the memory back. */
  clear(): void {
    this.#segments.length = 0;
    this.#order.length = 0;
    this.#spare = undefined;
  }

  /** Gives the oldest segments back until so many are left; the one that is written to stays. */
  shrink(segments: number): void {
    while (this.#order.length > Math.max(1, segments)) this.#dropOldest();
    if (this.#spare !== undefined) this.#segments[this.#spare] = undefined;
    this.#spare = undefined;
  }

  /** How many segments have records. */
  get segments(): number {
    return this.#order.length;
  }

  #offset = 0; // of what #at has found: saves an object

  #at(at: number): Segment {
    const index = Math.floor(at / this.#unitsPerSegment);
    const segment = this.#segments[index] as Segment; // a position comes from append
    this.#offset = (at - segment.base) * unit;
    return segment;
  }

  #segmentFor(size: number): Segment {
    const newest = this.#order.at(-1);
    const current = newest === undefined ? undefined : this.#segments[newest];
    return current !== undefined && current.end + size <= this.segmentBytes ? current : this.#advance();
  }

  /** Begins a new segment, with what is wanted of the oldest one if there are as many as there may be. */
  #advance(): Segment {
    const isFull = this.#order.length + 1 >= this.#most;
    const next = this.#open();
    if (!isFull) return next;
    const oldest = this.#order.shift() as number; // there are at least two
    this.#carry(this.#segments[oldest] as Segment, next);
    this.#spare = oldest;
    return next;
  }

  #open(): Segment {
    const index = this.#spare ?? this.#vacant();
    this.#spare = undefined;
    const segment = this.#segments[index] ?? new Segment(this.segmentBytes, index * this.#unitsPerSegment);
    this.#segments[index] = segment;
    segment.end = unit; // so that no position is 0
    this.#order.push(index);
    return segment;
  }

  #vacant(): number {
    const index = this.#segments.indexOf(undefined);
    return index < 0 ? this.#segments.length : index;
  }

  /** Copies what is wanted, up to half of the new segment, or it would be full at once. */
  #carry(from: Segment, to: Segment): void {
    this.#each(from, (at, offset, size) => {
      if (to.end + size > this.segmentBytes / 2 || !this.#owner.survives(at)) {
        this.#owner.dropped(at);
        return;
      }
      to.bytes.set(from.bytes.subarray(offset, offset + size), to.end);
      to.bytes[to.end + 20] = 0; // it has to be read again to survive again
      const moved = to.base + to.end / unit;
      to.end += size;
      this.#owner.moved(at, moved);
    });
  }

  #dropOldest(): void {
    const oldest = this.#order.shift();
    if (oldest === undefined) return;
    this.#each(this.#segments[oldest] as Segment, (at) => this.#owner.dropped(at));
    this.#segments[oldest] = undefined;
  }

  #each(segment: Segment, visit: (at: number, offset: number, size: number) => void): void {
    for (let offset = unit; offset < segment.end; ) {
      const size = sizeOf(segment.view.getUint32(offset + 16, true), segment.view.getUint32(offset + 4, true));
      if (((segment.bytes[offset + 20] as number) & dead) === 0) visit(segment.base + offset / unit, offset, size);
      offset += size;
    }
  }
}

class Segment {
  readonly bytes: Uint8Array;
  readonly buffer: Buffer;
  readonly view: DataView;
  /** Its first position. */
  readonly base: number;
  /** Where the next record begins. */
  end = unit;

  constructor(size: number, base: number) {
    const memory = new ArrayBuffer(size); // zeroed by the system, page by page, as it is first touched
    this.bytes = new Uint8Array(memory);
    this.buffer = Buffer.from(memory);
    this.view = new DataView(memory);
    this.base = base;
  }
}

function sizeOf(keyBytes: number, valueBytes: number): number {
  return Math.ceil((headerBytes + keyBytes + valueBytes) / unit) * unit;
}
