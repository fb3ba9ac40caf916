// One string for each text, however often it is decoded.
import { register } from "@proj/concurrency/inspect";
import { checkCount, describe } from "@proj/concurrency/options";

/** What can be set on an {@link Interner}. */
export interface InternerOptions {
  /** How many strings are kept. When it is full, further ones are made each time. Default: 65,536. */
  readonly max?: number | undefined;
  /** The longest text that is kept, in bytes of UTF-8. Default: 256. */
  readonly maxLength?: number | undefined;
  /** With a name it is listed by `components()` of `@proj/concurrency/inspect`. */
  readonly name?: string | undefined;
}

/** How an {@link Interner} is used. */
export interface InternerStats {
  /** How many are kept, at most `max`. */
  readonly strings: number;
  /** Bytes of the texts that are kept. */
  readonly bytes: number;
  /** Texts that were known. */
  readonly hits: number;
  /** Texts that were not, or cannot be kept. */
  readonly misses: number;
}

/**
 * Gives the same string for the same text, so that millions of decoded rows with a few hundred distinct values hold each
 * of them once, and comparing them compares pointers. From bytes, a known text is not even decoded.
 *
 * Worth it for texts that are decoded from bytes, or longer than some 10 characters: `JSON.parse` does it for shorter
 * ones by itself.
 *
 * @throws TypeError or RangeError for options that are none
 * @example
 * ```ts
 * import { Interner } from "@proj/memory";
 *
 * const countries = new Interner();
 * const row = Buffer.from("id=1;country=Norway");
 * console.log(countries.fromBytes(row, 13, 19)); // prints: Norway
 * console.log(countries.intern("Norway"), countries.stats().strings); // prints: Norway 1
 * ```
 */
export class Interner {
  readonly #max: number;
  readonly #maxLength: number;
  #strings: string[] = [];
  #hashes = new Uint32Array(16);
  #starts = new Uint32Array(16); // where the bytes of each string are; the end is the start of the next
  #bytes: Uint8Array = new Uint8Array(256);
  #used = 0;
  #table = new Uint32Array(32); // index of a string, plus 1
  #scratch: Uint8Array = new Uint8Array(256);
  #hits = 0;
  #misses = 0;

  constructor(options: InternerOptions = {}) {
    const action = "create an Interner";
    this.#max = checkCount(action, "max", options.max ?? 65_536, 1);
    this.#maxLength = checkCount(action, "maxLength", options.maxLength ?? 256, 1);
    if (options.name !== undefined) register("interner", options.name, this, (interner) => ({ ...interner.stats() }));
  }

  /** The one string with this text: of its own, so that it keeps no larger text in memory that it is a piece of. */
  intern(text: string): string {
    if (typeof text !== "string") throw new TypeError(`Cannot intern ${describe(text)}: it must be a string`);
    if (text.length > this.#maxLength) return this.#pass(text);
    if (this.#scratch.length < text.length) this.#scratch = new Uint8Array(this.#maxLength);
    const scratch = this.#scratch;
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code > 127) return this.#internWide(text);
      scratch[index] = code;
    }
    return this.#find(scratch, 0, text.length, text);
  }

  /**
   * The text that is in `bytes` as UTF-8, from `from` up to and without `to`.
   *
   * @throws TypeError for what is no `Uint8Array` · RangeError for a range that is not within `bytes`
   */
  fromBytes(bytes: Uint8Array, from = 0, to: number = bytes.length): string {
    if (!(bytes instanceof Uint8Array)) {
      throw new TypeError(`Cannot intern bytes: they must be a Uint8Array, got ${describe(bytes)}`);
    }
    if (!(from >= 0 && from <= to && to <= bytes.length && Number.isInteger(from) && Number.isInteger(to))) {
      throw new RangeError(`Cannot intern bytes ${from} to ${to}: there are ${bytes.length}`);
    }
    return this.#find(bytes, from, to, undefined);
  }

