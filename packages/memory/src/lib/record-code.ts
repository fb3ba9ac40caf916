// Writes and reads rows of one schema: with code made for it where that is allowed, else field by field.
import { type Column, type FieldValue, type Labels, misfit } from "./record-columns.ts";

/** A row as an object. */
export type Row = Readonly<Record<string, FieldValue>>;

/** How rows of one schema are written and read. */
export interface RowCode {
  /** To be called whenever columns have other arrays. */
  bind(arrays: readonly Column["values"][]): void;
  /** @throws TypeError or RangeError for a field that does not fit; then nothing was written */
  write(index: number, row: Row): void;
  read(index: number): Row;
}

/**
 * Code with the names and kinds of the fields in it is 3 to 4 times as fast as a loop over them: V8 looks up each
 * property by a name that it knows. Without leave to make code from text (`--disallow-code-generation-from-strings`) it
 * is the loop.
 */
export function rowCode(columns: readonly Column[]): RowCode {
  try {
    return generated(columns);
  } catch (error) {
    if (error instanceof EvalError) return interpreted(columns);
    throw error;
  }
}

/** Names come from the schema, as JSON, so that they are nothing but names. @throws EvalError where it is not allowed */
export function generated(columns: readonly Column[]): RowCode {
  const each = (code: (column: Column, index: number) => string, separator = "\n"): string =>
    columns.map(code).join(separator);
  const name = (column: Column): string => JSON.stringify(column.name);
  const make = new Function(
    "labels",
    "misfit",
    `"use strict";
    ${each((_, n) => `let a${n}; const l${n} = labels[${n}];`)}
    return {
      bind(arrays) { ${each((_, n) => `a${n} = arrays[${n}];`)} },
      write(index, row) {
        ${each((column, n) => `const v${n} = row[${name(column)}];`)}
        ${each(({ kind }, n) => `if (!(${kind.fitsCode.replace(/\bv\b/g, `v${n}`)})) misfit(${n}, v${n});`)}
        ${each(({ type }, n) => `a${n}[index] = ${storeCode(type, n)};`)}
      },
      read(index) { return { ${each((column, n) => `${name(column)}: ${readCode(column.type, n)}`, ", ")} }; },
    };`,
  ) as (labels: (Labels | undefined)[], refuse: (n: number, value: unknown) => never) => RowCode; // as written above
  return make(
    columns.map(({ labels }) => labels),
    (n, value) => misfit(columns[n] as Column, value),
  );
}

/** The same, field by field. */
export function interpreted(columns: readonly Column[]): RowCode {
  return {
    bind: () => {},
    write(index, row) {
      for (const column of columns) column.check(row[column.name]);
      for (const column of columns) column.store(index, row[column.name] as FieldValue);
    },
    read: (index) => Object.fromEntries(columns.map((column) => [column.name, column.read(index)])),
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
