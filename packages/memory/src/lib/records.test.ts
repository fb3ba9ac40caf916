import fc from "fast-check";
import { expect, test } from "vitest";
import { records } from "./records.ts";

const row = fc.record({
  tiny: fc.integer({ min: -128, max: 127 }),
  count: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  value: fc.double(),
  text: fc.string({ unit: "binary" }),
  kind: fc.constantFrom("a", "b", "\ud800"),
  open: fc.boolean(),
});

test("records() holds what an array of objects holds", () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("push" as const), row, n: fc.nat() }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("set" as const, "remove" as const), row, n: fc.nat() }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const schema = { tiny: "i8", count: "u32", value: "f64", text: "string", kind: "label", open: "bool" } as const;
      const store = records(schema, { capacity: 1 });
      const model: object[] = [];
      for (const { kind, row, n } of steps) {
        const index = n % (model.length || 1);
        if (kind === "push") expect(store.push(row)).toBe(model.push(row) - 1);
        else if (model.length === 0) expect(() => store.swapRemove(0)).toThrow(RangeError);
        else if (kind === "set") {
          for (const name of ["value", "text", "kind"] as const) store.set(index, name, row[name]);
          model[index] = { ...model[index], value: row.value, text: row.text, kind: row.kind };
        } else {
          store.swapRemove(index);
          const last = model.pop() as object;
          if (index < model.length) model[index] = last;
        }
      }
      expect([...store]).toEqual(model); // tells -0 from 0 and knows NaN
      expect(store.length).toBe(model.length);
    }),
  );
});

test("records().column() is a view of the rows that are there", () => {
  const store = records({ size: "u16", label: "label", name: "string" });
  store.push({ size: 3, label: "x", name: "first" });
  store.push({ size: 4, label: "y", name: "second" });
  expect([...store.column("size")]).toEqual([3, 4]);
  expect([...store.column("label")]).toEqual([store.labelOf("label", "x"), store.labelOf("label", "y")]);
  expect(store.labelOf("label", "z")).toBeUndefined();
  expect(store.column("name")).toEqual(["first", "second"]);
  expect(store.field(1, "name")).toBe("second");
  store.clear();
  expect(store.length).toBe(0);
  expect([...store.column("size")]).toEqual([]);
});

test("records().push() adds nothing if a field does not fit, and names it", () => {
  const store = records({ size: "u8", name: "string", open: "bool" });
  const bad = (row: object): (() => void) => {
    return () => store.push(row as { size: number; name: string; open: boolean }); // what a caller without types does
  };
  expect(bad({ size: 256, name: "", open: true })).toThrow(/size must be an integer from 0 to 255, got 256/);
  expect(bad({ size: 1, name: 2, open: true })).toThrow(/name must be a string, got 2/);
  expect(bad({ size: 1, name: "" })).toThrow(/open must be a boolean, got undefined/);
  expect(store.length).toBe(0);
});

test("records() refuses a schema that is none, and rows and fields that are not there", () => {
  expect(() => records({})).toThrow(/no fields/);
  expect(() => records(JSON.parse(`{ "__proto__": "u8" }`))).toThrow(/no field can have the name __proto__/);
  // @ts-expect-error no such type
  expect(() => records({ a: "int" })).toThrow(/a must be one of .*"label".*, got "int"/);
  const store = records({ a: "f64" });
  expect(() => store.get(0)).toThrow(/Cannot use record 0: there are 0/);
  store.push({ a: 1 });
  // @ts-expect-error no such field
  expect(() => store.field(0, "b")).toThrow(/Cannot use the field "b": there are a/);
});

test("records() keeps no label of a row that was refused, and none after clear()", () => {
  const store = records({ kind: "label", size: "u8" });
  expect(() => store.push({ kind: "refused", size: 256 })).toThrow(RangeError);
  expect(store.labelOf("kind", "refused")).toBeUndefined();
  store.push({ kind: "a", size: 1 });
  store.clear();
  expect(store.labelOf("kind", "a")).toBeUndefined();
  store.push({ kind: "b", size: 1 });
  store.push({ kind: "a", size: 1 });
  expect([...store]).toEqual([
    { kind: "b", size: 1 },
    { kind: "a", size: 1 },
  ]);
});

test("records().trim() gives back what is taken for rows to come", () => {
  const store = records({ size: "u32", name: "string" });
  for (let size = 0; size < 100; size++) store.push({ size, name: `${size}` });
  expect(store.bytes).toBeGreaterThan(400);
  store.trim();
  expect(store.bytes).toBe(400);
  store.push({ size: 100, name: "100" });
  expect(store.column("size").reduce((sum, size) => sum + size, 0)).toBe(5_050);
  expect(store.get(100)).toEqual({ size: 100, name: "100" });
  store.clear();
  store.trim();
  expect(store.bytes).toBe(4);
});

test("records() keeps labels apart that end alike", () => {
  const texts = ["", "a", "b", "aa", "ba", "ab", "xaa", "yaa", "é", "日本", "日日本", "a\ud800"];
  const store = records({ kind: "label" });
  for (const kind of [...texts, ...texts.toReversed()]) store.push({ kind });
  expect(Array.from(store, ({ kind }) => kind)).toEqual([...texts, ...texts.toReversed()]);
  expect(new Set(store.column("kind")).size).toBe(texts.length);
});
