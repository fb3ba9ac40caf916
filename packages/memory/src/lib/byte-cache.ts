// A cache of bytes outside of the JavaScript heap, for many small values.
import { type Clock, systemClock } from "@proj/concurrency";
import { register } from "@proj/concurrency/inspect";
import { checkCount, checkDuration, checkFunction, describe } from "@proj/concurrency/options";
import { ByteIndex } from "./byte-index.ts";
import { ByteLog } from "./byte-log.ts";

/** What can be set on a {@link ByteCache}. */
export interface ByteCacheOptions {
  /** What keys, values and their headers may take together, in bytes. The table that finds them comes on top: `stats().indexBytes`. */
  readonly maxBytes: number;
  /** Milliseconds after which a value is forgotten. Default: never. */
  readonly ttl?: number | undefined;
  /**
   * Memory is taken, and old values are dropped, so many bytes at a time; a value may take up to half of it. Default: a
   * sixteenth of `maxBytes`, at most 4 MiB and at least 1 KiB.
   */
  readonly segmentBytes?: number | undefined;
  /** With a name it is listed by `components()` of `@proj/concurrency/inspect`. */
  readonly name?: string | undefined;
  /** Measures `ttl`. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** How a {@link ByteCache} has done since it was made. */
export interface ByteCacheStats {
  readonly entries: number;
  /** What has been taken for keys and values: never above `maxBytes`. */
  readonly bytes: number;
  /** Of these, what the entries of now take. */
  readonly liveBytes: number;
  /** What the table takes. */
  readonly indexBytes: number;
  readonly hits: number;
  readonly misses: number;
  /** Dropped to make room. */
  readonly evicted: number;
  /** Found to be too old. */
  readonly expired: number;
  /** Not taken: too large. */
  readonly refused: number;
}

const never = Number.POSITIVE_INFINITY;

/**
 * Keeps bytes under string keys outside of the JavaScript heap, so that millions of them cost the garbage collector
 * nothing. **Order of eviction**: oldest first, a segment at a time, but for what has been read since it was written.
 *
 * For values below some 4 KiB, in numbers above 100,000. With larger values, the copy that `get` makes costs more than a
 * `Map` of buffers saves: use `read`, or a `Cache`.
 *
 * @throws TypeError or RangeError for options that are none
 * @example
 * ```ts
 * import { ByteCache } from "@proj/memory";
 *
 * const thumbnails = new ByteCache({ maxBytes: 64 * 2 ** 20 });
 * thumbnails.set("cat", new Uint8Array([1, 2, 3]));
 * console.log(thumbnails.get("cat")); // prints: <Buffer 01 02 03>
 * console.log(thumbnails.read("cat", (view) => view.length)); // prints: 3
 * ```
 */
export class ByteCache {
  readonly #log: ByteLog;
  readonly #index = new ByteIndex();
  readonly #ttl: number;
  readonly #clock: Clock;
  #key = new Uint8Array(256);
  #keyBytes = 0;
  #reading = 0;
  #liveBytes = 0;
  #hits = 0;
  #misses = 0;
  #evicted = 0;
  #expired = 0;
  #refused = 0;

  constructor(options: ByteCacheOptions) {
    const action = "create a ByteCache";
    const { maxBytes, ttl = never, name, clock = systemClock } = options;
    checkCount(action, "maxBytes", maxBytes, 3 * smallestSegment);
    const standard = Math.min(4 * 2 ** 20, Math.max(smallestSegment, Math.floor(maxBytes / 16)));
    const segmentBytes = checkCount(action, "segmentBytes", options.segmentBytes ?? standard, smallestSegment);
    const segments = Math.floor(maxBytes / segmentBytes);
    if (segments < 3) {
      throw new RangeError(
        `Cannot ${action}: segmentBytes must be at most a third of maxBytes, ${maxBytes}, got ${segmentBytes}`,
      );
    }
    if (maxBytes >= largest) {
      throw new RangeError(`Cannot ${action}: maxBytes must be below 32 GiB, got ${maxBytes}`);
    }
    this.#ttl = checkDuration(action, "ttl", ttl);
    this.#clock = clock;
    this.#log = new ByteLog(Math.floor(segmentBytes / 8) * 8, segments, {
      survives: (at) => this.#log.isWanted(at) && !this.#isExpired(at),
      moved: (from, to) => this.#index.move(this.#log.hashAt(from), from, to),
      dropped: (at) => {
        if (this.#isExpired(at)) this.#expired++;
        else this.#evicted++;
        this.#forget(this.#log.hashAt(at), at);
      },
    });
    if (name !== undefined) register("byte-cache", name, this, (cache) => ({ ...cache.stats() }));
  }

