// Buffers that are used again, by people who know when they are done with one.
import { register } from "@proj/concurrency/inspect";
import { checkCount, checkRatio } from "@proj/concurrency/options";

/** What can be set on a {@link BufferPool}. */
export interface BufferPoolOptions {
  /** How many bytes may lie idle; what comes back beyond that is left to the collector. Default: 64 MiB. */
  readonly maxIdleBytes?: number | undefined;
  /** The smallest buffer that is made, in bytes; a power of two. Default: 1,024. Below that, `Buffer.allocUnsafe` is as fast. */
  readonly smallest?: number | undefined;
  /** The largest size that is kept, in bytes, up to 1 GiB. Larger ones are made each time, exactly so large. Default: 16 MiB. */
  readonly largest?: number | undefined;
  /** Fills buffers with zeros as they come back, for secrets: all of it, however much was asked for. Default: `false`. */
  readonly wipe?: boolean | undefined;
  /**
   * Finds mistakes: using a buffer after its release throws; one that was written to after that makes the `acquire` throw
   * that would lend it next; one that was lost without a release is warned of. Costs a pass over each buffer, twice.
   * Default: `true`, and `false` if `NODE_ENV` is `"production"`.
   */
  readonly checks?: boolean | undefined;
  /** With a name it is listed by `components()` of `@proj/concurrency/inspect`. */
  readonly name?: string | undefined;
}

/** A buffer that somebody holds. */
export interface PooledBuffer extends Disposable {
  /**
   * Exactly as many bytes as were asked for, with whatever was in them before.
   *
   * @throws Error after the release, with `checks`
   */
  readonly bytes: Buffer;
  /** Gives it back. Only the first call counts. Whoever still has `bytes` must not use them. */
  release(): void;
}

/** How a {@link BufferPool} is used. */
export interface BufferPoolStats {
  /** Lent now. */
  readonly held: number;
  /** Ready to be lent again. */
  readonly idle: number;
  /** What these take, at most `maxIdleBytes`. */
  readonly idleBytes: number;
  /** Taken from what lay idle. */
  readonly reused: number;
  /** Made, as nothing that fits lay idle. */
  readonly made: number;
  /** Came back and were not kept. */
  readonly dropped: number;
}

/**
 * Lends buffers whose lifetime is explicit. At 64 KiB, taking one and giving it back costs a fraction of
 * `Buffer.allocUnsafe`, and the collector never sees it. Sizes above the smallest are rounded up to powers of two and the
 * quarters between, so at most a fifth is unused.
 *
 * @throws TypeError or RangeError for options that are none
 * @example
 * ```ts
 * import { BufferPool } from "@proj/memory";
 *
 * const pool = new BufferPool();
 * {
 *   using held = pool.acquire(65_536);
 *   held.bytes.write("hello");
 *   console.log(held.bytes.length); // prints: 65536
 * } // here it goes back
 * console.log(pool.stats().idle); // prints: 1
 * ```
 */
export class BufferPool {
  readonly #smallest: number;
  readonly #largest: number; // the capacity of its class
  readonly #maxIdleBytes: number;
  readonly #wipe: boolean;
  readonly #lost: FinalizationRegistry<number> | undefined;
  readonly #idle: Buffer[][] = [];
  #idleBytes = 0;
  #idleCount = 0;
  #held = 0;
  #reused = 0;
  #made = 0;
  #dropped = 0;

  constructor(options: BufferPoolOptions = {}) {
    const action = "create a BufferPool";
    const { maxIdleBytes = 64 * 2 ** 20, smallest = 1_024, largest = 16 * 2 ** 20, wipe = false, name } = options;
    this.#smallest = checkCount(action, "smallest", smallest, 8);
    if ((smallest & (smallest - 1)) !== 0) {
      throw new RangeError(`Cannot ${action}: smallest must be a power of two, got ${smallest}`);
    }
    if (checkCount(action, "largest", largest, smallest) > 2 ** 30) {
      throw new RangeError(`Cannot ${action}: largest must be at most 1 GiB, got ${largest}`);
    }
    this.#largest = capacityOf(classOf(largest, smallest), smallest);
    this.#maxIdleBytes = checkCount(action, "maxIdleBytes", maxIdleBytes, 0);
    this.#wipe = wipe;
    const checks = options.checks ?? process.env["NODE_ENV"] !== "production";
    this.#lost = checks ? new FinalizationRegistry((size) => this.#warnOfLoss(size)) : undefined;
    if (name !== undefined) register("buffer-pool", name, this, (pool) => ({ ...pool.stats() }));
  }

