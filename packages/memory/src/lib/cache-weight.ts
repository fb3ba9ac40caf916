// About how much memory an entry takes: what is in it, and what the cache needs for it.

/** Of the cache's own structures, by measurement. */
const overhead = 64;
/** Values looked at in one entry; larger ones are estimated from those. */
const mostLooks = 256;

/**
 * Estimates the bytes that an entry takes: key, value and 64 for the cache itself. Looks at strings, numbers, buffers and
 * into plain objects, arrays, maps and sets; of large ones at a part. What several entries share counts for each, and
 * private fields and closures count for nothing.
 *
 * @example
 * ```ts
 * import { estimateBytes } from "@proj/memory";
 *
 * console.log(estimateBytes("user:1", { name: "Ada" }) > 100); // prints: true
 * console.log(estimateBytes("thumbnail", new Uint8Array(1_000)) > 1_000); // prints: true
 * ```
 */
export function estimateBytes(key: unknown, value: unknown): number {
  looks = mostLooks;
  return overhead + bytesOf(key) + bytesOf(value);
}

let looks = 0;

function bytesOf(value: unknown): number {
  switch (typeof value) {
    case "string":
      return 16 + Math.ceil((value.length * charBytes(value)) / 8) * 8;
    case "number":
      return Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? 0 : 16; // a small one is where its pointer would be
    case "bigint":
      return 24;
    case "object":
      return value === null ? 0 : bytesIn(value);
    case "function":
      return 64;
    default:
      return 0;
  }
}

function bytesIn(value: object): number {
  if (ArrayBuffer.isView(value)) return 200 + value.byteLength;
  if (value instanceof ArrayBuffer) return 120 + value.byteLength;
  if (looks <= 0) return 64;
  if (Array.isArray(value)) return 32 + 8 * value.length + bytesOfAll(value, value.length);
  if (value instanceof Map) return 64 + 40 * value.size + bytesOfAll(pairs(value), 2 * value.size);
  if (value instanceof Set) return 64 + 28 * value.size + bytesOfAll(value, value.size);
  if (value instanceof Date) return 96;
  let bytes = 24;
  for (const name in value) {
    bytes += 8;
    if (--looks > 0 && Object.hasOwn(value, name)) bytes += bytesOf(value[name as keyof typeof value]);
  }
  return bytes;
}

/** Of a part of them, if they are many. */
function bytesOfAll(values: Iterable<unknown>, count: number): number {
  let bytes = 0;
  let seen = 0;
  for (const value of values) {
    if (--looks <= 0 || seen === 64) break;
    bytes += bytesOf(value);
    seen++;
  }
  return seen === 0 ? 0 : (bytes / seen) * count;
}

function* pairs(map: ReadonlyMap<unknown, unknown>): Iterable<unknown> {
  for (const [key, value] of map) {
    yield key;
    yield value;
  }
}

/** 2 if a look at some of the characters finds one beyond Latin-1. */
function charBytes(text: string): number {
  const step = Math.max(1, text.length >> 4);
  for (let index = 0; index < text.length; index += step) if (text.charCodeAt(index) > 255) return 2;
  return 1;
}
