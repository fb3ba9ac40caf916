// Writes and reads rows of one schema: with code made for it where that is allowed, else field by field.
import { type Column, type FieldValue, type Labels, misfit } from "./record-columns.ts";

/** A row as an object. */
export type Row = Readonly<Record<string, FieldValue>>;

/** How rows of one schema are written and read. */
export interface RowCode {
  /** Adds a row and returns its number. @throws TypeError or RangeError for a field that does not fit; then nothing is added */
  readonly push: (row: Row) => number;
  readonly read: (index: number) => Row;
  /** To be called whenever columns have other arrays. */
  readonly bind: (arrays: readonly Column["values"][], capacity: number) => void;
  readonly length: () => number;
  readonly setLength: (length: number) => void;
}

/**
 * `grow` is called when there is no room for a row, and has to bind larger arrays.
 *
 * Code with the names and kinds of the fields in it is 3 to 4 times as fast as a loop over them: V8 looks up each
 * property by a name that it knows. Without leave to make code from text (`--disallow-code-generation-from-strings`) it
 * is the loop.
 */
export function rowCode(columns: readonly Column[], grow: () => void): RowCode {
  try {
    return generated(columns, grow);
  } catch (error) {
    if (error instanceof EvalError) return interpreted(columns, grow);
    throw error;
  }
}

/** Names come from the schema, as JSON, so that they are nothing but names. @throws EvalError where it is not allowed */
export function generated(columns: readonly Column[], grow: () => void): RowCode {
  const each = (code: (column: Column, index: number) => string, separator = "\n"): string =>
    columns.map(code).join(separator);
  const name = (column: Column): string => JSON.stringify(column.name);
  const make = compiled(
    `"use strict";
    let length = 0, capacity = 0;
    ${each((_, n) => `let a${n}; const l${n} = labels[${n}];`)}
    return {
      push(row) {
        ${each((column, n) => `const v${n} = row[${name(column)}];`)}
        ${each(({ kind }, n) => `if (!(${kind.fitsCode.replace(/\bv\b/g, `v${n}`)})) misfit(${n}, v${n});`)}
        if (length === capacity) grow();
        ${each(({ type }, n) => `a${n}[length] = ${storeCode(type, n)};`)}
        return length++;
      },
      read(index) { return { ${each((column, n) => `${name(column)}: ${readCode(column.type, n)}`, ", ")} }; },
      bind(arrays, room) { capacity = room; ${each((_, n) => `a${n} = arrays[${n}];`)} },
      length() { return length; },
      setLength(other) { length = other; },
    };`,
  );
  return make(
    columns.map(({ labels }) => labels),
    (n, value) => misfit(columns[n] as Column, value),
    grow,
  );
}

type Factory = (
  labels: readonly (Labels | undefined)[],
  misfit: (n: number, value: unknown) => never,
  grow: () => void,
) => RowCode;

/** By their code: stores of one schema share what V8 learns of it. */
const factories = new Map<string, Factory>();
const mostFactories = 256; // programs have few schemas, but nothing keeps them from making them up

function compiled(code: string): Factory {
  const known = factories.get(code);
  if (known !== undefined) return known;
  const factory = new Function("labels", "misfit", "grow", code) as Factory; // as it is written above
  if (factories.size < mostFactories) factories.set(code, factory);
  return factory;
}

/** The same, field by field. */
export function interpreted(columns: readonly Column[], grow: () => void): RowCode {
  let length = 0;
  let capacity = 0;
  return {
    push(row) {
      const values = columns.map(({ name }) => row[name]);
      for (const [n, column] of columns.entries()) column.check(values[n]);
      if (length === capacity) grow();
      for (const [n, column] of columns.entries()) column.store(length, values[n] as FieldValue);
      return length++;
    },
    read: (index) => Object.fromEntries(columns.map((column) => [column.name, column.read(index)])),
    bind(_arrays, room) {
      capacity = room;
    },
    length: () => length,
    setLength(other) {
      length = other;
    },
  };
}

function storeCode(type: Column["type"], n: number): string {
  if (type === "label") return `l${n}.idOf(v${n})`;
  return type === "bool" ? `v${n} ? 1 : 0` : `v${n}`;
}

function readCode(type: Column["type"], n: number): string {
  if (type === "label") return `l${n}.texts[a${n}[index]]`;
  return type === "bool" ? `a${n}[index] === 1` : `a${n}[index]`;
}
