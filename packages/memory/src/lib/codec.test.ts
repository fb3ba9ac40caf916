import { randomBytes } from "node:crypto";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { TestClock } from "@proj/concurrency/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { bytesCodec } from "./codec-bytes.ts";
import { type Compression, compressed } from "./codec-compressed.ts";
import { jsonCodec } from "./codec-json.ts";
import { v8Codec } from "./codec-v8.ts";
import { MemoryTier } from "./memory-tier.ts";
import { tiered } from "./tiered.ts";

/** Counts runs: enough of LZ4 to stand in its place. */
const lz4 = {
  compress: (bytes: Uint8Array) => {
    const runs: number[] = [];
    for (let at = 0; at < bytes.length; ) {
      let length = 1;
      while (length < 255 && bytes[at + length] === bytes[at]) length++;
      runs.push(length, bytes[at] as number);
      at += length;
    }
    return Uint8Array.from(runs);
  },
  decompress: (bytes: Uint8Array, size: number) => {
    const plain = new Uint8Array(size);
    let to = 0;
    for (let at = 0; at < bytes.length; at += 2) {
      plain.fill(bytes[at + 1] as number, to, to + (bytes[at] as number));
      to += bytes[at] as number;
    }
    return plain;
  },
};
const algorithms: readonly Compression[] = ["auto", "none", "gzip", "brotli", "zstd", "lz4"];

test("what JSON knows comes back as it was", () => {
  const codec = jsonCodec<unknown>();
  fc.assert(
    fc.property(fc.json(), (json) => {
      const value: unknown = JSON.parse(json);
      expect(JSON.stringify(codec.decode(codec.encode(value)))).toBe(JSON.stringify(value));
    }),
  );
  expect(() => codec.encode(undefined)).toThrow(/got undefined/);
  expect(() => codec.encode(1n)).toThrow(TypeError);
});

test("bytes stay as they are, and values of the platform come back as they were", () => {
  const bytes = randomBytes(100);
  expect(bytesCodec().decode(bytesCodec().encode(bytes))).toBe(bytes);
  expect(() => bytesCodec().encode("text" as never)).toThrow(TypeError);
  const value = { when: new Date(0), all: new Map([["a", new Set([1n])]]) };
  expect(v8Codec<typeof value>().decode(v8Codec().encode(value))).toEqual(value);
});

test("what is compressed comes back as it was, with any algorithm, read by any", () => {
  const readers = algorithms.map((algorithm) => compressed(bytesCodec(), { algorithm, lz4 }));
  fc.assert(
    fc.property(
      fc.constantFrom(...algorithms),
      fc.uint8Array({ maxLength: 300 }),
      fc.nat(400),
      (algorithm, part, times) => {
        const bytes = new Uint8Array(Buffer.concat(Array.from({ length: times }, () => part)));
        const written = compressed(bytesCodec(), { algorithm, minSize: 10, lz4 }).encode(bytes);
        for (const reader of readers) expect(Buffer.compare(reader.decode(written), bytes)).toBe(0);
      },
    ),
    { numRuns: 100 },
  );
});

test("values that become smaller are written so, small ones and random ones are not", () => {
  for (const algorithm of algorithms.slice(2)) {
    const codec = compressed(bytesCodec(), { algorithm, lz4 });
    expect(codec.encode(new Uint8Array(100_000)).length).toBeLessThan(2_000);
    expect(codec.encode(new Uint8Array(1_000)).length).toBe(1_001);
    expect(codec.encode(randomBytes(100_000)).length).toBe(100_001);
  }
});

test("sizes that gain nothing are left alone, and tried again from time to time", () => {
  let tries = 0;
  const counting = {
    ...lz4,
    compress: (bytes: Uint8Array) => {
      tries++;
      return lz4.compress(bytes);
    },
  };
  const codec = compressed(bytesCodec(), { algorithm: "lz4", lz4: counting });
  const noise = randomBytes(5_000);
  for (let count = 0; count < 4; count++) codec.encode(noise);
  expect(tries).toBe(4);
  for (let count = 0; count < 32; count++) codec.encode(noise);
  expect(tries).toBe(4);
  codec.encode(noise);
  expect(tries).toBe(5);
  for (let count = 0; count < 10_000; count++) codec.encode(noise);
  expect(tries).toBeLessThan(15);
  expect(codec.encode(new Uint8Array(50_000)).length).toBeLessThan(1_000); // another size
  for (let count = 0; count < 5_000; count++) codec.encode(new Uint8Array(5_000));
  expect(codec.encode(new Uint8Array(5_000)).length).toBeLessThan(1_000); // has found out
});