  /** How many entries there are, those that have expired and were not looked at since included. */
  get size(): number {
    return this.#index.size;
  }

  /**
   * Keeps a copy of `value`, instead of what the key had. Returns `false` if it is too large, and then the key has
   * nothing. A `ttl` of its own, in milliseconds, goes before that of the cache.
   *
   * @throws TypeError for what is no `Uint8Array` · Error within a {@link ByteCache.read}
   */
  set(key: string, value: Uint8Array, ttl: number = this.#ttl): boolean {
    if (!(value instanceof Uint8Array)) {
      throw new TypeError(`Cannot set ${key}: value must be a Uint8Array, got ${describe(value)}`);
    }
    this.#checkWritable("set", key);
    const expiresAt = ttl === never ? never : this.#clock.now() + checkDuration(`set ${key}`, "ttl", ttl);
    const hash = this.#hash(key);
    const known = this.#index.find(hash, this.#isKey);
    if (known !== 0) this.#remove(hash, known);
    if (!this.#log.fits(this.#keyBytes, value.length)) {
      this.#refused++;
      return false;
    }
    const at = this.#log.append(hash, expiresAt, this.#key, this.#keyBytes, value);
    this.#index.add(hash, at);
    this.#liveBytes += this.#log.sizeAt(at);
    return true;
  }

  /** A copy of the value; `undefined` if there is none. */
  get(key: string): Buffer | undefined {
    const at = this.#find(key);
    return at === 0 ? undefined : this.#log.copyAt(at);
  }

