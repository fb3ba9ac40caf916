// Makes what a codec writes smaller, where that is worth it.
import { checkCount, checkFunction, checkOneOf } from "@proj/concurrency/options";
import { Gains } from "./codec-gains.ts";
import type { Codec } from "./tier.ts";

/** How bytes are made smaller. */
export type Compression = "auto" | "none" | "gzip" | "brotli" | "zstd" | "lz4";

/** An implementation of LZ4 blocks, such as lz4-napi. */
export interface Lz4 {
  /** Returns a block. */
  compress(bytes: Uint8Array): Uint8Array;
  /** Returns `size` bytes, or throws. */
  decompress(bytes: Uint8Array, size: number): Uint8Array;
}

/** What can be set on {@link compressed}. */
export interface CompressedOptions {
  /**
   * `"auto"`: a fast brotli below 32 KiB and a fast zstd from there on, which cost least at these sizes. `"lz4"` needs
   * `lz4`. `"none"` only reads. All are read, whatever is set here. Default: `"auto"`.
   */
  readonly algorithm?: Compression | undefined;
  /** Fewer bytes are written as they are. Default: 1,024. */
  readonly minSize?: number | undefined;
  /** What would become larger than so many bytes is not read: it is damaged, or meant to do harm. Default: 64 MiB. */
  readonly maxSize?: number | undefined;
  /** Default: none; what was written with one is then not read. */
  readonly lz4?: Lz4 | undefined;
}

type Method = Exclude<Compression, "auto">;

/** By the number that is written. */
const methods: readonly Method[] = ["none", "gzip", "brotli", "zstd", "lz4"];
const largeFrom = 32_768;

/**
 * Wraps a codec so that its bytes are compressed. Sizes at which values turn out not to become smaller are left alone,
 * and tried again from time to time. Works synchronously: for values of up to some 100 KB. What cannot be read throws;
 * a cache in tiers takes that for a value that is not there.
 *
 * @throws TypeError or RangeError for options that are none
 * @example
 * ```ts
 * import { compressed, jsonCodec } from "@proj/memory";
 *
 * const codec = compressed(jsonCodec<string[]>());
 * const bytes = codec.encode(new Array(1_000).fill("the same again"));
 * console.log(bytes.length < 200, codec.decode(bytes).length); // prints: true 1000
 * ```
 */
export function compressed<V>(codec: Codec<V>, options: CompressedOptions = {}): Codec<V> {
  const action = "compress a codec";
  const { algorithm = "auto", minSize = 1_024, maxSize = 64 * 2 ** 20, lz4 } = options;
  checkOneOf(action, "algorithm", algorithm, ["auto", ...methods]);
  checkCount(action, "minSize", minSize, 0);
  checkCount(action, "maxSize", maxSize, 1);
  if (algorithm === "lz4") checkFunction(action, "lz4.compress", lz4?.compress);
  if (codec.id >= 128) throw new RangeError(`Cannot ${action}: its id must be below 128, got ${codec.id}`);
  const gains = new Gains();

  return {
    id: codec.id + 128,
    encode: (value) => {
      const plain = codec.encode(value);
      const size = plain.length;
      const method = algorithm === "auto" ? (size < largeFrom ? "brotli" : "zstd") : algorithm;
      if (method === "none" || size < minSize || size > maxSize || !gains.isWorth(size)) return framed("none", plain);
      const small = compress(method, plain, algorithm === "auto", lz4);
      return gains.isGain(size, small.length) ? framed(method, small, size) : framed("none", plain);
    },
    decode: (bytes) => {
      const method = methods[bytes[0] ?? -1];
      if (method === "none") return codec.decode(bytes.subarray(1));
      if (method === undefined || bytes.length < 5) throw new TypeError("Cannot decompress: not written by this codec");
      const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1, true);
      if (size > maxSize) throw new RangeError(`Cannot decompress: ${size} bytes are more than the ${maxSize} allowed`);
      const plain = decompress(method, bytes.subarray(5), size, lz4);
      if (plain.length !== size) throw new TypeError(`Cannot decompress: got ${plain.length} bytes, expected ${size}`);
      return codec.decode(plain);
    },
  };
}

function framed(method: Method, bytes: Uint8Array, size?: number): Uint8Array {
  const head = size === undefined ? 1 : 5;
  const frame = Buffer.allocUnsafe(head + bytes.length);
  frame[0] = methods.indexOf(method);
  if (size !== undefined) frame.writeUInt32LE(size, 1);
  frame.set(bytes, head);
  return frame;
}

function compress(
  method: Exclude<Method, "none">,
  bytes: Uint8Array,
  isFast: boolean,
  lz4: Lz4 | undefined,
): Uint8Array {
  const zlib = process.getBuiltinModule("node:zlib"); // on demand
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT, ZSTD_c_compressionLevel } = zlib.constants;
  switch (method) {
    case "gzip":
      return zlib.gzipSync(bytes);
    case "brotli": {
      const params = { [BROTLI_PARAM_QUALITY]: isFast ? 1 : 4, [BROTLI_PARAM_SIZE_HINT]: bytes.length };
      return zlib.brotliCompressSync(bytes, { params });
    }
    case "zstd":
      return zlib.zstdCompressSync(bytes, { params: { [ZSTD_c_compressionLevel]: isFast ? 1 : 3 } });
    case "lz4":
      return (lz4 as Lz4).compress(bytes); // checked with the options
  }
}

function decompress(
  method: Exclude<Method, "none">,
  bytes: Uint8Array,
  size: number,
  lz4: Lz4 | undefined,
): Uint8Array {
  const zlib = process.getBuiltinModule("node:zlib");
  const limit = { maxOutputLength: Math.max(1, size) };
  switch (method) {
    case "gzip":
      return zlib.gunzipSync(bytes, limit);
    case "brotli":
      return zlib.brotliDecompressSync(bytes, limit);
    case "zstd":
      return zlib.zstdDecompressSync(bytes, limit);
    case "lz4":
      if (lz4 === undefined) throw new TypeError("Cannot decompress: lz4 was not given");
      return lz4.decompress(bytes, size);
  }
}
