// The HTTP/3 side of a server: listens on UDP and turns streams into exchanges for the core.

import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { type Clock, systemClock, type Timer } from "@proj/concurrency";
import { loadCurrentspace } from "./currentspace.ts";
import type { Http3Endpoint, Http3Engine, Sink } from "./engine.ts";
import type { Dispatch } from "./exchange.ts";
import { Http3Client } from "./h3-client.ts";
import { type ConnectionHost, Http3Connection } from "./h3-connection.ts";
import type { Http3Exchange } from "./h3-exchange.ts";
import { type Http3Limits, MAX_STREAMS, resolveLimits } from "./h3-limits.ts";

export interface ListenHttp3Options extends Http3Limits {
  /** UDP port; 0 lets the system choose. */
  readonly port: number;
  /** `0.0.0.0`, `::` or a loopback address: anything else would make the engine misjudge the size of packets. */
  readonly host: string;
  /** Private key, PEM. */
  readonly key: string | Buffer;
  /** Certificate chain, PEM. */
  readonly cert: string | Buffer;
  /** Whether a new client must prove its address first, at the cost of one round trip. Default true. */
  readonly retry?: boolean;
  readonly clock?: Clock;
  /** The implementation of QUIC; default the one for this platform. */
  readonly engine?: Http3Engine;
}

export interface Http3Listener {
  /** The implementation of QUIC, for people. */
  readonly engine: string;
  readonly port: number;
  /** Requests whose answer is not complete, or not taken by the client as far as flow control tells. */
  readonly active: number;
  /** Refuses new requests with H3_REQUEST_REJECTED, so that clients repeat them elsewhere, and ends each connection that has none left. */
  drain(): void;
  /** Drains, cuts what is still running, waits a moment for finished answers to arrive, and frees the port. */
  close(): Promise<void>;
  /** Whether a real handshake and a request over loopback reach this very listener. Never rejects. */
  selfTest(): Promise<boolean>;
}

/**
 * Listens for HTTP/3 and hands each well-formed request to `dispatch`; malformed ones are reset, those over a limit get
 * their 4xx here. Informational answers (1xx) and client certificates are not to be had with this engine, and a client
 * that gives up after its whole request was sent is noticed only when more of the answer is written, or when its
 * connection ends.
 *
 * Throws `Http3UnavailableError` where there is no engine, `TypeError` or `RangeError` for options that
 * cannot be, and the system's error (`EADDRINUSE`) where the port is taken.
 */
export async function listenHttp3(options: ListenHttp3Options, dispatch: Dispatch): Promise<Http3Listener> {
  const limits = resolveLimits(options);
  const host = await resolveHost(options.host);
  const engine = options.engine ?? loadCurrentspace();
  return new Http3Server(engine, { ...options, host }, limits, dispatch);
}

/** How often idle connections and streams are looked at, in milliseconds. */
const SWEEP = 1_000;

/** How long `close()` waits for clients to have received finished answers. */
const CLOSE_TIMEOUT = 2_000;

const SELF_TEST_TIMEOUT = 3_000;

class Http3Server implements Http3Listener, ConnectionHost {
  readonly clock: Clock;
  readonly limits: Required<Http3Limits>;
  readonly #engine: Http3Engine;
  readonly #endpoint: Http3Endpoint;
  readonly #dispatch: Dispatch;
  readonly #host: string;
  readonly #connections = new Map<number, Http3Connection>();
  #sweeper: Timer | undefined;
  #active = 0;
  #draining = false;
  #closing: Promise<void> | undefined;
  #onEmpty: (() => void) | undefined;
  #probe: string | undefined;
  #date = "";
  #dateUntil = 0;

