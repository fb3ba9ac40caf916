import fc from "fast-check";
import { expect, test } from "vitest";
import { Interner } from "./interner.ts";

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
  expect(() => new Interner({ max: 0 })).toThrow(/max must be an integer of at least 1, got 0/);
});
