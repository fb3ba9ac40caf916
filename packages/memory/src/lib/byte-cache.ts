// A cache of bytes outside of the JavaScript heap, for many small values.
import { type Clock, systemClock } from "@proj/concurrency";
import { register } from "@proj/concurrency/inspect";
import { checkCount, checkDuration, checkFunction, checkRatio, describe } from "@proj/concurrency/options";
import { ByteIndex } from "./byte-index.ts";
import { ByteKey, keyOf } from "./byte-key.ts";
import { ByteLog } from "./byte-log.ts";

/** What can be set on a {@link ByteCache}. */
export interface ByteCacheOptions {
  /** What keys, values and their headers may take together, in bytes. The table that finds them comes on top: `stats().indexBytes`. */
  readonly maxBytes: number;
  /** Milliseconds after which a value is forgotten. Default: never. */
  readonly ttl?: number | undefined;
  /**
   * Memory is taken, and old values are dropped, so many bytes at a time; a value with its key may take up to half of it.
   * A power of two from 1 KiB to 1 GiB, at most a third of `maxBytes`. Default: some twentieth of `maxBytes`, at most 4 MiB.
   */
  readonly segmentBytes?: number | undefined;
  /** With a name it is listed by `components()` of `@proj/concurrency/inspect`. */
  readonly name?: string | undefined;
  /** Measures `ttl`. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** How a {@link ByteCache} has done since it was made. */
export interface ByteCacheStats {
  /** Those that have expired and were not looked at since included. */
  readonly entries: number;
  /** What has been taken for keys, values and their headers of 20 bytes: never above `maxBytes`. */
  readonly bytes: number;
  /** Of these, what the entries of now take. */
  readonly liveBytes: number;
  /** What the table takes. */
  readonly indexBytes: number;
  /** Calls of `get` and `read` that found a value. */
  readonly hits: number;
  /** Calls of `get` and `read` that found none. */
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
 * For values of up to 1 KiB, in numbers above 100,000. From 2 KiB on, the copy that `get` makes costs twice what a `Map` of
 * buffers does, and the collector more: use `read`, or a `Cache`.
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
  readonly #key: ByteKey;
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
    if (maxBytes > largest) throw new RangeError(`Cannot ${action}: maxBytes must be at most 32 GiB, got ${maxBytes}`);
    const segmentBytes = options.segmentBytes ?? standardSegment(maxBytes);
    checkSegment(action, segmentBytes, maxBytes);
    this.#ttl = checkDuration(action, "ttl", ttl);
    this.#clock = clock;
    this.#key = new ByteKey(segmentBytes);
    this.#log = new ByteLog({
      segmentBytes,
      segments: Math.floor(maxBytes / segmentBytes),
      owner: {
        survives: (at) => this.#log.isWanted(at) && !this.#isExpired(at),
        moved: (from, to) => this.#index.move(this.#log.hashAt(from), from, to),
        dropped: (at) => {
          if (this.#isExpired(at)) this.#expired++;
          else this.#evicted++;
          this.#forget(this.#log.hashAt(at), at);
        },
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
      throw new TypeError(`Cannot set a value: it must be a Uint8Array, got ${describe(value)}`);
    }
    this.#checkWritable("set a value");
    const expiresAt = ttl === never ? never : this.#clock.now() + checkDuration("set a value", "ttl", ttl);
    const hash = this.#key.hash(key);
    const known = this.#positionOf(hash);
    if (known !== 0) this.#remove(hash, known);
    if (!this.#log.fits(this.#key.length, value.length)) {
      this.#refused++;
      return false;
    }
    const at = this.#log.append(hash, expiresAt, this.#key.bytes, this.#key.length, value);
    this.#index.add(hash, at);
    this.#liveBytes += this.#log.sizeAt(at);
    return true;
  }

