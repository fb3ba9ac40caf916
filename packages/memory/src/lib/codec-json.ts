// Values as JSON, in UTF-8.
import type { Codec } from "./tier.ts";

/**
 * Writes values as JSON: what is fastest for most. A value that JSON does not know, such as a `bigint` or a cycle,
 * cannot be written; a `Date` comes back as a text and a `Map` as an empty object, as with `JSON.stringify`.
 *
 * @example
 * ```ts
 * import { jsonCodec } from "@proj/memory";
 *
 * const codec = jsonCodec<{ readonly name: string }>();
 * console.log(codec.decode(codec.encode({ name: "Ada" }))); // prints: { name: 'Ada' }
 * ```
 */
export function jsonCodec<V>(): Codec<V> {
  return {
    id: 1,
    encode: (value) => {
      const text: string | undefined = JSON.stringify(value);
      if (text === undefined) throw new TypeError(`Cannot write a value as JSON: got ${typeof value}`);
      return Buffer.from(text);
    },
    // Of the type of what was encoded, as the cache has checked the codec and the bytes.
    decode: (bytes) => JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) as V,
  };
}
