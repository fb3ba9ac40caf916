// Records of bytes in a ring of equal segments outside of the JavaScript heap: written one behind the other, dropped a
// segment at a time. Positions count units of eight bytes, so that 32 bits reach over 32 GiB.
import { markAsUntransferable } from "node:worker_threads";

// In front of each record: hash, length of the value, when it expires (a double), length of the key with two flags.
const headerBytes = 20;
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

/** What a {@link ByteLog} is made of. */
export interface ByteLogOptions {
  /** A power of two, up to 1 GiB. */
  readonly segmentBytes: number;
  /** How many segments there may be, at least three. */
  readonly segments: number;
  readonly owner: LogOwner;
  /** The number of the first one: for tests of positions beyond what they can fill. */
  readonly first?: number;
}

/** Where records are written and read. Knows nothing of keys but their bytes. */
export class ByteLog {
  readonly segmentBytes: number;
  readonly #owner: LogOwner;
  readonly #segments: (Segment | undefined)[] = [];
  readonly #order: number[] = []; // from the oldest to the one that is written to
  readonly #most: number;
  readonly #first: number;
  readonly #shift: number; // a position is the number of a segment, and of a unit in it
  readonly #mask: number;
  #spare: number | undefined;
  #slab: ArrayBuffer | undefined;
  #slabUsed = 0;

  constructor({ segmentBytes, segments, owner, first = 0 }: ByteLogOptions) {
    this.segmentBytes = segmentBytes;
    this.#shift = Math.log2(segmentBytes / unit);
    this.#mask = segmentBytes / unit - 1;
    this.#most = segments;
    this.#owner = owner;
    this.#first = first;
    for (let index = 0; index < first; index++) this.#segments.push(undefined);
  }

