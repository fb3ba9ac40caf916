import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteIndex } from "./byte-index.ts";

/** All positions of a hash. */
function allOf(index: ByteIndex, hash: number): number[] {
  const found: number[] = [];
  for (let at = index.first(hash); at !== 0; at = index.next(hash)) found.push(at);
  return found.sort((a, b) => a - b);
}

test("ByteIndex finds all that was added and not deleted, whatever the hashes", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(40)), { maxLength: 400 }), (operations) => {
      const index = new ByteIndex();
      const model = new Map<number, number>(); // position by number
      const hashOf = (n: number): number => (n % 7) + 1_020; // all near the end of the table: chains wrap around
      let next = 2 ** 32 - 1; // as large as positions get
      for (const [adds, n] of operations) {
        const at = model.get(n);
        if (adds && at === undefined) {
          index.add(hashOf(n), next);
          model.set(n, next--);
        } else if (adds && at !== undefined) {
          index.move(hashOf(n), at, next);
          model.set(n, next--);
        } else if (at !== undefined) {
          index.delete(hashOf(n), at);
          model.delete(n);
        }
        expect(index.size).toBe(model.size);
      }
      for (let hash = 1_020; hash < 1_028; hash++) {
        const expected = [...model].flatMap(([n, at]) => (hashOf(n) === hash ? [at] : []));
        expect(allOf(index, hash)).toEqual(expected.sort((a, b) => a - b));
      }
    }),
  );
});

test("ByteIndex grows and gives back, and finds everything all the while", () => {
  const index = new ByteIndex();
  const hashOf = (at: number): number => Math.imul(at, 0x9e3779b1) >>> 0;
  const smallest = index.bytes;
  for (let at = 1; at <= 5_000; at++) index.add(hashOf(at), at);
  const largest = index.bytes;
  expect(largest).toBeGreaterThan(smallest);
  for (let at = 101; at <= 5_000; at++) index.delete(hashOf(at), at);
  expect(index.bytes).toBe(largest);

  index.trim();

  expect(index.bytes).toBe(smallest);
  for (let at = 1; at <= 100; at++) expect(allOf(index, hashOf(at))).toEqual([at]);
  expect(allOf(index, hashOf(101))).toEqual([]);
  index.clear();
  expect(index.size).toBe(0);
});
