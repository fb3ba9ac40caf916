// What one client may take from a server, whichever protocol it speaks.

/** Limits of a server. Times are milliseconds, sizes bytes; . */
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

/** Fills in the defaults; throws for a value that is no number of its kind. */
export function resolveLimits(limits: Limits): Required<Limits> {
  const resolved = {
    maxHeaderSize: limits.maxHeaderSize ?? 64 * 1024,
    maxHeaderCount: limits.maxHeaderCount ?? 200,
    maxBodySize: limits.maxBodySize ?? 64 * 1024 * 1024,
    requestTimeout: limits.requestTimeout ?? 10_000,
    bodyTimeout: limits.bodyTimeout ?? 30_000,
    keepAliveTimeout: limits.keepAliveTimeout ?? 65_000,
    maxStreams: limits.maxStreams ?? 100,
  };
  for (const [name, value] of Object.entries(resolved)) {
    if (typeof value !== "number") {
      throw new TypeError(`Cannot serve: limits.${name} must be a number, got ${typeof value}`);
    }
    if (!(value >= 0)) throw new RangeError(`Cannot serve: limits.${name} must be 0 or more, got ${value}`);
  }
  return resolved;
}
