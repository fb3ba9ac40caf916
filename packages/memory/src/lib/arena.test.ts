import fc from "fast-check";
import { expect, test } from "vitest";
import { type Alignment, Arena, type ArenaMark } from "./arena.ts";

test("Arena gives out aligned pieces that do not overlap and do not cross a block", () => {
  const piece = fc.tuple(fc.nat(64), fc.constantFrom<Alignment>(1, 2, 4, 8, 16));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 200 }), (pieces) => {
      const arena = new Arena({ blockBytes: 64 });
      let end = 0;
      for (const [index, [bytes, align]] of pieces.entries()) {
        const at = arena.alloc(bytes, align);
        expect(at % align).toBe(0);
        expect(at).toBeGreaterThanOrEqual(end);
        if (bytes > 0) expect(Math.floor(at / 64)).toBe(Math.floor((at + bytes - 1) / 64));
        arena.view(at, bytes).fill(index);
        end = at + bytes;
      }
      expect(arena.stats()).toMatchObject({ usedBytes: end, peakBytes: end });
    }),
  );
});

test("Arena reads what was written, of each kind", () => {
  const arena = new Arena({ blockBytes: 16 });
  arena.alloc(16);
  const at = arena.alloc(8); // in the second block
  for (const value of [Number.NaN, -0, 1.5, -1e300]) {
    arena.writeFloat64(at, value);
    expect(arena.readFloat64(at)).toBe(value);
  }
  arena.writeInt32(at, -5);
  arena.writeUint32(at + 4, 2 ** 32 - 1);
  expect([arena.readInt32(at), arena.readUint32(at + 4)]).toEqual([-5, 2 ** 32 - 1]);
  arena.writeUint8(at, 200);
  expect(arena.readUint8(at)).toBe(200);
  expect(arena.view(at, 8)[0]).toBe(200);
});

test("Arena.reset() takes back what came after the mark, and refuses a mark from before an earlier reset", () => {
  const arena = new Arena({ blockBytes: 64, checks: false });
  arena.alloc(10);
  const outer = arena.mark();
  arena.alloc(60);
  const inner = arena.mark();
  arena.alloc(20);

  arena.reset(inner);
  arena.reset(inner);
  arena.reset(outer);
  expect(arena.stats()).toMatchObject({ usedBytes: 10, blocks: 3, peakBytes: 148 });
  expect(() => arena.reset(inner)).toThrow(/went back before it/);
  arena.reset();
  expect(() => arena.reset(outer)).toThrow(RangeError);
  arena.clear();
  expect(arena.stats()).toMatchObject({ usedBytes: 0, takenBytes: 0 });
  expect(arena.alloc(64)).toBe(0);
});

test("Arena refuses to go beyond maxBytes, and stays as it was", () => {
  const arena = new Arena({ blockBytes: 16, maxBytes: 32 });
  arena.alloc(16);
  arena.alloc(16);
  expect(() => arena.alloc(1)).toThrow(/would take 33 bytes, above its maxBytes of 32/);
  expect(() => arena.preallocate(1)).toThrow(/above its maxBytes/);
  expect(arena.stats()).toMatchObject({ usedBytes: 32, blocks: 2 });
});

test("Arena.preallocate() takes memory ahead", () => {
  const arena = new Arena({ blockBytes: 64 });
  arena.preallocate(200);
  expect(arena.stats()).toMatchObject({ usedBytes: 0, takenBytes: 256 });
  expect([arena.alloc(60), arena.alloc(60)]).toEqual([0, 64]);
  expect(arena.stats().takenBytes).toBe(256);
});

test("Arena refuses bad input", () => {
  const arena = new Arena({ blockBytes: 64 });
  expect(() => arena.alloc(-1)).toThrow(/bytes must be an integer of at least 0, got -1/);
  expect(() => arena.alloc(1.5)).toThrow(RangeError);
  expect(() => arena.alloc(65)).toThrow(/at most its block of 64, got 65/);
  for (const align of [0, -8, 3, 32, 1.5, Number.NaN]) {
    expect(() => arena.alloc(1, align as Alignment)).toThrow(`align must be 1, 2, 4, 8 or 16, got ${align}`);
  }
  expect(() => arena.alloc(2 ** 32)).toThrow(/bytes must be below 2\^32/);
  expect(() => arena.readInt32(64)).toThrow(/was not given out/);
  expect(() => arena.view(0, 1)).toThrow(/were not given out/);
  expect(() => new Arena({ blockBytes: 100 })).toThrow(/power of two/);
  expect(() => new Arena({ maxBytes: 2 ** 40 })).toThrow(/at most 2\^31/);
});

