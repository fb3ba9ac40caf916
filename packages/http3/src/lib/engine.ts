// The seam between our HTTP/3 server and client and the QUIC implementation below: numbers and flat header lists, no streams.

/** What listening needs to know. The key and the certificate chain are PEM. */
export interface EngineListenOptions {
  readonly port: number;
  readonly host: string;
  readonly key: Buffer;
  readonly cert: Buffer;
  /** Connections above this count are refused. */
  readonly maxConnections: number;
  /** Requests that one connection may have open at once. */
  readonly maxStreams: number;
  /** A connection without packets for so many milliseconds is lost. */
  readonly idleTimeout: number;
  /** Whether a new client must prove its address first, which costs it one round trip. */
  readonly retry: boolean;
}

/** What connecting needs to know. */
export interface EngineConnectOptions {
  /** An IP address, not a name. */
  readonly address: string;
  readonly port: number;
  /** The name that the server's certificate must carry. */
  readonly servername: string;
  /** PEM of the authority to trust; undefined trusts what the platform trusts. */
  readonly ca: Buffer | undefined;
  /** False accepts any certificate: only for a peer that proves itself by other means. */
  readonly verify: boolean;
  readonly idleTimeout: number;
}

/** A QUIC implementation with HTTP/3 on it. */
export interface Http3Engine {
  /** Name, version and driver, for people: `@currentspace/http3 0.9.0 (io_uring)`. */
  readonly name: string;
  /** Throws the system's error when the port is taken, and a `TypeError` when key or certificate cannot be used. */
  listen(options: EngineListenOptions, sink: Sink): Http3Endpoint;
  /** The handshake goes on in the background; `sink.opened` or `sink.closed` tells how it ended. */
  connect(options: EngineConnectOptions, sink: Sink): Http3ClientEndpoint;
}

/**
 * One end of the network. Connections and streams are opaque numbers; a header list is flat, `[name, value, name, value]`,
 * pseudo-headers first. A send that returns false was not taken: do it again after the next `sink.writable`.
 */
export interface Http3Link {
  readonly port: number;
  data(connection: number, stream: number, chunk: Uint8Array, fin: boolean): boolean;
  /** Stops both directions of a stream; what was sent and not yet delivered is lost. */
  reset(connection: number, stream: number, code: number): void;
  /** Sends GOAWAY, then closes; what is still in flight is lost. */
  closeConnection(connection: number, code: number, reason: string): void;
  /** Cuts what is left, frees the socket and its threads. */
  close(): Promise<void>;
}

/** The server's end: a bound socket with all its connections. */
export interface Http3Endpoint extends Http3Link {
  headers(connection: number, stream: number, list: readonly string[], fin: boolean): boolean;
  /** Headers, body and end at once. */
  respond(connection: number, stream: number, list: readonly string[], body: Uint8Array): boolean;
  /** Undefined for a connection that is gone. Waits for the engine's thread: not for every request. */
  stats(connection: number): ConnectionStats | undefined;
}

export interface ConnectionStats {
  readonly packetsOut: number;
  readonly rttMs: number;
}

/** The client's end of one connection: its connection number is always 0. */
export interface Http3ClientEndpoint extends Http3Link {
  /** Opens a stream and returns its number; undefined while the peer allows no further stream. */
  request(list: readonly string[], fin: boolean): number | undefined;
}

/** Where an engine tells what happened. Events of one stream come in order; none comes after `closed` of its connection. */
export interface Sink {
  /** The handshake is done. */
  opened(connection: number, address: string, port: number): void;
  /** A header section; the second one of a stream is its trailers. */
  headers(connection: number, stream: number, list: string[], fin: boolean): void;
  data(connection: number, stream: number, chunk: Uint8Array): void;
  /** The peer has sent everything. May follow a `fin` that said so already. */
  end(connection: number, stream: number): void;
  /** The peer, or an error of this one stream, ended it abnormally. */
  reset(connection: number, stream: number, code: number): void;
  /** The peer takes no more for now: sending on would only queue. */
  blocked(connection: number, stream: number): void;
  /** Sending may go on; `stream` -1: on every stream of the connection, `connection` -1: on every one. */
  writable(connection: number, stream: number): void;
  /** The peer takes no new streams. */
  goaway(connection: number): void;
  closed(connection: number, code: number, reason: string): void;
}

/**
 * Thrown where HTTP/3 cannot be served: no engine for this platform, an engine of another version, or a broken installation.
 *
 * @example
 * ```ts
 * import { Http3UnavailableError } from "@proj/http3";
 *
 * export function isHttp3Missing(error: unknown): boolean {
 *   return error instanceof Http3UnavailableError;
 * }
 * ```
 */
export class Http3UnavailableError extends Error {
  override readonly name = "Http3UnavailableError";
  readonly code = "ERR_HTTP3_UNAVAILABLE";
  /** Why, in a few words, without the words "HTTP/3 is not available". */
  readonly reason: string;

  constructor(reason: string, options?: ErrorOptions) {
    super(`Cannot serve HTTP/3: ${reason}`, options);
    this.reason = reason;
  }
}
