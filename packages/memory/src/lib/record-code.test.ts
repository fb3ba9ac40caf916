import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { generated, interpreted, type Row } from "./record-code.ts";
import { Column, type FieldType, fieldKinds } from "./record-columns.ts";

const anything = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.constantFrom(-1, -0, 0, 0.5, 127, 128, -128, -129, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 5n),
  fc.string(),
  fc.boolean(),
  fc.constantFrom(undefined, null, "5", Number.NaN, { valueOf: () => 5 }),
);
const name = fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom('"', "\\", "\u2028", "`", "0", "constructor", "v0"));
const types = Object.keys(fieldKinds) as FieldType[]; // the only keys it has
const schema = fc.dictionary(
  name.filter((text) => text !== "__proto__"),
  fc.constantFrom(...types),
  { minKeys: 1, maxKeys: 5, noNullPrototype: true },
);

test("rows are written and read alike with code made for them and field by field", () => {
  fc.assert(
    fc.property(schema, fc.infiniteStream(anything), (schema, values) => {
      const ways = [generated, interpreted].map((make) => {
        const columns = Object.entries(schema).map(([name, type]) => new Column(name, type, 1));
        const bind = (): void =>
          code.bind(
            columns.map(({ values }) => values),
            1,
          );
        const code = make(columns, bind);
        return { columns, code, bind };
      });
      for (let round = 0; round < 10; round++) {
        const row = Object.fromEntries(Object.keys(schema).map((name) => [name, values.next().value])) as Row;
        const [made, plain] = ways.map(({ code, columns, bind }) => {
          try {
            code.setLength(0);
            bind();
            expect([code.push(row), code.length()]).toEqual([0, 1]);
            return { row: code.read(0), fields: columns.map((column) => column.read(0)) };
          } catch (error) {
            return String(error);
          }
        });
        expect(made).toEqual(plain);
        if (typeof made === "object" && !Object.values(schema).includes("f32")) expect(made.row).toEqual(normal(row));
      }
    }),
  );
});

/** Integers have no -0. */
function normal(row: Row): Row {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, value === 0 ? expect.closeTo(0) : value]),
  );
}

test("records() works where code must not be made from text", () => {
  const script = `
    import { records } from ${JSON.stringify(import.meta.resolve("./records.ts"))};
    const store = records({ size: "u8", name: "label", open: "bool" });
    store.push({ size: 1, name: "a", open: true });
    try { store.push({ size: 256, name: "b", open: true }); } catch ({ message }) { console.log(message); }
    console.log(JSON.stringify([...store]));`;
  const flags = ["--disallow-code-generation-from-strings", "--conditions=@proj/source", "--input-type=module", "-e"];
  const output = execFileSync(process.execPath, [...flags, script], { encoding: "utf8" });
  expect(output.trim().split("\n")).toEqual([
    "Cannot store a record: size must be an integer from 0 to 255, got 256",
    '[{"size":1,"name":"a","open":true}]',
  ]);
});
