// The columns that records are kept in: what fits into each kind, and how it is stored.
import { describe } from "@proj/concurrency/options";

/**
 * How a field is kept. Numbers: `u8` to `f64` as named. `bool`: a byte. `string`: as it is. `label`: a string of few
 * distinct ones, kept once, with 4 bytes a row.
 */
export type FieldType = "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "f32" | "f64" | "bool" | "string" | "label";

/** An array of numbers of one kind. */
export type NumericColumn =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;

/** What a field can be. */
export type FieldValue = number | boolean | string;

/** One kind of column. */
export interface FieldKind {
  readonly make: (capacity: number) => NumericColumn | string[];
  /** What a value has to be, for messages. */
  readonly expected: string;
  readonly fits: (value: unknown) => boolean;
  /** The same as code, of a value named `v`. */
  readonly fitsCode: string;
}

const integer = (
  make: (capacity: number) => NumericColumn,
  expected: string,
  fits: (v: number) => boolean,
  same: string,
): FieldKind => ({
  make,
  expected: `an integer from ${expected}`,
  fits: (value) => typeof value === "number" && fits(value),
  fitsCode: `typeof v === "number" && ${same} === v`,
});

const isNumber = (value: unknown): boolean => typeof value === "number";
const isString = (value: unknown): boolean => typeof value === "string";

/** All kinds. An integer fits if it is the same after it was cut to its bits. */
export const fieldKinds: Readonly<Record<FieldType, FieldKind>> = {
  u8: integer(
    (n) => new Uint8Array(n),
    "0 to 255",
    (v) => (v & 255) === v,
    "(v & 255)",
  ),
  i8: integer(
    (n) => new Int8Array(n),
    "-128 to 127",
    (v) => (v << 24) >> 24 === v,
    "(v << 24 >> 24)",
  ),
  u16: integer(
    (n) => new Uint16Array(n),
    "0 to 65535",
    (v) => (v & 65_535) === v,
    "(v & 65535)",
  ),
  i16: integer(
    (n) => new Int16Array(n),
    "-32768 to 32767",
    (v) => (v << 16) >> 16 === v,
    "(v << 16 >> 16)",
  ),
  u32: integer(
    (n) => new Uint32Array(n),
    "0 to 4294967295",
    (v) => v >>> 0 === v,
    "(v >>> 0)",
  ),
  i32: integer(
    (n) => new Int32Array(n),
    "-2147483648 to 2147483647",
    (v) => (v | 0) === v,
    "(v | 0)",
  ),
  f32: { make: (n) => new Float32Array(n), expected: "a number", fits: isNumber, fitsCode: 'typeof v === "number"' },
  f64: { make: (n) => new Float64Array(n), expected: "a number", fits: isNumber, fitsCode: 'typeof v === "number"' },
  bool: {
    make: (n) => new Uint8Array(n),
    expected: "a boolean",
    fits: (value) => typeof value === "boolean",
    fitsCode: 'typeof v === "boolean"',
  },
  label: { make: (n) => new Uint32Array(n), expected: "a string", fits: isString, fitsCode: 'typeof v === "string"' },
  string: { make: () => [], expected: "a string", fits: isString, fitsCode: 'typeof v === "string"' },
};

/** One field of all rows. */
export class Column {
  readonly name: string;
  readonly type: FieldType;
  readonly kind: FieldKind;
  /** Of labels alone. */
  readonly labels: Labels | undefined;
  values: NumericColumn | string[];

  constructor(name: string, type: FieldType, capacity: number) {
    this.name = name;
    this.type = type;
    this.kind = fieldKinds[type];
    this.labels = type === "label" ? new Labels() : undefined;
    this.values = this.kind.make(capacity);
  }

  get bytes(): number {
    return Array.isArray(this.values) ? 0 : this.values.byteLength;
  }

  /** @throws TypeError or RangeError for a value that does not fit */
  check(value: unknown): void {
    if (!this.kind.fits(value)) misfit(this, value);
  }

  /** Stores a value that fits. */
  store(index: number, value: FieldValue): void {
    if (this.labels !== undefined) this.values[index] = this.labels.idOf(value as string);
    else this.values[index] = typeof value === "boolean" ? Number(value) : value;
  }

  read(index: number): FieldValue {
    const value = this.values[index] as number | string; // the row is there
    if (this.type === "bool") return value === 1;
    return this.labels === undefined ? value : (this.labels.texts[value as number] as string);
  }

  /** Moves the value of one row to another one. */
  move(from: number, to: number): void {
    this.values[to] = this.values[from] as number & string; // of one column
  }

  /** The values of so many rows, without a copy. */
  view(length: number): readonly string[] | NumericColumn {
    if (!Array.isArray(this.values)) return this.values.subarray(0, length);
    this.values.length = length;
    return this.values;
  }

  /** Makes room for so many rows. Where the system can make the memory larger in its place, nothing is copied. */
  resize(capacity: number): void {
    const { values } = this;
    if (Array.isArray(values)) return;
    const memory = (values.buffer as ArrayBuffer).transfer(capacity * values.BYTES_PER_ELEMENT); // it is ours alone
    this.values = new (values.constructor as new (memory: ArrayBuffer) => NumericColumn)(memory); // of the same kind
  }

  /** Lets go of the strings of rows that are no more. */
  truncate(length: number): void {
    if (Array.isArray(this.values)) this.values.length = length;
    if (length === 0) this.labels?.clear();
  }
}

/** Few texts, each with a number. */
export class Labels {
  readonly texts: string[] = [];
  readonly #ids = new Map<string, number>();
  readonly #recent: number[] = new Array(64).fill(0); // ids that were found where a text would be: no hash is needed

  idOf(text: string): number {
    const last = text.length - 1;
    const slot = last < 1 ? last + 1 : (text.charCodeAt(last) ^ (text.charCodeAt(last - 1) << 3) ^ (last << 1)) & 63;
    const recent = this.#recent[slot] as number; // in bounds
    if (this.texts[recent] === text) return recent;
    const id = this.#ids.get(text) ?? this.#add(text);
    this.#recent[slot] = id;
    return id;
  }

  find(text: string): number | undefined {
    return this.#ids.get(text);
  }

  clear(): void {
    this.texts.length = 0;
    this.#ids.clear();
  }

  #add(text: string): number {
    const id = this.texts.push(text) - 1;
    this.#ids.set(text, id);
    return id;
  }
}

/** Throws for a value that does not fit. */
export function misfit({ name, kind }: Column, value: unknown): never {
  const message = `Cannot store a record: ${name} must be ${kind.expected}, got ${describe(value)}`;
  throw typeof value === "number" ? new RangeError(message) : new TypeError(message);
}