  /**
   * A copy of the value; `undefined` if there is none. Copies of up to 1 KiB share memory, 4 KiB at a time: what is kept
   * for long holds as much.
   */
  get(key: string): Buffer | undefined {
    const at = this.#find(key);
    return at === 0 ? undefined : this.#log.copyAt(at);
  }

  /**
   * Calls `use` with the bytes of the value themselves and returns what it returns; `undefined` if there is no value.
   * They are good until `use` returns (not until a promise settles), and not to be written to; meanwhile the cache can
   * be read, but not changed.
   */
  read<R>(key: string, use: (view: Uint8Array) => R): R | undefined {
    checkFunction("read a value", "use", use);
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
    const at = this.#positionOf(this.#key.hash(key));
    return at !== 0 && !this.#isExpired(at);
  }

  /** Forgets a key. Returns whether it had a value. @throws Error within a {@link ByteCache.read} */
  delete(key: string): boolean {
    this.#checkWritable("delete a value");
    const hash = this.#key.hash(key);
    const at = this.#positionOf(hash);
    if (at === 0) return false;
    const counts = !this.#isExpired(at);
    this.#remove(hash, at);
    return counts;
  }

  /** Forgets everything and gives the memory back. @throws Error within a {@link ByteCache.read} */
  clear(): void {
    this.#checkWritable("clear the cache");
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
    this.#checkWritable("shrink the cache");
    checkRatio("shrink the cache", "fraction", fraction);
    const before = this.#log.bytes + this.#index.bytes;
    if (fraction === 1) this.clear();
    else if (fraction > 0) this.#log.shrink(Math.floor(this.#log.segments * (1 - fraction)));
    this.#index.trim();
    return before - this.#log.bytes - this.#index.bytes;
  }

  /**
   * The keys, oldest first; those that have expired are left out. What is set, dropped or deleted during the iteration
   * may or may not be among them.
   */
  *keys(): IterableIterator<string> {
    const keys = this.#log.map((at) => (this.#isExpired(at) ? undefined : keyOf(this.#log.keyAt(at))));
    for (const key of keys) if (key !== undefined) yield key;
  }

  /** Counts since the cache was made, and what it takes now. */
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
    const hash = this.#key.hash(key);
    const at = this.#positionOf(hash);
    if (at === 0) {
      this.#misses++;
      return 0;
    }
    if (this.#isExpired(at)) {
      this.#misses++;
      if (this.#reading > 0) return 0; // it is counted when it goes
      this.#expired++;
      this.#remove(hash, at);
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

  /** The position of the key that was hashed last; 0 if there is none. */
  #positionOf(hash: number): number {
    let at = this.#index.first(hash);
    while (at !== 0 && !this.#log.hasKey(at, this.#key.bytes, this.#key.length)) at = this.#index.next(hash);
    return at;
  }

  #checkWritable(action: string): void {
    if (this.#reading > 0) throw new Error(`Cannot ${action} while read() looks at a value`);
  }
}

const smallestSegment = 1_024;
const standardLargestSegment = 4 * 2 ** 20;
const largestSegment = 2 ** 30;
const largest = 32 * 2 ** 30;

function standardSegment(maxBytes: number): number {
  const sixteenth = 2 ** Math.floor(Math.log2(maxBytes / 16));
  return Math.min(standardLargestSegment, Math.max(smallestSegment, sixteenth));
}

function checkSegment(action: string, segmentBytes: number, maxBytes: number): void {
  checkCount(action, "segmentBytes", segmentBytes, smallestSegment);
  if (segmentBytes > largestSegment || !Number.isInteger(Math.log2(segmentBytes))) {
    throw new RangeError(
      `Cannot ${action}: segmentBytes must be a power of two from 1 KiB to 1 GiB, got ${segmentBytes}`,
    );
  }
  if (segmentBytes * 3 > maxBytes) {
    throw new RangeError(
      `Cannot ${action}: segmentBytes must be at most a third of maxBytes, ${maxBytes}, got ${segmentBytes}`,
    );
  }
}
