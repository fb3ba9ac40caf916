// The headers of a request, in any of the forms that undici takes: a record, a flat list, or an iterable of pairs.
import type { Dispatcher } from "undici";

/** As undici takes them. */
export type RequestHeaders = Dispatcher.DispatchOptions["headers"];

/** The value of a header, by its lower-case name; of several, all of them, joined by commas. */
export function headerOf(headers: RequestHeaders, name: string): string | undefined {
  const values = pairsOf(headers)
    .filter(([key]) => key.toLowerCase() === name)
    .flatMap(([, value]) => value);
  return values.length === 0 ? undefined : values.join(", ");
}

/** The same headers, but for those that are given by their lower-case names; a flat list, as undici takes it. */
export function withHeaders(headers: RequestHeaders, added: Readonly<Record<string, string>>): string[] {
  const names = Object.keys(added);
  const kept = pairsOf(headers).filter(([name]) => !names.includes(name.toLowerCase()));
  return [...kept, ...Object.entries(added)].flat() as string[]; // a value may be a list, which the types leave out
}

function pairsOf(headers: RequestHeaders): [name: string, value: string | string[]][] {
  if (headers === null || headers === undefined) return [];
  const pairs: [string, string | string[]][] = [];
  const add = (name: unknown, value: unknown): void => {
    if (value !== undefined && value !== null) pairs.push([String(name), Array.isArray(value) ? value : String(value)]);
  };
  if (Array.isArray(headers)) for (let i = 0; i < headers.length; i += 2) add(headers[i], headers[i + 1]);
  else if (Symbol.iterator in headers) for (const [name, value] of headers) add(name, value);
  else for (const [name, value] of Object.entries(headers)) add(name, value);
  return pairs;
}
