// Spreads texts over 32 bits, the same in every process, without allocating.

/** A hash of the text and a seed: MurmurHash3's steps over its UTF-16 units, and its finish. */
export function hash(text: string, seed: number): number {
  let state = seed | 0;
  for (let at = 0; at < text.length; at++) {
    const mixed = Math.imul(text.charCodeAt(at), 0xcc9e2d51);
    state ^= Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
    state = (Math.imul((state << 13) | (state >>> 19), 5) + 0xe6546b64) | 0;
  }
  return finish(state ^ text.length);
}

/** Lets each bit of the input decide about each bit of the result. One to one. */
export function finish(input: number): number {
  let state = input;
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}
