// A light `Headers` over a flat header list: what most requests and answers read and write, without the platform's cost.
import { inspect } from "node:util";

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const badValue = /[\0\r\n]|[^\0-\xff]/;
const outerSpace = /^[\t\n\r ]+|[\t\n\r ]+$/g;

/**
 * The same as the platform's `Headers` (it passes `instanceof Headers`), kept as `[name, value, name, value]` in lower
 * case. A list that was given is copied before the first change.
 */
export class ListHeaders {
  #list: readonly string[];
  #own: boolean;

  /** `own` tells that nobody else holds the list, so it may be changed in place. */
  constructor(list: readonly string[], own = false) {
    this.#list = list;
    this.#own = own;
  }

  /** The flat list; not to be changed. */
  static listOf(headers: ListHeaders): readonly string[] {
    return headers.#list;
  }

  static is(value: unknown): value is ListHeaders {
    return typeof value === "object" && value !== null && #list in value;
  }

  get(name: string): string | null {
    const wanted = toName("get", name);
    const list = this.#list;
    let found: string | null = null;
    for (let i = 0; i < list.length; i += 2) {
      if (list[i] !== wanted) continue;
      const value = list[i + 1] as string; // a name is always followed by its value
      found = found === null ? value : found + separator(wanted) + value;
    }
    return found;
  }

  has(name: string): boolean {
    const wanted = toName("has", name);
    const list = this.#list;
    for (let i = 0; i < list.length; i += 2) if (list[i] === wanted) return true;
    return false;
  }

  getSetCookie(): string[] {
    return this.#list.filter((_, i, list) => i % 2 === 1 && list[i - 1] === "set-cookie");
  }

  append(name: string, value: string): void {
    const field = toName("append", name);
    this.#writable().push(field, toValue("append", value));
  }

  set(name: string, value: string): void {
    const field = toName("set", name);
    const text = toValue("set", value);
    const list = this.#writable();
    const first = list.findIndex((item, i) => i % 2 === 0 && item === field);
    if (first === -1) {
      list.push(field, text);
      return;
    }
    list[first + 1] = text;
    this.#remove(field, first + 2);
  }

  delete(name: string): void {
    const field = toName("delete", name);
    if (this.has(field)) this.#remove(field, 0);
  }

  /** Sorted by name; values of one name are joined, cookies to be set are not. */
  *entries(): HeadersIterator<[string, string]> {
    // Looked at afresh at each step, like the platform's: a change during iteration shows.
    for (let i = 0; ; i++) {
      const entry = this.#sorted()[i];
      if (entry === undefined) return;
      yield entry;
    }
  }

  *keys(): HeadersIterator<string> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): HeadersIterator<string> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): HeadersIterator<[string, string]> {
    return this.entries();
  }

  forEach(callback: (value: string, name: string, headers: Headers) => void, thisArg?: unknown): void {
    for (const [name, value] of this.entries()) callback.call(thisArg, value, name, asHeaders(this));
  }

  [inspect.custom](): unknown {
    return new Headers([...this.entries()]);
  }

  #sorted(): [string, string][] {
    const joined = new Map<string, string>();
    const entries: [string, string][] = [];
    const list = this.#list;
    for (let i = 0; i < list.length; i += 2) {
      const name = list[i] as string; // the list has pairs only
      if (name === "set-cookie") entries.push([name, list[i + 1] as string]);
      else if (!joined.has(name)) joined.set(name, this.get(name) as string); // it is there: the list has it
    }
    return [...joined, ...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  }

  #writable(): string[] {
    if (!this.#own) {
      this.#list = [...this.#list];
      this.#own = true;
    }
    return this.#list as string[]; // owned now
  }

  #remove(name: string, from: number): void {
    this.#list = this.#list.filter((_, i, list) => i < from || list[i - (i % 2)] !== name);
    this.#own = true;
  }
}

// `instanceof Headers` holds, and what this class leaves out is found on the platform's prototype.
Object.setPrototypeOf(ListHeaders.prototype, Headers.prototype);

type HeadersIterator<T> = Generator<T, undefined>;

/** The same object as the type that handlers know; its prototype chain makes that true at run time too. */
export function asHeaders(headers: ListHeaders): Headers {
  return headers as unknown as Headers;
}

/** Everything that `new Headers()` takes, as a flat list with lower-case names; checked like there. */
export function toHeaderList(init: unknown): string[] {
  if (init === undefined || init === null) return [];
  if (ListHeaders.is(init)) return [...ListHeaders.listOf(init)];
  const list: string[] = [];
  const add = (name: unknown, value: unknown): void => {
    list.push(toName("append", name), toValue("append", value));
  };
  if (typeof init === "object" && Symbol.iterator in init) {
    for (const pair of init as Iterable<Iterable<unknown>>) {
      const [name, value, ...rest] = pair;
      if (value === undefined || rest.length > 0) {
        throw new TypeError(`Cannot make headers: each entry must be a pair of name and value, got ${inspect(pair)}`);
      }
      add(name, value);
    }
    return list;
  }
  if (typeof init !== "object") {
    throw new TypeError(`Cannot make headers: expected an object or pairs, got ${inspect(init)}`);
  }
  for (const [name, value] of Object.entries(init)) add(name, value);
  return list;
}

/** The values of one field of a flat list, or undefined. */
export function valueIn(list: readonly string[], name: string): string | undefined {
  for (let i = 0; i < list.length; i += 2) if (list[i] === name) return list[i + 1];
  return undefined;
}

function toName(verb: string, name: unknown): string {
  const text = String(name);
  if (!token.test(text)) throw new TypeError(`Cannot ${verb} a header: ${JSON.stringify(text)} is not a field name`);
  return text.toLowerCase();
}

function toValue(verb: string, value: unknown): string {
  const text = String(value).replace(outerSpace, "");
  if (badValue.test(text)) {
    throw new TypeError(`Cannot ${verb} a header: ${JSON.stringify(text)} is not a field value`);
  }
  return text;
}

function separator(name: string): string {
  return name === "cookie" ? "; " : ", ";
}