  /** Forgets all strings and gives their memory back; those that were given out stay what they are. */
  clear(): void {
    this.#strings = [];
    this.#used = 0;
    this.#hashes = new Uint32Array(16);
    this.#starts = new Uint32Array(16);
    this.#bytes = new Uint8Array(256);
    this.#table = new Uint32Array(32);
  }

  /** What is kept now, and how often it was asked for. */
  stats(): InternerStats {
    return { strings: this.#strings.length, bytes: this.#used, hits: this.#hits, misses: this.#misses };
  }

  #find(bytes: Uint8Array, from: number, to: number, known: string | undefined): string {
    if (to - from > this.#maxLength) return this.#pass(known ?? decode(bytes, from, to));
    let hash = seed;
    for (let index = from; index < to; index++) hash = Math.imul(hash ^ (bytes[index] as number), 0x01000193); // in bounds
    hash = (hash ^ (hash >>> 15)) >>> 0;
    const mask = this.#table.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = this.#table[slot] as number; // the mask keeps it in bounds
      if (id === 0) {
        if (this.#strings.length >= this.#max) return this.#pass(known ?? decode(bytes, from, to));
        return this.#add(hash, bytes, from, to);
      }
      if (this.#hashes[id - 1] === hash && this.#isText(id - 1, bytes, from, to)) {
        this.#hits++;
        return this.#strings[id - 1] as string; // the table has only ids of strings
      }
    }
  }

  /** Halves of surrogate pairs have no UTF-8: such a text is given back as it is. */
  #internWide(text: string): string {
    if (!text.isWellFormed()) return this.#pass(text);
    const bytes = Buffer.from(text);
    return this.#find(bytes, 0, bytes.length, text);
  }

  /** Gives back what is not kept. */
  #pass(text: string): string {
    this.#misses++;
    return text;
  }

  #isText(id: number, bytes: Uint8Array, from: number, to: number): boolean {
    const start = this.#starts[id] as number; // as above
    if ((this.#starts[id + 1] as number) - start !== to - from) return false;
    for (let index = 0; index < to - from; index++) {
      if (this.#bytes[start + index] !== bytes[from + index]) return false;
    }
    return true;
  }

  #add(hash: number, bytes: Uint8Array, from: number, to: number): string {
    this.#misses++;
    const id = this.#strings.length;
    const text = decode(bytes, from, to);
    if (id + 1 >= this.#starts.length) {
      this.#starts = grown(this.#starts, Uint32Array);
      this.#hashes = grown(this.#hashes, Uint32Array);
    }
    while (this.#used + to - from > this.#bytes.length) this.#bytes = grown(this.#bytes, Uint8Array);
    this.#bytes.set(bytes.subarray(from, to), this.#used);
    this.#strings.push(text);
    this.#hashes[id] = hash;
    this.#starts[id] = this.#used;
    this.#used += to - from;
    this.#starts[id + 1] = this.#used;
    if ((id + 1) * 2 > this.#table.length) this.#rebuild();
    else this.#place(id);
    return text;
  }

  #rebuild(): void {
    this.#table = new Uint32Array(this.#table.length * 2);
    for (let id = 0; id < this.#strings.length; id++) this.#place(id);
  }

  #place(id: number): void {
    const mask = this.#table.length - 1;
    let slot = (this.#hashes[id] as number) & mask; // ids are in bounds
    while (this.#table[slot] !== 0) slot = (slot + 1) & mask;
    this.#table[slot] = id + 1;
  }
}

/** Of this process alone, so that nobody can choose texts that all have one hash. */
const seed = Math.floor(Math.random() * 2 ** 32) | 1;

function decode(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("utf8");
}

function grown<A extends Uint8Array | Uint32Array>(array: A, make: new (length: number) => A): A {
  const larger = new make(array.length * 2);
  larger.set(array);
  return larger;
}
