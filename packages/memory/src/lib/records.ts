// Rows kept as columns: a fraction of the memory of objects, and nothing for the collector to visit.
import { register } from "@proj/concurrency/inspect";
import { checkCount, checkOneOf, describe } from "@proj/concurrency/options";
import { type RowCode, rowCode } from "./record-code.ts";
import { Column, type FieldType, fieldKinds, type NumericColumn } from "./record-columns.ts";

export type { FieldType } from "./record-columns.ts";

/** The fields of a row. */
export type RecordSchema = Readonly<Record<string, FieldType>>;

/** A row as an object. */
export type RecordOf<S extends RecordSchema> = {
  [Name in keyof S]: S[Name] extends "bool" ? boolean : S[Name] extends "string" | "label" ? string : number;
};

/** The values of a field, one a row: a view that is good until rows are added or removed; it may be empty after that. */
export type ColumnOf<T extends FieldType> = T extends "string"
  ? readonly string[]
  : T extends "u8" | "bool"
    ? Uint8Array
    : T extends "label" | "u32"
      ? Uint32Array
      : NumericColumn;

/** What can be set on {@link records}. */
export interface RecordsOptions {
  /** Rows to take memory for at once. It grows by half when it is full. Default: 64. */
  readonly capacity?: number | undefined;
  /** With a name it is listed by `components()` of `@proj/concurrency/inspect`. */
  readonly name?: string | undefined;
}

/** Rows of one schema, found by their number. */
export interface RecordStore<S extends RecordSchema> {
  /** How many rows there are. */
  readonly length: number;
  /** Bytes of the columns, strings not counted. */
  readonly bytes: number;
  /** Adds a row and returns its number. @throws TypeError or RangeError for a field that does not fit; then nothing is added */
  push(row: RecordOf<S>): number;
  /** The row as a new object. @throws RangeError if there is none of this number */
  get(index: number): RecordOf<S>;
  /** One field of a row, without making an object. @throws RangeError if there is none */
  field<Name extends keyof S & string>(index: number, name: Name): RecordOf<S>[Name];
  /** Changes one field of a row. @throws TypeError or RangeError for a value that does not fit, or a row that is not there */
  set<Name extends keyof S & string>(index: number, name: Name, value: RecordOf<S>[Name]): void;
  /** All values of a field: for sums and searches. Labels are numbers, see {@link RecordStore.labelOf}. */
  column<Name extends keyof S & string>(name: Name): ColumnOf<S[Name]>;
  /** The number of a label in its column; `undefined` if no row ever had it, or none since a {@link RecordStore.clear}. */
  labelOf(name: keyof S & string, text: string): number | undefined;
  /** Removes a row by moving the last one to its place. @throws RangeError if there is none of this number */
  swapRemove(index: number): void;
  /** Removes all rows and labels, and keeps the memory. */
  clear(): void;
  /** Gives back what is taken for rows to come. */
  trim(): void;
  /** Rows as objects, one at a time. */
  [Symbol.iterator](): IterableIterator<RecordOf<S>>;
}

/**
 * Keeps rows as one typed array per field: a million rows that stay take about a quarter of the memory of objects, and a
 * quarter of the processor's time, the collector's threads included; of the main thread's, about half. For rows that soon
 * go away, objects are faster. Reading a whole row makes an object; read fields or columns in loops.
 *
 * @throws TypeError or RangeError for a schema or options that are none
 * @example
 * ```ts
 * import { records } from "@proj/memory";
 *
 * const trades = records({ price: "f64", size: "u32", symbol: "label", open: "bool" });
 * trades.push({ price: 101.5, size: 10, symbol: "ACME", open: true });
 * trades.push({ price: 99, size: 5, symbol: "ACME", open: false });
 * console.log(trades.column("size").reduce((sum, size) => sum + size, 0)); // prints: 15
 * console.log(trades.get(1)); // prints: { price: 99, size: 5, symbol: 'ACME', open: false }
 * ```
 */