test("Arena keeps what earlier pieces hold through any order of marks and resets", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("alloc"), n: fc.integer({ min: 1, max: 32 }) }),
    fc.record({ kind: fc.constantFrom("mark", "reset"), n: fc.nat(5) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), fc.boolean(), (steps, checks) => {
      const arena = new Arena({ blockBytes: 32, checks });
      const pieces: { at: number; length: number; value: number }[] = [];
      const marks: { mark: ArenaMark; pieces: number }[] = [];
      for (const [index, { kind, n }] of steps.entries()) {
        if (kind === "alloc") {
          const at = arena.alloc(n);
          arena.view(at, n).fill(index);
          pieces.push({ at, length: n, value: index & 255 });
        } else if (kind === "mark") marks.push({ mark: arena.mark(), pieces: pieces.length });
        else {
          const target = marks[n];
          if (target === undefined) continue;
          arena.reset(target.mark);
          marks.length = n + 1;
          pieces.length = target.pieces;
        }
        for (const { at, length, value } of pieces) {
          expect(arena.view(at, length).every((byte) => byte === value)).toBe(true);
        }
      }
    }),
    { numRuns: 200 },
  );
});

test("a view of an arena is empty and refuses to be written to after a reset, with checks", () => {
  const arena = new Arena({ blockBytes: 64, checks: true });
  const kept = arena.view(arena.alloc(8), 8).fill(1);
  const mark = arena.mark();
  const lost = [arena.alloc(8), arena.alloc(64)].map((at) => ({ at, view: arena.view(at, 8) }));

  arena.reset(mark);

  expect([...kept]).toEqual(Array(8).fill(1));
  for (const { at, view } of lost) {
    expect(view.length).toBe(0);
    expect(() => view.fill(1)).toThrow(TypeError);
    expect(() => arena.readUint8(at)).toThrow(/was not given out/);
    expect(() => arena.view(at, 8)).toThrow(/were not given out/);
  }
  const again = arena.view(arena.alloc(8), 8);
  expect(again.fill(2).length).toBe(8);
  arena.reset();
  expect([kept.length, again.length]).toEqual([0, 0]);
});

test("Arena keeps no marks of a loop, and disposing of a mark takes back what came after it, once", () => {
  const arena = new Arena({ blockBytes: 64 });
  arena.alloc(8);
  let depth = 0;
  for (let round = 0; round < 1_000; round++) {
    using mark = arena.mark();
    arena.alloc(100 - 64);
    depth = mark.depth;
  }
  expect(depth).toBe(0);
  expect(arena.stats().blocks).toBe(2);

  const mark = arena.mark();
  arena.reset();
  const at = arena.alloc(8);
  mark[Symbol.dispose](); // it is from before the reset
  expect(arena.readUint8(at)).toBe(0);
});

test("Arena wipes what is taken back, if told so", () => {
  for (const checks of [false, true]) {
    const arena = new Arena({ blockBytes: 64, wipe: true, checks });
    const kept = arena.view(arena.alloc(4), 4).fill(9);
    const mark = arena.mark();
    for (let piece = 0; piece < 5; piece++) arena.view(arena.alloc(40), 40).fill(7);
    arena.reset(mark);
    for (let piece = 0; piece < 5; piece++)
      expect(arena.view(arena.alloc(40), 40).every((byte) => byte === 0)).toBe(true);
    expect([...kept]).toEqual([9, 9, 9, 9]);
  }
});

test("Arena gives out all of 2 GiB and then refuses", () => {
  const arena = new Arena({ blockBytes: 2 ** 30, maxBytes: 2 ** 31 });
  expect([arena.alloc(2 ** 30), arena.alloc(2 ** 30)]).toEqual([0, 2 ** 30]);
  expect(arena.alloc(0)).toBe(2 ** 31);
  expect(() => arena.alloc(1)).toThrow(/above its maxBytes/);
  arena.writeUint8(2 ** 31 - 1, 5);
  expect(arena.readUint8(2 ** 31 - 1)).toBe(5);
});
