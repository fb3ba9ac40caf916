// What one client may take from the HTTP/3 server, with defaults, and the budgets of the whole process.
import { ByteBudget } from "./h3-budget.ts";

/** Limits of the HTTP/3 side of a server. Times are milliseconds, sizes bytes. */
export interface Http3Limits {
  /** One header section, counted as RFC 9114 does: name, value and 32 for each field. More is answered with 431. Default 64 KiB. */
  readonly maxHeaderSize?: number;
  /** Fields of one header section. More are answered with 431. Default 200. */
  readonly maxHeaderCount?: number;
  /** One request body. More is answered with 413. Default 64 MiB. */
  readonly maxBodySize?: number;
  /** Unread bytes of one request body kept in memory before a temporary file takes the rest. Default 1 MiB. */
  readonly maxBufferedBody?: number;
  /** A new connection must have sent one complete request head after this time. Default 10 s. */
  readonly requestTimeout?: number;
  /** An upload that stands still for this long is answered with 408. Default 30 s. */
  readonly bodyTimeout?: number;
  /** A client that takes nothing of its answer for this long loses it. Default 30 s. */
  readonly sendTimeout?: number;
  /** A connection without a request is closed after this time. Default 60 s. */
  readonly keepAliveTimeout?: number;
  /** A connection without a single packet is lost after this time. Default 15 s. */
  readonly idleTimeout?: number;
  /** Connections at once. Default: what an eighth of the memory now available holds, at most 10,000. */
  readonly maxConnections?: number;
}

/** About what an idle connection costs. */
const CONNECTION_MEMORY = 64 * 1024;

/** Requests that one connection may have open at once; each may make the engine hold a header section of megabytes. */
export const MAX_STREAMS = 100;

/** Resets that a connection may cause at once, and per second after that, before it counts as an attack. */
export const RESET_BURST = 100;
export const RESETS_PER_SECOND = 20;

/** How long an upload may go on after its answer is complete, in milliseconds: time for the client to read the answer. */
export const LINGER = 2_000;

/** Unread request bytes in memory, of one connection and of all. */
export const CONNECTION_BUFFER = 4 * 1024 * 1024;
const processMemory = new ByteBudget(64 * 1024 * 1024);

/** Unread request bytes on disk, of one connection and of all. */
export const CONNECTION_SPILL = 512 * 1024 * 1024;
const processDisk = new ByteBudget(2 * 1024 * 1024 * 1024);

export const processBudgets: { readonly memory: ByteBudget; readonly disk: ByteBudget } = {
  memory: processMemory,
  disk: processDisk,
};

/** Fills in the defaults; throws for a value that is no number of its kind. */
export function resolveLimits(limits: Http3Limits): Required<Http3Limits> {
  const resolved = {
    maxHeaderSize: limits.maxHeaderSize ?? 64 * 1024,
    maxHeaderCount: limits.maxHeaderCount ?? 200,
    maxBodySize: limits.maxBodySize ?? 64 * 1024 * 1024,
    maxBufferedBody: limits.maxBufferedBody ?? 1024 * 1024,
    requestTimeout: limits.requestTimeout ?? 10_000,
    bodyTimeout: limits.bodyTimeout ?? 30_000,
    sendTimeout: limits.sendTimeout ?? 30_000,
    keepAliveTimeout: limits.keepAliveTimeout ?? 60_000,
    idleTimeout: limits.idleTimeout ?? 15_000,
    maxConnections:
      limits.maxConnections ?? Math.min(10_000, Math.floor(process.availableMemory() / 8 / CONNECTION_MEMORY)),
  };
  for (const [name, value] of Object.entries(resolved)) {
    if (typeof value !== "number") {
      throw new TypeError(`Cannot listen for HTTP/3: ${name} must be a number, got ${typeof value}`);
    }
    if (!(value >= 0)) throw new RangeError(`Cannot listen for HTTP/3: ${name} must be 0 or more, got ${value}`);
  }
  return resolved;
}
