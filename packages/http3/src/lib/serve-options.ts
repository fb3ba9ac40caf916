// How a server is set up: the options of serve(), checked and with their defaults.
import { createSecureContext } from "node:tls";
import { inspect } from "node:util";
import { type Clock, systemClock } from "@proj/concurrency";
import type { Protocol } from "./exchange.ts";
import { type Limits, resolveLimits } from "./limits.ts";
import type { ServerEvent } from "./server-event.ts";

/** The key and certificate of a server. */
export interface TlsOptions {
  /** Private key, PEM. */
  readonly key: string | Buffer;
  /** Certificate and the chain below its root, PEM. */
  readonly cert: string | Buffer;
  /** Authorities whose client certificates are accepted, PEM. Only with `requestCert`. */
  readonly ca?: string | Buffer;
  /** Asks for a client certificate and refuses clients without one. Not possible over HTTP/3. Default false. */
  readonly requestCert?: boolean;
}

/** Options of {@link serve}. */
export interface ServeOptions {
  /** TCP and UDP port; 0 picks a free one. Default 8443, or 8080 without TLS. */
  readonly port?: number;
  /**
   * Address or name to listen on. Default `::`, all addresses of IPv6 and IPv4 (`0.0.0.0` where there is no IPv6).
   * HTTP/3 can be had on all addresses or on a loopback address only.
   */
  readonly host?: string;
  /** A key and certificate, a certificate made for development on this machine, or none. Default `"development"`. */
  readonly tls?: TlsOptions | "development" | false;
  /** Default: all three; `["http/1.1"]` without TLS, the one protocol there is then. */
  readonly protocols?: readonly Protocol[];
  /** What one client may take. Default: see {@link Limits}. */
  readonly limits?: Limits;
  /** How long `close()` waits for requests that are not finished, in milliseconds. Default 10,000. */
  readonly drainTimeout?: number;
  /** How long `close()` leaves idle HTTP/1.1 connections open for a request under way, in milliseconds. Default 250. */
  readonly drainGrace?: number;
  /** Default: the system's clock. Time limits of whole connections stay with the system. */
  readonly clock?: Clock;
  /**
   * Told what happens in the server, as it happens; the diagnostics channel `@proj/http3` gets the same. Without it,
   * failures of handlers and a missing HTTP/3 are process warnings. The server logs nothing by itself.
   */
  readonly onEvent?: (event: ServerEvent) => void;
}

/** The options with their defaults. */
export interface ResolvedOptions {
  readonly port: number;
  readonly host: string | undefined;
  readonly tls: TlsOptions | "development" | undefined;
  readonly protocols: readonly Protocol[];
  readonly limits: Required<Limits>;
  readonly drainTimeout: number;
  readonly drainGrace: number;
  readonly clock: Clock;
  readonly onEvent: ((event: ServerEvent) => void) | undefined;
}

const all: readonly Protocol[] = ["http/1.1", "h2", "h3"];

/** Checks the options; throws a `TypeError` or `RangeError` that names the one that is wrong. */
export function resolveOptions(options: ServeOptions): ResolvedOptions {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot serve: options must be an object, got ${inspect(options)}`);
  }
  const { host, tls = "development", clock = systemClock, onEvent } = options;
  const { drainTimeout = 10_000, drainGrace = 250, limits = {} } = options;
  const { port = tls === false ? 8080 : 8443, protocols = tls === false ? ["http/1.1"] : all } = options;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`Cannot serve: port must be an integer from 0 to 65535, got ${inspect(port)}`);
  }
  if (host !== undefined && (typeof host !== "string" || host === "")) {
    throw new TypeError(`Cannot serve: host must be an address or a name, got ${JSON.stringify(host)}`);
  }
  for (const [name, value] of Object.entries({ drainTimeout, drainGrace })) {
    if (typeof value !== "number" || !(value >= 0)) {
      throw new RangeError(`Cannot serve: ${name} must be 0 or more milliseconds, got ${value}`);
    }
  }
  if (onEvent !== undefined && typeof onEvent !== "function") {
    throw new TypeError(`Cannot serve: onEvent must be a function, got ${typeof onEvent}`);
  }
  if (typeof limits !== "object" || limits === null) {
    throw new TypeError(`Cannot serve: limits must be an object, got ${inspect(limits)}`);
  }
  if (typeof clock?.now !== "function" || typeof clock.setTimeout !== "function") {
    throw new TypeError(`Cannot serve: clock must be a Clock, got ${inspect(clock)}`);
  }
  checkTls(tls);
  checkProtocols(protocols, tls);
  if (typeof tls === "object") checkPem(tls);
  return {
    port,
    host,
    tls: tls === false ? undefined : tls,
    protocols: all.filter((protocol) => protocols.includes(protocol)),
    limits: resolveLimits(limits),
    drainTimeout,
    drainGrace,
    clock,
    onEvent,
  };
}

function checkTls(tls: unknown): void {
  if (tls === false || tls === "development") return;
  const { key, cert, ca } = (typeof tls === "object" && tls !== null ? tls : {}) as Partial<TlsOptions>; // checked here
  for (const [name, value] of Object.entries({ key, cert, ca: ca ?? "" })) {
    if (typeof value === "string" || Buffer.isBuffer(value)) continue;
    throw new TypeError(
      `Cannot serve: tls must be { key, cert } in PEM, "development" or false, got ${name} as ${typeof value}`,
    );
  }
}

/** Whether they are PEM and belong together: told now, and not at the first handshake. */
function checkPem({ key, cert, ca }: TlsOptions): void {
  try {
    createSecureContext({ key, cert, ...(ca === undefined ? {} : { ca }) });
  } catch (error) {
    const reason = (error as Error).message; // what the platform throws
    throw new TypeError(`Cannot serve: the key and certificates of tls cannot be used: ${reason}`, { cause: error });
  }
}

function checkProtocols(protocols: readonly Protocol[], tls: ServeOptions["tls"]): void {
  if (!Array.isArray(protocols) || protocols.length === 0 || protocols.some((name) => !all.includes(name))) {
    throw new TypeError(`Cannot serve: protocols must be some of ${all.join(", ")}, got ${JSON.stringify(protocols)}`);
  }
  if (tls === false && protocols.some((name) => name !== "http/1.1")) {
    throw new TypeError(`Cannot serve: ${protocols.join(", ")} without TLS; only http/1.1 works with tls: false`);
  }
  if (typeof tls === "object" && tls.requestCert && protocols.includes("h3")) {
    throw new TypeError(
      'Cannot serve: HTTP/3 cannot ask for client certificates; leave "h3" out of protocols to use tls.requestCert',
    );
  }
}
