// A short memory of keys that have gone: 4 bytes each.

/** What is known of a key that has gone. */
export interface Ghost {
  readonly uses: number;
  /** Whether it went within the last so many evictions as there are entries. */
  readonly isRecent: boolean;
}

const ways = 8;
/** Ghosts for each entry of the cache. */
const history = 2;
/** So many ticks are as many evictions as there are entries. */
const ticksPerTurn = 8;

/** A word: 20 bits of the fingerprint, 4 of uses, 3 of the epoch of these uses, 5 of the tick at which it went. */
const epochShift = 5;
const usesShift = 8;
const tagShift = 12;

/**
 * A table of buckets of 8; the oldest of a bucket makes room. A fingerprint that meets another one by chance, 1 in some
 * 10,000, makes a newcomer look known: it costs a little of the hit ratio and nothing else.
 */
export class Ghosts {
  #table = new Uint32Array(0);
  /** That of before the cache has grown: only looked at. */
  #former = new Uint32Array(0);
  /** Entries that the table was made for. */
  #entries = 0;
  #epoch = 0;
  #tick = 0;
  /** Evictions until the next tick. */
  #left = 0;

  add(fingerprint: number, uses: number, entries: number): void {
    if (fingerprint === 0) return;
    if (entries > this.#entries * 1.5) this.#resize(entries);
    if (--this.#left < 0) {
      this.#tick = (this.#tick + 1) & 31;
      this.#left = Math.floor(this.#entries / ticksPerTurn);
    }
    const table = this.#table;
    const from = bucketOf(table, fingerprint);
    let oldest = from;
    let age = -1;
    for (let at = from; at < from + ways; at++) {
      const word = table[at] as number;
      if (word === 0) {
        oldest = at;
        break;
      }
      const its = this.#ageOf(word);
      if (its <= age) continue;
      age = its;
      oldest = at;
    }
    const word = (tagOf(fingerprint) | (uses << usesShift) | (this.#epoch << epochShift) | this.#tick) >>> 0;
    table[oldest] = word;
  }

  /** What is known of a key; forgets it. */
  take(fingerprint: number): Ghost | undefined {
    if (fingerprint === 0 || this.#entries === 0) return undefined;
    const word = takeFrom(this.#table, fingerprint) || takeFrom(this.#former, fingerprint);
    if (word === 0) return undefined;
    const epochs = (this.#epoch - (word >>> epochShift)) & 7;
    return { uses: ((word >>> usesShift) & 15) >>> epochs, isRecent: this.#ageOf(word) <= ticksPerTurn };
  }

  /** From now on, all uses of until now count half. */
  age(): void {
    this.#epoch = (this.#epoch + 1) & 7;
  }

  clear(): void {
    this.#table = new Uint32Array(0);
    this.#former = this.#table;
    this.#entries = 0;
  }

  #resize(entries: number): void {
    this.#former = this.#table;
    this.#table = new Uint32Array(Math.ceil((entries * history) / ways) * ways);
    this.#entries = entries;
    this.#left = Math.floor(entries / ticksPerTurn);
  }

  #ageOf(word: number): number {
    return (this.#tick - word) & 31;
  }
}

/** The upper bits choose the bucket, the lower ones are the tag. */
function bucketOf(table: Uint32Array, fingerprint: number): number {
  return Math.floor((fingerprint / 2 ** 32) * (table.length / ways)) * ways;
}

/** Never 0, which is an empty place. */
function tagOf(fingerprint: number): number {
  return (fingerprint << tagShift) >>> 0 || 1 << tagShift;
}

function takeFrom(table: Uint32Array, fingerprint: number): number {
  if (table.length === 0) return 0;
  const tag = tagOf(fingerprint);
  const from = bucketOf(table, fingerprint);
  for (let at = from; at < from + ways; at++) {
    const word = table[at] as number;
    if ((word & tagMask) >>> 0 !== tag) continue;
    table[at] = 0;
    return word;
  }
  return 0;
}

const tagMask = (0xffffffff << tagShift) >>> 0;