  /**
   * Lends a buffer of `size` bytes. Its contents are whatever was in it.
   *
   * @throws RangeError for a size that is none · Error for a buffer that was written to after its release, with `checks`
   */
  acquire(size: number): PooledBuffer {
    const isPooled = checkCount("acquire a buffer", "size", size, 0) <= this.#largest;
    const sizeClass = isPooled ? classOf(size, this.#smallest) : 0;
    const capacity = isPooled ? capacityOf(sizeClass, this.#smallest) : size;
    const whole = (isPooled ? this.#reuse(sizeClass, capacity) : undefined) ?? this.#make(capacity);
    const bytes = capacity === size ? whole : whole.subarray(0, size);
    this.#held++;
    if (this.#lost === undefined) return new HeldBuffer(this.#release, sizeClass, whole, bytes);
    const held = new CheckedBuffer(this.#release, sizeClass, whole, bytes);
    this.#lost.register(held, size, held);
    return held;
  }

  /** Leaves everything idle to the collector. */
  clear(): void {
    this.#idle.length = 0;
    this.#idleBytes = 0;
    this.#idleCount = 0;
  }

  /** Leaves about this share of the idle bytes to the collector, largest buffers first, and returns how many they were. */
  shrink(fraction: number): number {
    checkRatio("shrink a buffer pool", "fraction", fraction);
    const goal = this.#idleBytes * (1 - fraction);
    const before = this.#idleBytes;
    for (let sizeClass = this.#idle.length - 1; sizeClass >= 0; sizeClass--) {
      const idle = this.#idle[sizeClass];
      while (this.#idleBytes > goal && idle?.pop() !== undefined) {
        this.#idleBytes -= capacityOf(sizeClass, this.#smallest);
        this.#idleCount--;
      }
    }
    return before - this.#idleBytes;
  }

  /** What is lent and idle now, and what was reused. */
  stats(): BufferPoolStats {
    return {
      held: this.#held,
      idle: this.#idleCount,
      idleBytes: this.#idleBytes,
      reused: this.#reused,
      made: this.#made,
      dropped: this.#dropped,
    };
  }

  #make(capacity: number): Buffer {
    this.#made++;
    return Buffer.allocUnsafeSlow(capacity); // a slice of the common slab would hold all of that
  }

  #reuse(sizeClass: number, capacity: number): Buffer | undefined {
    const whole = this.#idle[sizeClass]?.pop();
    if (whole === undefined) return undefined;
    this.#idleBytes -= capacity;
    this.#idleCount--;
    if (whole.length !== capacity) return undefined; // its memory went to a worker after its release
    if (this.#lost !== undefined) checkUntouched(whole, this.#wipe ? 0 : poison);
    this.#reused++;
    return whole;
  }

  /** Bound, so that a buffer needs no closure. */
  readonly #release = (sizeClass: number, whole: Buffer, held: HeldBuffer): void => {
    this.#held--;
    this.#lost?.unregister(held);
    const capacity = whole.length; // 0 if its memory was transferred to a worker
    if (capacity > 0 && this.#wipe) whole.fill(0);
    else if (capacity > 0 && this.#lost !== undefined) whole.fill(poison);
    if (capacity === 0 || capacity > this.#largest || this.#idleBytes + capacity > this.#maxIdleBytes) {
      this.#dropped++;
      return;
    }
    this.#idle[sizeClass] ??= [];
    this.#idle[sizeClass].push(whole);
    this.#idleBytes += capacity;
    this.#idleCount++;
  };

  #warnOfLoss(size: number): void {
    this.#held--;
    process.emitWarning(`A buffer of ${size} bytes was lost: acquire() without release()`, "BufferPoolWarning");
  }
}

type Release = (sizeClass: number, whole: Buffer, held: HeldBuffer) => void;

class HeldBuffer implements PooledBuffer {
  readonly #sizeClass: number;
  readonly #whole: Buffer;
  readonly #bytes: Buffer;
  #release: Release | undefined;

  constructor(release: Release, sizeClass: number, whole: Buffer, bytes: Buffer) {
    this.#release = release;
    this.#sizeClass = sizeClass;
    this.#whole = whole;
    this.#bytes = bytes;
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  get isReleased(): boolean {
    return this.#release === undefined;
  }

  release(): void {
    const release = this.#release;
    this.#release = undefined; // a second release must not give away what somebody else holds by now
    release?.(this.#sizeClass, this.#whole, this);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

class CheckedBuffer extends HeldBuffer {
  override get bytes(): Buffer {
    if (this.isReleased) throw new Error("Cannot use a pooled buffer after its release");
    return super.bytes;
  }
}

/** What idle buffers are filled with, to see who writes to them. */
const poison = 0xdb;

/** Compares with a stretch of what it was filled with: many times as fast as byte by byte. */
function checkUntouched(whole: Buffer, filling: number): void {
  const expected = Buffer.alloc(Math.min(whole.length, 16_384), filling);
  for (let start = 0; start < whole.length; start += expected.length) {
    const end = Math.min(start + expected.length, whole.length);
    if (whole.compare(expected, 0, end - start, start, end) === 0) continue;
    const index = whole.findIndex((byte) => byte !== filling);
    throw new Error(`A pooled buffer of ${whole.length} bytes was written to after its release, at byte ${index}`);
  }
}

/** Four classes for each power of two: 1, 1.25, 1.5 and 1.75 times. */
function classOf(size: number, smallest: number): number {
  if (size <= smallest) return 0;
  const power = 31 - Math.clz32((size - 1) / smallest);
  const base = smallest * 2 ** power;
  return power * 4 + Math.ceil(((size - base) * 4) / base);
}

function capacityOf(sizeClass: number, smallest: number): number {
  return smallest * 2 ** (sizeClass >> 2) * (1 + (sizeClass & 3) / 4);
}
