// Values that tell what they should be: any change to one, or a mix of two, is found out.

/** The value of a key in its n-th version. */
export function valueFor(key: string, version: number, size = 40 + ((version * 7_919 + key.length) % 3_000)): Buffer {
  const value = Buffer.allocUnsafe(size);
  let state = (version * 2_654_435_761 + hashOf(key)) >>> 0;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    value[at] = state >>> 24;
  }
  value.writeUInt32BE(version, 0);
  return value;
}

/** The version of a value. @throws Error for a value that nobody has ever written */
export function versionOf(key: string, bytes: Uint8Array): number {
  const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = value.length >= 4 ? value.readUInt32BE(0) : -1;
  if (version < 0 || !valueFor(key, version).equals(value)) throw new Error(`${key} has a value that nobody wrote`);
  return version;
}

function hashOf(text: string): number {
  let hash = 0;
  for (const char of text) hash = (Math.imul(hash, 31) + (char.codePointAt(0) ?? 0)) >>> 0;
  return hash;
}
