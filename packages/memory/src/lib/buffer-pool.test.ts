import fc from "fast-check";
import { expect, test } from "vitest";
import { BufferPool, type PooledBuffer } from "./buffer-pool.ts";

test("BufferPool.acquire() gives exactly as many bytes as asked for", () => {
  const pool = new BufferPool();
  for (const size of [0, 1, 1_023, 1_024, 1_025, 5_000, 65_536, 1_000_001]) {
    using held = pool.acquire(size);
    expect(held.bytes.length).toBe(size);
  }
});

test("BufferPool lends a buffer again once it was released, and not before", () => {
  const pool = new BufferPool();
  const first = pool.acquire(4_096);
  const second = pool.acquire(4_096);
  const { buffer } = first.bytes;
  expect(second.bytes.buffer).not.toBe(buffer);

  first.release();

  using third = pool.acquire(4_000);
  expect(third.bytes.buffer).toBe(buffer);
  expect(pool.stats()).toMatchObject({ held: 2, idle: 0, reused: 1, made: 2 });
  second.release();
});

test("PooledBuffer.release() counts once, whoever holds the memory by then", () => {
  const pool = new BufferPool();
  const first = pool.acquire(2_048);
  first.release();
  using second = pool.acquire(2_048);
  first.release();
  first[Symbol.dispose]();

  using third = pool.acquire(2_048);
  expect(third.bytes.buffer).not.toBe(second.bytes.buffer);
});

test("PooledBuffer.bytes throws after the release, with checks", () => {
  const held = new BufferPool({ checks: true }).acquire(10);
  held.release();
  expect(() => held.bytes).toThrow(/after its release/);
});

test.each([0, 7, 1_023, 40_000, 65_535])(
  "BufferPool tells of a write to byte %i after the release, with checks",
  (at) => {
    for (const wipe of [false, true]) {
      const pool = new BufferPool({ checks: true, wipe });
      const size = at < 1_024 ? 1_024 : 65_536;
      const held = pool.acquire(size);
      const { bytes } = held;
      held.release();
      bytes[at] = 1;

      expect(() => pool.acquire(size)).toThrow(`was written to after its release, at byte ${at}`);
      expect(pool.stats()).toMatchObject({ held: 0, idle: 0, idleBytes: 0 });
      pool.acquire(size).release();
    }
  },
);

test("BufferPool does not lend memory that was transferred, before or after its release", () => {
  const pool = new BufferPool();
  const early = pool.acquire(2_048);
  structuredClone(early.bytes.buffer, { transfer: [early.bytes.buffer as ArrayBuffer] });
  early.release();
  expect(pool.stats()).toMatchObject({ held: 0, idle: 0, dropped: 1 });

  const late = pool.acquire(2_048);
  const { buffer } = late.bytes;
  late.release();
  structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
  using next = pool.acquire(2_048);
  expect(next.bytes.length).toBe(2_048);
  expect(pool.stats()).toMatchObject({ held: 1, idle: 0, idleBytes: 0 });
});

test("BufferPool keeps sizes up to the largest, whatever they are rounded to", () => {
  const pool = new BufferPool({ largest: 9_000 });
  pool.acquire(9_000).release();
  expect(pool.stats()).toMatchObject({ idle: 1, idleBytes: 10_240 });
  const above = pool.acquire(10_241);
  expect(above.bytes.buffer.byteLength).toBe(10_241);
  above.release();
  expect(pool.stats()).toMatchObject({ idle: 1, dropped: 1 });
});

test("BufferPool rounds up by at most a quarter", () => {
  const pool = new BufferPool({ smallest: 8, checks: false });
  for (let size = 8; size < 5_000; size++) {
    const { bytes } = pool.acquire(size);
    expect(bytes.buffer.byteLength).toBeGreaterThanOrEqual(size);
    expect(bytes.buffer.byteLength).toBeLessThanOrEqual(Math.max(16, size * 1.25));
  }
});

test("BufferPool wipes what comes back, if told so", () => {
  const pool = new BufferPool({ wipe: true });
  const held = pool.acquire(1_024);
  const { bytes } = held;
  bytes.fill(7);
  held.release();
  expect(bytes.every((byte) => byte === 0)).toBe(true);
});

test("BufferPool keeps no more than maxIdleBytes, and nothing above the largest size", () => {
  const pool = new BufferPool({ maxIdleBytes: 10_000, largest: 8_192 });
  const all = [4_096, 4_096, 4_096, 16_384].map((size) => pool.acquire(size));
  for (const held of all) held.release();
  expect(pool.stats()).toMatchObject({ held: 0, idle: 2, idleBytes: 8_192, dropped: 2 });

  expect(pool.shrink(0.5)).toBe(4_096);
  pool.clear();
  expect(pool.stats()).toMatchObject({ idle: 0, idleBytes: 0 });
});

test("a buffer that is kept holds no slab besides itself", () => {
  using held = new BufferPool().acquire(1_024);
  expect(held.bytes.buffer.byteLength).toBe(1_024);
});

test("BufferPool.shrink() refuses what is no share", () => {
  expect(() => new BufferPool().shrink(Number.NaN)).toThrow(/fraction must be a number from 0 to 1, got NaN/);
});

test.each([
  [{ largest: 2 ** 40 }, /largest must be at most 1 GiB/],
  [{ smallest: 1_000 }, /smallest must be a power of two, got 1000/],
  [{ largest: 10 }, /largest must be an integer of at least 1024, got 10/],
])("BufferPool refuses %j", (options, message) => {
  expect(() => new BufferPool(options)).toThrow(message);
});

test("BufferPool.acquire() refuses a size that is none", () => {
  expect(() => new BufferPool().acquire(-1)).toThrow(/size must be an integer of at least 0, got -1/);
  expect(() => new BufferPool().acquire(1.5)).toThrow(RangeError);
});

test("no two holders share memory, whatever the order of their calls", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(20_000)), { maxLength: 100 }), (calls) => {
      const pool = new BufferPool({ maxIdleBytes: 50_000 });
      const held: PooledBuffer[] = [];
      for (const [acquires, n] of calls) {
        if (acquires) {
          const next = pool.acquire(n);
          expect(held.every(({ bytes }) => bytes.buffer !== next.bytes.buffer)).toBe(true);
          held.push(next);
        } else held.splice(n % (held.length || 1), 1)[0]?.release();
        const { held: count, idleBytes } = pool.stats();
        expect(count).toBe(held.length);
        expect(idleBytes).toBeLessThanOrEqual(50_000);
      }
    }),
    { numRuns: 200 },
  );
});