export function records<const S extends RecordSchema>(schema: S, options: RecordsOptions = {}): RecordStore<S> {
  const store = new ColumnStore(schema, options);
  if (options.name !== undefined) {
    register("records", options.name, store, ({ length, bytes }) => ({ rows: length, bytes }));
  }
  return store;
}

class ColumnStore<S extends RecordSchema> implements RecordStore<S> {
  /** Of the code for this schema itself: one call less for each row. */
  readonly push: (row: RecordOf<S>) => number;
  readonly #columns: readonly Column[];
  readonly #byName: ReadonlyMap<string, Column>;
  readonly #code: RowCode;
  #capacity: number;

  constructor(schema: S, options: RecordsOptions) {
    const action = "create records";
    this.#capacity = checkCount(action, "capacity", options.capacity ?? 64, 1);
    const types = Object.keys(fieldKinds) as FieldType[]; // the only keys it has
    this.#columns = Object.entries(schema).map(([name, type]) => {
      if (name === "__proto__") throw new TypeError(`Cannot ${action}: no field can have the name __proto__`);
      return new Column(name, checkOneOf(action, name, type, types), this.#capacity);
    });
    if (this.#columns.length === 0) throw new TypeError(`Cannot ${action}: the schema has no fields`);
    this.#byName = new Map(this.#columns.map((column) => [column.name, column]));
    this.#code = rowCode(this.#columns, () => this.#resize(Math.ceil(this.#capacity * 1.5)));
    this.push = this.#code.push;
    this.#bind();
  }

  get length(): number {
    return this.#code.length();
  }

  get bytes(): number {
    return this.#columns.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get(index: number): RecordOf<S> {
    this.#checkRow(index);
    return this.#code.read(index) as RecordOf<S>; // one value of each field's type
  }

  field<Name extends keyof S & string>(index: number, name: Name): RecordOf<S>[Name] {
    this.#checkRow(index);
    return this.#column(name).read(index) as RecordOf<S>[Name]; // what a column of this type gives
  }

  set<Name extends keyof S & string>(index: number, name: Name, value: RecordOf<S>[Name]): void {
    this.#checkRow(index);
    const column = this.#column(name);
    column.check(value);
    column.store(index, value);
  }

  column<Name extends keyof S & string>(name: Name): ColumnOf<S[Name]> {
    return this.#column(name).view(this.length) as ColumnOf<S[Name]>; // what a column of this type gives
  }

  labelOf(name: keyof S & string, text: string): number | undefined {
    return this.#column(name).labels?.find(text);
  }

  swapRemove(index: number): void {
    this.#checkRow(index);
    const last = this.length - 1;
    this.#code.setLength(last);
    for (const column of this.#columns) {
      column.move(last, index);
      column.truncate(last);
    }
  }

  clear(): void {
    this.#code.setLength(0);
    for (const column of this.#columns) column.truncate(0);
  }

  trim(): void {
    if (this.#capacity > this.length) this.#resize(Math.max(1, this.length));
  }

  *[Symbol.iterator](): IterableIterator<RecordOf<S>> {
    for (let index = 0; index < this.length; index++) yield this.get(index);
  }

  #column(name: string): Column {
    const column = this.#byName.get(name);
    if (column !== undefined) return column;
    throw new TypeError(`Cannot use the field ${describe(name)}: there are ${[...this.#byName.keys()].join(", ")}`);
  }

  #checkRow(index: number): void {
    if (Number.isInteger(index) && index >= 0 && index < this.length) return;
    throw new RangeError(`Cannot use record ${describe(index)}: there are ${this.length}`);
  }

  #resize(capacity: number): void {
    for (const column of this.#columns) column.resize(capacity);
    this.#capacity = capacity;
    this.#bind();
  }

  #bind(): void {
    this.#code.bind(
      this.#columns.map(({ values }) => values),
      this.#capacity,
    );
  }
}