  /**
   * Calls `use` with the bytes of the value themselves and returns what it returns; `undefined` if there is no value.
   * They are good until `use` returns, and not to be written to; meanwhile the cache cannot be changed.
   */
  read<R>(key: string, use: (view: Uint8Array) => R): R | undefined {
    checkFunction(`read ${key}`, "use", use);
    const at = this.#find(key);
    if (at === 0) return undefined;
    this.#reading++;
    try {
      return use(this.#log.valueAt(at));
    } finally {
      this.#reading--;
    }
  }

  /** Whether there is a value. Counts neither as a hit nor as a miss, and keeps nothing from being dropped. */
  has(key: string): boolean {
    const at = this.#index.find(this.#hash(key), this.#isKey);
    return at !== 0 && !this.#isExpired(at);
  }

  /** Forgets a key. Returns whether it had a value. @throws Error within a {@link ByteCache.read} */
  delete(key: string): boolean {
    this.#checkWritable("delete", key);
    const hash = this.#hash(key);
    const at = this.#index.find(hash, this.#isKey);
    if (at === 0) return false;
    const counts = !this.#isExpired(at);
    this.#remove(hash, at);
    return counts;
  }

  /** Forgets everything and gives the memory back. @throws Error within a {@link ByteCache.read} */
  clear(): void {
    this.#checkWritable("clear", "the cache");
    this.#log.clear();
    this.#index.clear();
    this.#liveBytes = 0;
  }

  /**
   * Gives back about this share of the memory, oldest first, and returns how many bytes that were. It is taken again as
   * values come.
   *
   * @throws Error within a {@link ByteCache.read}
   */
  shrink(fraction: number): number {
    this.#checkWritable("shrink", "the cache");
    if (!(fraction >= 0 && fraction <= 1)) {
      throw new RangeError(`Cannot shrink the cache: fraction must be a number from 0 to 1, got ${describe(fraction)}`);
    }
    const before = this.#log.bytes;
    if (fraction === 1) this.clear();
    else if (fraction > 0) this.#log.shrink(Math.floor(this.#log.segments * (1 - fraction)));
    return before - this.#log.bytes;
  }

  /** The keys, oldest first; those that have expired are left out. */
  *keys(): IterableIterator<string> {
    for (const at of this.#log.positions()) {
      if (!this.#isExpired(at)) yield keyOf(this.#log.keyAt(at));
    }
  }

  stats(): ByteCacheStats {
    return {
      entries: this.#index.size,
      bytes: this.#log.bytes,
      liveBytes: this.#liveBytes,
      indexBytes: this.#index.bytes,
      hits: this.#hits,
      misses: this.#misses,
      evicted: this.#evicted,
      expired: this.#expired,
      refused: this.#refused,
    };
  }

  #find(key: string): number {
    const hash = this.#hash(key);
    const at = this.#index.find(hash, this.#isKey);
    if (at === 0) {
      this.#misses++;
      return 0;
    }
    if (this.#isExpired(at)) {
      this.#misses++;
      this.#expired++;
      if (this.#reading === 0) this.#remove(hash, at);
      return 0;
    }
    this.#hits++;
    this.#log.want(at);
    return at;
  }

  #isExpired(at: number): boolean {
    const expiresAt = this.#log.expiresAt(at);
    return expiresAt !== never && expiresAt <= this.#clock.now();
  }

  #remove(hash: number, at: number): void {
    this.#forget(hash, at);
    this.#log.kill(at);
  }

  #forget(hash: number, at: number): void {
    this.#liveBytes -= this.#log.sizeAt(at);
    this.#index.delete(hash, at);
  }

  /** Bound, so that a look-up needs no closure. */
  readonly #isKey = (at: number): boolean => this.#log.hasKey(at, this.#key, this.#keyBytes);

  /** Writes the key as bytes to where `#isKey` finds it, and returns its hash: FNV-1a with a last mix. */
  #hash(key: string): number {
    if (typeof key !== "string") throw new TypeError(`Cannot look up a key: it must be a string, got ${describe(key)}`);
    if (this.#key.length < key.length * 2 + 1) this.#key = new Uint8Array(key.length * 2 + 1);
    const bytes = this.#key;
    let hash = 0x811c9dc5;
    for (let index = 0; index < key.length; index++) {
      const code = key.charCodeAt(index);
      if (code > 127) return this.#hashWide(key);
      bytes[index] = code;
      hash = Math.imul(hash ^ code, 0x01000193);
    }
    this.#keyBytes = key.length;
    return mix(hash);
  }

  /** As its code units, behind a byte that no other key has: UTF-8 would make one key of all halves of a surrogate pair. */
  #hashWide(key: string): number {
    const bytes = this.#key;
    bytes[0] = wide;
    let hash = 0x811c9dc5;
    for (let index = 0; index < key.length; index++) {
      const code = key.charCodeAt(index);
      bytes[2 * index + 1] = code & 255;
      bytes[2 * index + 2] = code >>> 8;
      hash = Math.imul(hash ^ code, 0x01000193);
    }
    this.#keyBytes = 2 * key.length + 1;
    return mix(hash);
  }

  #checkWritable(action: string, what: string): void {
    if (this.#reading > 0) throw new Error(`Cannot ${action} ${what} while read() looks at a value`);
  }
}

/** The first byte of a key that is not ASCII alone. */
const wide = 255;

function keyOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return text[0] === wide ? text.toString("utf16le", 1) : text.toString("latin1");
}

const smallestSegment = 1_024;
const largest = 32 * 2 ** 30;

function mix(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}
