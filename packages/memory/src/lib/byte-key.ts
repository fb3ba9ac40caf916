// Keys as bytes with a hash, made in one place that is used again and again: a look-up allocates nothing.
import { describe } from "@proj/concurrency/options";

/** The first byte of a key that is not ASCII alone. */
const wide = 255;

/** Of this process alone, so that nobody can choose keys that all have one hash. */
const seed = Math.floor(Math.random() * 2 ** 32) | 1;

/** The key that was hashed last. */
export class ByteKey {
  bytes = new Uint8Array(256);
  length = 0;
  readonly #most: number;

  /** @param most what is taken of keys at most: longer ones have their length, but not their bytes. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Writes a key to `bytes` and returns its hash: FNV-1a with a last mix. @throws TypeError for what is no string */
  hash(key: string): number {
    if (typeof key !== "string") throw new TypeError(`Cannot look up a key: it must be a string, got ${describe(key)}`);
    if (this.bytes.length < key.length * 2 + 1) this.#makeRoom(key.length * 2 + 1);
    const bytes = this.bytes;
    let hash = seed;
    for (let index = 0; index < key.length; index++) {
      const code = key.charCodeAt(index);
      if (code > 127) return this.#hashWide(key);
      bytes[index] = code;
      hash = Math.imul(hash ^ code, 0x01000193);
    }
    this.length = key.length;
    return mix(hash);
  }

  /** As its code units, behind a byte that no other key has: UTF-8 would make one key of all halves of a surrogate pair. */
  #hashWide(key: string): number {
    const bytes = this.bytes;
    bytes[0] = wide;
    let hash = seed;
    for (let index = 0; index < key.length; index++) {
      const code = key.charCodeAt(index);
      bytes[2 * index + 1] = code & 255;
      bytes[2 * index + 2] = code >>> 8;
      hash = Math.imul(hash ^ code, 0x01000193);
    }
    this.length = 2 * key.length + 1;
    return mix(hash);
  }

  /** What is written beyond the end of a typed array is nowhere, so a long key needs no room of its size. */
  #makeRoom(length: number): void {
    this.bytes = new Uint8Array(Math.min(length, this.#most));
  }
}

/** The key that {@link ByteKey.hash} made these bytes of. */
export function keyOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return text[0] === wide ? text.toString("utf16le", 1) : text.toString("latin1");
}

function mix(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}