  /** What the segments take. */
  get bytes(): number {
    return (this.#order.length + (this.#spare === undefined ? 0 : 1)) * this.segmentBytes;
  }

  /** How many segments have records. */
  get segments(): number {
    return this.#order.length;
  }

  /** Whether a record of this size can be written: up to half a segment, so that there is room for it beside what stays. */
  fits(keyBytes: number, valueBytes: number): boolean {
    return sizeOf(keyBytes, valueBytes) <= this.segmentBytes / 2;
  }

  /** Writes a record and returns its position, which is never 0. May drop the oldest segment first. */
  append(hash: number, expiresAt: number, key: Uint8Array, keyBytes: number, value: Uint8Array): number {
    const size = sizeOf(keyBytes, value.length);
    const segment = this.#segmentFor(size);
    const { words, bytes } = segment;
    const offset = segment.end;
    const word = offset / 4;
    segment.end += size;
    words[word] = hash;
    words[word + 1] = value.length;
    segment.doubles[offset / unit + 1] = expiresAt;
    words[word + 4] = keyBytes << 2;
    const start = offset + headerBytes;
    for (let index = 0; index < keyBytes; index++) bytes[start + index] = key[index] as number; // in bounds
    bytes.set(value, start + keyBytes);
    return segment.base + offset / unit;
  }

  hashAt(at: number): number {
    return this.#segmentOf(at).words[(at & this.#mask) * 2] as number; // a position is in bounds, here and below
  }

  expiresAt(at: number): number {
    return this.#segmentOf(at).doubles[(at & this.#mask) + 1] as number;
  }

  /** Whether the record has this key. */
  hasKey(at: number, key: Uint8Array, keyBytes: number): boolean {
    const { words, bytes } = this.#segmentOf(at);
    const place = at & this.#mask;
    if ((words[place * 2 + 4] as number) >>> 2 !== keyBytes) return false;
    const start = place * unit + headerBytes;
    for (let index = 0; index < keyBytes; index++) if (bytes[start + index] !== key[index]) return false;
    return true;
  }

  keyAt(at: number): Uint8Array {
    const { words, memory } = this.#segmentOf(at);
    const place = at & this.#mask;
    return new Uint8Array(memory, place * unit + headerBytes, (words[place * 2 + 4] as number) >>> 2);
  }

  /** The bytes of the value themselves, until something is written. */
  valueAt(at: number): Uint8Array {
    const { words, memory } = this.#segmentOf(at);
    const place = at & this.#mask;
    const start = place * unit + headerBytes + ((words[place * 2 + 4] as number) >>> 2);
    return new Uint8Array(memory, start, words[place * 2 + 1] as number);
  }

  copyAt(at: number): Buffer {
    const value = this.valueAt(at);
    const copy = this.#room(value.length);
    copy.set(value);
    return copy;
  }

  /** What the record takes, its header and its key included. */
  sizeAt(at: number): number {
    return sizeIn(this.#segmentOf(at), at & this.#mask);
  }

  /** Remembers that somebody read the record. */
  want(at: number): void {
    const { words } = this.#segmentOf(at);
    const word = (at & this.#mask) * 2 + 4;
    words[word] = (words[word] as number) | wanted;
  }

  isWanted(at: number): boolean {
    return ((this.#segmentOf(at).words[(at & this.#mask) * 2 + 4] as number) & wanted) !== 0;
  }

  /** The record is not to be found any more; its bytes come back with its segment. */
  kill(at: number): void {
    const { words } = this.#segmentOf(at);
    const word = (at & this.#mask) * 2 + 4;
    words[word] = (words[word] as number) | dead;
  }

  /** What `read` makes of the records that can be found, oldest first; of each segment as it is when its turn comes. */
  *map<R>(read: (at: number) => R): IterableIterator<R> {
    const segments = this.#order.map((index) => this.#segments[index]);
    const serials = segments.map((segment) => segment?.serial);
    for (const [index, segment] of segments.entries()) {
      if (segment === undefined || segment.serial !== serials[index]) continue; // it was written over meanwhile
      const results: R[] = [];
      this.#each(segment, (at) => results.push(read(at)));
      yield* results;
    }
  }

  /** Drops everything and gives the memory back. */
  clear(): void {
    for (const segment of this.#segments) if (segment !== undefined) segment.serial++;
    this.#segments.length = this.#first;
    this.#order.length = 0;
    this.#spare = undefined;
    this.#slab = undefined;
  }

  /** Gives the oldest segments back until so many are left; the one that is written to stays. */
  shrink(segments: number): void {
    while (this.#order.length > Math.max(1, segments)) this.#dropOldest();
    if (this.#spare !== undefined) this.#segments[this.#spare] = undefined;
    this.#spare = undefined;
  }

  #segmentOf(at: number): Segment {
    return this.#segments[at >>> this.#shift] as Segment; // a position comes from append
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
    const segment = this.#segments[index] ?? new Segment(this.segmentBytes, index * (this.#mask + 1));
    this.#segments[index] = segment;
    segment.end = unit; // so that no position is 0
    segment.serial++;
    this.#order.push(index);
    return segment;
  }

  #vacant(): number {
    const index = this.#segments.indexOf(undefined, this.#first);
    return index < 0 ? this.#segments.length : index;
  }

  /** Copies what is wanted, up to half of the new segment, or it would be full at once. */
  #carry(from: Segment, to: Segment): void {
    this.#each(from, (at, size) => {
      if (to.end + size > this.segmentBytes / 2 || !this.#owner.survives(at)) {
        this.#owner.dropped(at);
        return;
      }
      const offset = (at & this.#mask) * unit;
      to.bytes.set(from.bytes.subarray(offset, offset + size), to.end);
      const flags = to.end / 4 + 4;
      to.words[flags] = (to.words[flags] as number) & ~wanted; // it has to be read again to survive again
      const moved = to.base + to.end / unit;
      to.end += size;
      this.#owner.moved(at, moved);
    });
  }

  #dropOldest(): void {
    const oldest = this.#order.shift() as number; // asked for only while there is one
    const segment = this.#segments[oldest] as Segment;
    this.#each(segment, (at) => this.#owner.dropped(at));
    segment.serial++;
    this.#segments[oldest] = undefined;
  }

  #each(segment: Segment, visit: (at: number, size: number) => void): void {
    for (let offset = unit; offset < segment.end; ) {
      const place = offset / unit;
      const size = sizeIn(segment, place);
      if (((segment.words[place * 2 + 4] as number) & dead) === 0) visit(segment.base + place, size);
      offset += size;
    }
  }

  /**
   * Room for a copy. An allocation of its own costs some 1,000 ns, so small copies share one; not that of
   * `Buffer.allocUnsafe`, of which a copy that is kept would hold 64 KiB.
   */
  #room(length: number): Buffer {
    if (length > slabBytes / 4) return Buffer.allocUnsafeSlow(length);
    if (this.#slab === undefined || this.#slabUsed + length > slabBytes) {
      this.#slab = Buffer.allocUnsafeSlow(slabBytes).buffer as ArrayBuffer; // of a buffer of its own
      markAsUntransferable(this.#slab); // or one copy that is sent to a worker would take the others along
      this.#slabUsed = 0;
    }
    const room = Buffer.from(this.#slab, this.#slabUsed, length);
    this.#slabUsed += Math.ceil(length / unit) * unit; // aligned, for views of numbers
    return room;
  }
}

/** The most that a small copy holds besides itself. */
const slabBytes = 4_096;

class Segment {
  readonly memory: ArrayBuffer;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly doubles: Float64Array;
  /** Its first position. */
  readonly base: number;
  /** Where the next record begins. */
  end = unit;
  /** Another one each time that it is emptied. */
  serial = 0;

  constructor(size: number, base: number) {
    this.memory = new ArrayBuffer(size); // zeroed by the system, page by page, as it is first touched
    this.bytes = new Uint8Array(this.memory);
    this.words = new Uint32Array(this.memory);
    this.doubles = new Float64Array(this.memory);
    this.base = base;
  }
}

function sizeIn({ words }: Segment, place: number): number {
  return sizeOf((words[place * 2 + 4] as number) >>> 2, words[place * 2 + 1] as number); // in bounds
}

function sizeOf(keyBytes: number, valueBytes: number): number {
  return Math.ceil((headerBytes + keyBytes + valueBytes) / unit) * unit;
}
