// Fingerprints of keys, for policies that remember keys which are gone.

/** 32 bits of a key; 0 for one that has no text or number to make them of, such as an object. */
export function fingerprint(key: unknown): number {
  if (typeof key === "string") return ofText(key);
  if (typeof key === "number") return ofNumber(key);
  if (typeof key === "bigint") return ofText(String(key));
  return 0;
}

const seed = 0x811c9dc5;
/** Of longer texts, so many characters at the start and at the end count, and some between. */
const whole = 96;

function ofText(text: string): number {
  const { length } = text;
  let hash = seed ^ length;
  if (length <= whole) {
    for (let index = 0; index < length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
    return mixed(hash);
  }
  const step = Math.ceil((length - 64) / 32);
  for (let index = 0; index < 32; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  for (let index = 32; index < length - 32; index += step) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  for (let index = length - 32; index < length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return mixed(hash);
}

const words = new Uint32Array(2);
const double = new Float64Array(words.buffer);

function ofNumber(key: number): number {
  if (key === (key | 0)) return mixed(Math.imul(key, 0x9e3779b1) ^ seed);
  double[0] = key;
  return mixed(Math.imul(words[0] as number, 0x9e3779b1) ^ (words[1] as number));
}

/** Lets each bit count for all others; never 0. */
function mixed(hash: number): number {
  let bits = hash ^ (hash >>> 16);
  bits = Math.imul(bits, 0x21f0aaad);
  bits ^= bits >>> 15;
  bits = Math.imul(bits, 0x735a2d97);
  bits ^= bits >>> 15;
  return bits >>> 0 || 1;
}
