// What one client may take from a server, whichever protocol it speaks.

/** Limits of a server. Times are milliseconds and may be `Infinity`; sizes are bytes. */
export interface Limits {
  /** The head of one request. More is answered 431. Default 64 KiB. */
  readonly maxHeaderSize?: number;
  /** Header fields of one request. More are answered 431. Default 200. */
  readonly maxHeaderCount?: number;
  /** The body of one request. More is answered 413, or ends the read of the handler with that answer. Default 64 MiB. */
  readonly maxBodySize?: number;
  /** A client must have sent the head of its request, and have finished the TLS handshake, after this time. Default 10 s. */
  readonly requestTimeout?: number;
  /** The longest wait for the next bytes of a body that a handler reads. Longer is answered 408. Default 30 s. */
  readonly bodyTimeout?: number;
  /** A connection without a request is closed after this time. Default 65 s: longer than load balancers keep theirs. */
  readonly keepAliveTimeout?: number;
  /** Requests at once on one HTTP/2 connection. Default 100. */
  readonly maxStreams?: number;
}

const defaults: Required<Limits> = {
  maxHeaderSize: 64 * 1024,
  maxHeaderCount: 200,
  maxBodySize: 64 * 1024 * 1024,
  requestTimeout: 10_000,
  bodyTimeout: 30_000,
  keepAliveTimeout: 65_000,
  maxStreams: 100,
};

/** Fills in the defaults; throws for a value that is no limit of its kind. */
export function resolveLimits(limits: Limits): Required<Limits> {
  const resolved: { -readonly [Name in keyof Limits]-?: number } = { ...defaults };
  for (const name of Object.keys(defaults) as (keyof Limits)[]) {
    const value = limits[name];
    if (value === undefined) continue;
    if (typeof value !== "number") {
      throw new TypeError(`Cannot serve: limits.${name} must be a number, got ${typeof value}`);
    }
    const [fits, expected] = check(name, value);
    if (!fits) throw new RangeError(`Cannot serve: limits.${name} must be ${expected}, got ${value}`);
    resolved[name] = value;
  }
  return resolved;
}

function check(name: keyof Limits, value: number): [fits: boolean, expected: string] {
  if (name === "maxBodySize") return [value >= 0, "0 or more"];
  if (name.endsWith("Timeout")) return [value > 0, "more than 0 milliseconds"];
  return [Number.isInteger(value) && value > 0 && value < 2 ** 31, "a positive integer below 2^31"];
}
