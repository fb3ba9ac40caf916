// The time a caller has left, in the headers of a request.
import type { DeriveOptions } from "./derive.ts";

/** Anything with `get`, such as `Headers` or a `Map`, or a record with lower-case names as Node gives it. */
export type HeaderSource =
  | { get(name: string): string | null | undefined }
  | { readonly [name: string]: string | readonly string[] | number | undefined };

/** Anything with `get` and `set`, such as `Headers` or a `Map`, or a record with lower-case names. */
export type HeaderTarget =
  | { get(name: string): string | null | undefined; set(name: string, value: string): unknown }
  | { [name: string]: string | string[] | number | undefined };

/** As for {@link DeriveOptions}; `timeout` is the most that a caller can ask for. */
export interface ExtractOptions extends DeriveOptions {
  /** Milliseconds kept back for the way of the answer. Default: 0. */
  readonly allowance?: number | undefined;
}

const deadlineHeader = "x-deadline-ms";

/** How to read each header; the result is NaN for anything else than its grammar allows. */
const readers: readonly (readonly [name: string, read: (text: string) => number])[] = [
  [deadlineHeader, (text) => (/^\d{1,15}$/.test(text) ? Number(text) : Number.NaN)],
  ["grpc-timeout", readGrpcTimeout], // gRPC over HTTP/2: TimeoutValue TimeoutUnit
  ["connect-timeout-ms", (text) => (/^\d{1,10}$/.test(text) ? Number(text) : Number.NaN)],
  ["x-envoy-expected-rq-timeout-ms", (text) => (/^\d{1,15}$/.test(text) ? Number(text) : Number.NaN)],
];

const grpcUnits: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

function readGrpcTimeout(text: string): number {
  const [, value, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? [];
  return Number(value) * (grpcUnits[unit] ?? Number.NaN);
}

/** The shortest time in the headers, in milliseconds; Infinity when none can be read. */
export function extractTimeout(headers: HeaderSource): number {
  let shortest = Number.POSITIVE_INFINITY;
  for (const [name, read] of readers) {
    for (const text of valuesOf(headers, name)) {
      const timeout = read(text);
      if (timeout < shortest) shortest = timeout; // false for NaN
    }
  }
  return shortest;
}

/** Writes the time left, in whole milliseconds, unless less is there already. */
export function injectTimeout(remaining: number, headers: HeaderTarget): void {
  if (remaining === Number.POSITIVE_INFINITY) return;
  const present = valuesOf(headers, deadlineHeader).map(readers[0]?.[1] ?? Number);
  const text = String(Math.floor(Math.min(remaining, ...present.filter((time) => !Number.isNaN(time)))));
  if (isCollection(headers)) headers.set(deadlineHeader, text);
  else headers[deadlineHeader] = text;
}

/** All values of one header: repeated headers arrive as a list, or joined by commas. */
function valuesOf(headers: HeaderSource, name: string): string[] {
  const value: unknown = isCollection(headers) ? headers.get(name) : headers[name];
  if (value === undefined || value === null) return [];
  if (typeof value === "string" && !value.includes(",")) return [value.trim()];
  return String(value)
    .split(",")
    .map((text) => text.trim());
}

function isCollection<T extends HeaderSource>(headers: T): headers is Extract<T, { get(name: string): unknown }> {
  return typeof headers["get" as keyof T] === "function";
}
