// Values that are bytes already.
import type { Codec } from "./tier.ts";

/**
 * Writes bytes as they are. What is read may share memory with what the tier has returned.
 *
 * @example
 * ```ts
 * import { bytesCodec } from "@proj/memory";
 *
 * const codec = bytesCodec();
 * console.log(codec.decode(codec.encode(Uint8Array.of(1, 2)))); // prints: Uint8Array(2) [ 1, 2 ]
 * ```
 */
export function bytesCodec(): Codec<Uint8Array> {
  return {
    id: 2,
    encode: (value) => {
      if (!(value instanceof Uint8Array)) throw new TypeError(`Cannot write a value as bytes: got ${typeof value}`);
      return value;
    },
    decode: (bytes) => bytes,
  };
}
