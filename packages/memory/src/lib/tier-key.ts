// Keys as stores compare them: by the bytes of their UTF-8.

/** Whether a key can be stored: a half of a surrogate pair has no UTF-8. */
export function isStorable(key: string): boolean {
  return key.isWellFormed();
}

/** The first key that is above all keys with this prefix; `undefined` if there is none. */
export function endOfPrefix(prefix: string): string | undefined {
  const points = [...prefix];
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const point = last.codePointAt(0) ?? 0;
    if (point < 0x10ffff) return points.join("") + String.fromCodePoint(point === 0xd7ff ? 0xe000 : point + 1);
  }
  return undefined;
}

/** The part of a prefix that can be compared: one that ends within a surrogate pair loses its last half. */
export function storablePrefix(prefix: string): string {
  const storable = prefix.toWellFormed();
  if (storable === prefix) return prefix;
  let end = 0;
  while (prefix.charCodeAt(end) === storable.charCodeAt(end)) end++;
  return prefix.slice(0, end);
}
