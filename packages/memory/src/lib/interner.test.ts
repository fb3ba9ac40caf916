import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Interner } from "./interner.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void; // what the flag has just exposed

test("Interner gives the text of any bytes, as decoding them would", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "grapheme", maxLength: 12 }), { maxLength: 300 }), (texts) => {
      const interner = new Interner({ max: 100 });
      for (const text of texts) {
        const bytes = Buffer.from(`<${text}>`);
        expect(interner.fromBytes(bytes, 1, bytes.length - 1)).toBe(text);
        expect(interner.intern(text)).toBe(text);
      }
      expect(interner.stats().strings).toBe(Math.min(100, new Set(texts).size));
    }),
  );
});

test("Interner decodes a known text no second time", () => {
  const interner = new Interner();
  const rows = Array.from({ length: 100 }, (_, index) => Buffer.from(`country ${index % 3}`));
  for (const row of rows) interner.fromBytes(row);
  expect(interner.stats()).toEqual({ strings: 3, bytes: 27, hits: 97, misses: 3 });
});

test("Interner keeps halves of surrogate pairs and malformed bytes what they are", () => {
  const interner = new Interner();
  expect(interner.intern("a\ud800")).toBe("a\ud800");
  expect(interner.intern("a\udbff")).toBe("a\udbff");
  expect(interner.fromBytes(Uint8Array.of(255, 65))).toBe("\ufffdA");
  expect(interner.intern("\ufffdA")).toBe("\ufffdA");
});

test("Interner keeps no more than max, and no text above maxLength", () => {
  const interner = new Interner({ max: 2, maxLength: 5 });
  for (const text of ["a", "b", "c", "a", "longer than five"]) expect(interner.intern(text)).toBe(text);
  expect(interner.stats()).toMatchObject({ strings: 2, hits: 1, misses: 4 });
  interner.clear();
  expect(interner.intern("c")).toBe("c");
  expect(interner.stats()).toMatchObject({ strings: 1, bytes: 1 });
});

test("Interner refuses bad input", () => {
  // @ts-expect-error a number is no string
  expect(() => new Interner().intern(1)).toThrow(/must be a string/);
  expect(() => new Interner().fromBytes(new Uint8Array(2), 1, 3)).toThrow(/Cannot intern bytes 1 to 3: there are 2/);
  expect(() => new Interner().fromBytes(new Uint8Array(2), 0.5, 1)).toThrow(RangeError);
  // @ts-expect-error a string is no bytes
  expect(() => new Interner().fromBytes("ab")).toThrow(/must be a Uint8Array, got "ab"/);
  expect(() => new Interner({ max: 0 })).toThrow(/max must be an integer of at least 1, got 0/);
});

test("Interner keeps no larger text in memory that an interned one is a piece of", () => {
  const interner = new Interner();
  collect();
  const before = getHeapStatistics().used_heap_size;
  const pieces = Array.from({ length: 40 }, (_, index) => {
    const large = Buffer.alloc(2 ** 19, `${index} is a piece of a large text; `).toString("latin1");
    return interner.intern(large.slice(0, 20));
  });
  collect();
  expect(getHeapStatistics().used_heap_size - before).toBeLessThan(4 * 2 ** 20); // of 20 MiB
  expect(pieces[39]).toBe("39 is a piece of a l");
});

test("Interner gives one string for a text, from a string or from bytes", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
      const interner = new Interner({ maxLength: 200 });
      const bytes = Buffer.from(text);
      const keeps = text.isWellFormed() && bytes.length <= 200;
      expect(interner.intern(text)).toBe(text);
      if (text.isWellFormed()) expect(interner.fromBytes(bytes)).toBe(text);
      expect(interner.stats()).toMatchObject({ strings: keeps ? 1 : 0, hits: keeps ? 1 : 0 });
    }),
  );
});