test("lz4-napi fits the port", async () => {
  const { compressSync, uncompressSync } = await import("lz4-napi");
  const real = {
    compress: (bytes: Uint8Array) => compressSync(Buffer.from(bytes)),
    decompress: (bytes: Uint8Array) => uncompressSync(Buffer.from(bytes)),
  };
  const codec = compressed(bytesCodec(), { algorithm: "lz4", lz4: real });
  const bytes = new Uint8Array(100_000).map((_, index) => index % 100);
  const written = codec.encode(bytes);
  expect(written.length).toBeLessThan(2_000);
  expect(Buffer.compare(codec.decode(written), bytes)).toBe(0);
});

test("a bomb does not go off", () => {
  const zeros = Buffer.alloc(2 ** 22);
  const codec = compressed(bytesCodec(), { maxSize: 2 ** 20, lz4 });
  for (const [id, bytes] of [gzipSync(zeros), brotliCompressSync(zeros), zstdCompressSync(zeros)].entries()) {
    for (const claimed of [2 ** 22, 2 ** 20, 10, 0, 2 ** 32 - 1]) {
      const head = Buffer.alloc(5);
      head[0] = id + 1;
      head.writeUInt32LE(claimed, 1);
      expect(() => codec.decode(Buffer.concat([head, bytes]))).toThrow();
    }
  }
  const large = new Uint8Array(2 ** 21); // larger than may be read: written as it is
  expect(codec.decode(codec.encode(large)).length).toBe(2 ** 21);
});

test("codecs do not read one another, nor what is damaged: it is missing, never wrong", async () => {
  const clock = new TestClock();
  const tier = new MemoryTier({ clock });
  const codecs = [jsonCodec<string>(), compressed(jsonCodec<string>()), v8Codec<string>()];
  const caches = codecs.map((codec) => tiered<string>({ fresh: 1_000, tiers: [tier], codec, clock }));
  const value = "value ".repeat(400);
  for (const writer of caches) {
    await writer.set("a", value);
    for (const reader of caches) {
      await reader.clear(/./);
      expect(await reader.get("a")).toBe(reader === writer ? value : undefined);
    }
  }
  const sound = await tier.get("a");
  const bytes = Buffer.from(sound?.bytes ?? []);
  const [, , reader] = caches;
  await fc.assert(
    fc.asyncProperty(
      fc.nat(bytes.length - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      async (at, flip, cuts) => {
        const damaged = Buffer.from(cuts ? bytes.subarray(0, at) : bytes);
        if (!cuts) damaged[at] = (damaged[at] as number) ^ flip;
        await tier.set("a", { bytes: damaged, expiresAt: Number.POSITIVE_INFINITY });
        await reader?.clear(/./);
        expect(await reader?.get("a")).toBeUndefined();
      },
    ),
    { numRuns: 200 },
  );
  expect(reader?.stats().tiers[0]?.refused).toBeGreaterThan(200);
  const foreign = Buffer.from('{"value":"of somebody else"}');
  await tier.set("a", { bytes: foreign, expiresAt: Number.POSITIVE_INFINITY });
  expect(await reader?.get("a")).toBeUndefined();
});

test("options that are none are refused", () => {
  expect(() => compressed(jsonCodec(), { algorithm: "zip" as never })).toThrow(
    /algorithm must be one of "auto", "none"/,
  );
  expect(() => compressed(jsonCodec(), { minSize: -1 })).toThrow(RangeError);
  expect(() => compressed(jsonCodec(), { algorithm: "lz4" })).toThrow(/lz4.compress must be a function/);
  expect(() => compressed(compressed(jsonCodec()))).toThrow(/id must be below 128, got 129/);
});
