// The headers of a request, in any of the forms that undici takes: a record, a flat list, or an iterable of pairs.
import type { Dispatcher } from "undici";

/** As undici takes them. */
export type RequestHeaders = Dispatcher.DispatchOptions["headers"];

/** The value of a header, by its lower-case name; of several, all of them, joined by commas. */
export function headerOf(headers: RequestHeaders, name: string): string | undefined {
  let found: string | undefined;
  forEachHeader(headers, (key, value) => {
    if (key.length !== name.length || key.toLowerCase() !== name) return;
    const text = Array.isArray(value) ? value.join(", ") : String(value);
    found = found === undefined ? text : `${found}, ${text}`;
  });
  return found;
}

/** The same headers, but for those that are given by their lower-case names; a flat list, as undici takes it. */
export function withHeaders(headers: RequestHeaders, added: Readonly<Record<string, string>>): string[] {
  const flat = Object.entries(added).flat();
  forEachHeader(headers, (name, value) => {
    if (!Object.hasOwn(added, name.toLowerCase())) flat.push(name, value as string); // or a list, which the types leave out
  });
  return flat;
}

function forEachHeader(headers: RequestHeaders, visit: (name: string, value: unknown) => void): void {
  if (headers === null || headers === undefined) return;
  const add = (name: unknown, value: unknown): void => {
    if (value !== undefined && value !== null) visit(String(name), value);
  };
  if (Array.isArray(headers)) for (let i = 0; i < headers.length; i += 2) add(headers[i], headers[i + 1]);
  else if (Symbol.iterator in headers) for (const [name, value] of headers) add(name, value);
  else for (const name of Object.keys(headers)) add(name, (headers as Readonly<Record<string, unknown>>)[name]);
}
