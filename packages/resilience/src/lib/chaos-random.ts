// Chance that can be repeated: numbers from a seed, in a row or by what they are for.

/** A number from 0 up to 1 that depends on nothing but the seed and what it is drawn for. */
export function drawFor(seed: number, subject: number, purpose: number): number {
  return mix(mix(seed, subject), purpose) / 2 ** 32;
}

/** 32 bits of a text. */
export function hashText(text: string, seed: number): number {
  let hash = seed ^ 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mix(hash, text.length);
}

/** 32 bits of two numbers, each bit of which depends on each bit of both (the finalizer of MurmurHash3). */
export function mix(a: number, b: number): number {
  let hash = Math.imul(a ^ Math.imul(b + 0x9e3779b9, 0x85ebca6b), 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Numbers in a row, from 0 up to 1: the same ones for the same seed. */
export class SeededRandom {
  readonly #seed: number;
  #count = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  next(): number {
    return drawFor(this.#seed, this.#count++, 0);
  }
}

/** A seed for those who gave none. */
export function freshSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}