  constructor(engine: Http3Engine, options: ListenHttp3Options, limits: Required<Http3Limits>, dispatch: Dispatch) {
    this.clock = options.clock ?? systemClock;
    this.limits = limits;
    this.#engine = engine;
    this.#dispatch = dispatch;
    this.#host = options.host;
    const { port, host, key, cert, retry = true } = options;
    this.#endpoint = engine.listen(
      {
        port,
        host,
        key: Buffer.from(key),
        cert: Buffer.from(cert),
        maxConnections: limits.maxConnections,
        maxStreams: MAX_STREAMS,
        idleTimeout: limits.idleTimeout,
        retry,
      },
      this.#sink(),
    );
  }

  get engine(): string {
    return this.#engine.name;
  }

  get port(): number {
    return this.#endpoint.port;
  }

  get active(): number {
    return this.#active;
  }

  get draining(): boolean {
    return this.#draining;
  }

  dispatch(exchange: Http3Exchange): void {
    if (exchange.target === this.#probe) exchange.respond(204, []);
    else this.#dispatch(exchange);
  }

  date(): string {
    const now = this.clock.now();
    if (now >= this.#dateUntil) {
      const wall = this.clock.wall();
      this.#date = new Date(wall).toUTCString();
      this.#dateUntil = now + 1000 - (wall % 1000);
    }
    return this.#date;
  }

  count(change: 1 | -1): void {
    this.#active += change;
  }

  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    for (const connection of this.#connections.values()) connection.retire();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async selfTest(): Promise<boolean> {
    // Only this process knows the path, so the answer cannot come from another server behind the same port.
    const path = `/.well-known/h3-self-test/${randomBytes(16).toString("hex")}`;
    this.#probe = path;
    const client = new Http3Client({
      engine: this.#engine,
      address: loopbackOf(this.#host),
      port: this.port,
      servername: "localhost",
      verify: false, // the path proves more than a certificate would, and works with any certificate
      clock: this.clock,
    });
    try {
      const response = await client.request({ path, timeout: SELF_TEST_TIMEOUT });
      return response.status === 204;
    } catch {
      return false;
    } finally {
      if (this.#probe === path) this.#probe = undefined;
      await client.close();
    }
  }

  async #close(): Promise<void> {
    this.drain();
    const cause = new Error("The server closes");
    for (const connection of this.#connections.values()) connection.stop(cause);
    if (this.#connections.size > 0) await this.#empty();
    this.#sweeper?.clear();
    await this.#endpoint.close();
    for (const connection of this.#connections.values()) connection.lost("the server closed");
    this.#connections.clear();
  }

  #empty(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.clock.setTimeout(resolve, CLOSE_TIMEOUT);
      this.#onEmpty = () => {
        timer.clear();
        resolve();
      };
    });
  }

  #sink(): Sink {
    return {
      opened: (id, address, port) => {
        const connection = new Http3Connection(id, this.#endpoint, address, port, this);
        this.#connections.set(id, connection);
        this.#sweeper ??= this.clock.setTimeout(() => this.#sweep(), SWEEP);
        if (this.#draining) connection.retire();
      },
      headers: (id, stream, list, fin) => this.#connections.get(id)?.receiveHeaders(stream, list, fin),
      data: (id, stream, chunk) => this.#connections.get(id)?.receiveData(stream, chunk),
      end: (id, stream) => this.#connections.get(id)?.receiveEnd(stream),
      reset: (id, stream) => this.#connections.get(id)?.receiveReset(stream),
      blocked: (id, stream) => this.#connections.get(id)?.block(stream),
      writable: (id, stream) => {
        if (id >= 0) this.#connections.get(id)?.unblock(stream);
        else for (const connection of this.#connections.values()) connection.unblock(-1);
      },
      goaway: () => {}, // a client that takes no pushes: we send none
      closed: (id, _code, reason) => {
        const connection = this.#connections.get(id);
        this.#connections.delete(id);
        connection?.lost(reason);
        if (this.#connections.size === 0) this.#onEmpty?.();
      },
    };
  }

  #sweep(): void {
    this.#sweeper = undefined;
    const now = this.clock.now();
    for (const connection of this.#connections.values()) connection.sweep(now);
    if (this.#connections.size > 0) this.#sweeper = this.clock.setTimeout(() => this.#sweep(), SWEEP);
  }
}

async function resolveHost(host: string): Promise<string> {
  const address = isIP(host) === 0 ? (await lookup(host)).address : host;
  if (address === "0.0.0.0" || address === "::" || address === "::1" || address.startsWith("127.")) return address;
  throw new TypeError(
    `Cannot listen for HTTP/3 on ${host}: UDP can only be bound to all addresses (0.0.0.0 or ::) or to loopback`,
  );
}

function loopbackOf(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}
