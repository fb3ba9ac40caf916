// One server for HTTP/1.1, HTTP/2 and HTTP/3: one port, one handler.
import { lookup } from "node:dns/promises";
import { isIP, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { inspect } from "node:util";
import { Context } from "@proj/concurrency";
import { type DevelopmentCertificate, developmentCertificate } from "./development-certificate.ts";
import { Core } from "./dispatch.ts";
import { Drain } from "./drain.ts";
import type { Protocol } from "./exchange.ts";
import { type Http3Listener, listenHttp3 } from "./h3-server.ts";
import type { Handler } from "./handler.ts";
import { IdleWatch } from "./idle-watch.ts";
import { type ResolvedOptions, resolveOptions, type ServeOptions } from "./serve-options.ts";
import { EventSink } from "./server-event.ts";
import { listenTcp, type TcpListener, type TlsIdentity } from "./tcp-listener.ts";

/** Options of {@link Server.close}. */
export interface CloseOptions {
  /** How long to wait for requests that are not finished, in milliseconds. Default: `drainTimeout` of the server. */
  readonly timeout?: number;
}

/** A running server. */
export interface Server extends AsyncDisposable {
  /** The one port of TCP and UDP. */
  readonly port: number;
  /** Where a client on this machine finds it: `https://localhost:8443`. */
  readonly url: string;
  /** What is really served: without `"h3"` where HTTP/3 could not be had. */
  readonly protocols: readonly Protocol[];
  /** The implementation of QUIC; undefined without HTTP/3. */
  readonly engine: string | undefined;
  /** The certificate that was made for development; undefined with one of yours or without TLS. */
  readonly certificate: DevelopmentCertificate | undefined;
  /** Requests that are not finished. */
  readonly active: number;

  /**
   * Ends the server without failing a request of a client that keeps to its protocol.
   *
   * New connections are refused from now on. HTTP/1.1 answers say `Connection: close`, and idle connections stay open for
   * `drainGrace`, in which a request that was under way is still answered; HTTP/2 clients get GOAWAY; HTTP/3 rejects new
   * requests in the way that lets clients repeat them elsewhere. Fulfils when all is finished; what is not after the
   * timeout is cancelled and cut off. Calling it again only ever shortens the time: `close({ timeout: 0 })` ends it now.
   */
  close(options?: CloseOptions): Promise<void>;
}

/**
 * Serves one handler over HTTP/1.1, HTTP/2 and HTTP/3 on one port.
 *
 * Fulfils when everything listens. HTTP/3 is offered to clients (by `Alt-Svc`) only after a handshake over UDP has come
 * through; where that fails, or this platform has no QUIC engine, the server runs without it, `protocols` says so and a
 * `http3-unavailable` event tells why. Rejects when the port cannot be had, or HTTP/3 was all that was asked for; a wrong
 * option is a `TypeError` or `RangeError`.
 *
 * @example
 * ```ts
 * import { serve } from "@proj/http3";
 *
 * await using server = await serve((request) => new Response(`You asked for ${request.url}\n`), { port: 0 });
 * console.log(server.url, server.protocols);
 * ```
 */
export async function serve(
  handler: Handler | { readonly fetch: Handler },
  options: ServeOptions = {},
): Promise<Server> {
  const resolved = resolveOptions(options);
  if (typeof handler !== "function" && typeof handler?.fetch !== "function") {
    throw new TypeError(`Cannot serve: the handler must be a function or have fetch(), got ${inspect(handler)}`);
  }
  const fetch = typeof handler === "function" ? handler : handler.fetch.bind(handler);
  const host = await resolveHost(resolved);
  const certificate = resolved.tls === "development" ? await developmentCertificate(resolved) : undefined;
  const server = new HttpServer(fetch, resolved, host, certificate);
  await server.listen();
  return server;
}

interface Listeners {
  readonly tcp: TcpListener | undefined;
  readonly h3: Http3Listener | undefined;
}

class HttpServer implements Server {
  readonly certificate: DevelopmentCertificate | undefined;
  port = 0;
  readonly #options: ResolvedOptions;
  readonly #host: string;
  readonly #events: EventSink;
  readonly #core: Core;
  #listeners: Listeners = { tcp: undefined, h3: undefined };
  #altSvc: readonly string[] = [];
  #drain: Drain | undefined;

  constructor(
    handler: Handler,
    options: ResolvedOptions,
    host: string,
    certificate: DevelopmentCertificate | undefined,
  ) {
    this.certificate = certificate;
    this.#options = options;
    this.#host = host;
    this.#events = new EventSink(options.onEvent);
    this.#core = new Core(handler, {
      clock: options.clock,
      limits: { ...options.limits, idle: new IdleWatch(options.limits.bodyTimeout, options.clock) },
      events: this.#events,
      // Not of the surroundings: whoever calls serve() may have a deadline for that, and requests come much later.
      parent: Context.detach(),
      extraHeaders: (protocol) => (protocol === "h3" ? [] : this.#altSvc),
    });
  }

  async listen(): Promise<void> {
    const { port, protocols } = this.#options;
    const wantsTcp = protocols.some((protocol) => protocol !== "h3");
    // A free TCP port may be taken on UDP. With port 0 any other will do.
    for (let attempts = port === 0 ? 5 : 1; ; attempts--) {
      const tcp = wantsTcp ? await listenTcp(this.#tcpOptions(), this.#core.dispatch) : undefined;
      try {
        const h3 = protocols.includes("h3") ? await this.#listenHttp3(tcp?.port ?? port) : undefined;
        this.#listeners = { tcp, h3 };
        this.port = (tcp ?? h3)?.port ?? port;
        if (tcp && h3) this.#altSvc = ["alt-svc", `h3=":${h3.port}"; ma=86400`];
        return;
      } catch (error) {
        if (tcp && attempts > 1 && isTaken(error)) {
          await tcp.abandon();
          continue;
        }
        if (tcp === undefined) throw error;
        this.#listeners = { tcp, h3: undefined };
        this.port = tcp.port;
        const reason = error instanceof Error ? error.message : String(error);
        this.#events.emit({ kind: "http3-unavailable", reason, error });
        return;
      }
    }
  }

  get url(): string {
    const { host = "localhost", tls } = this.#options;
    const name = isWildcard(host) ? "localhost" : isIPv6(host) ? `[${host}]` : host;
    return `${tls ? "https" : "http"}://${name}:${this.port}`;
  }

  get protocols(): readonly Protocol[] {
    return this.#options.protocols.filter((protocol) => protocol !== "h3" || this.#listeners.h3 !== undefined);
  }

  get engine(): string | undefined {
    return this.#listeners.h3?.engine;
  }

  get active(): number {
    return this.#core.active;
  }

  close({ timeout = this.#options.drainTimeout }: CloseOptions = {}): Promise<void> {
    if (typeof timeout !== "number" || !(timeout >= 0)) {
      return Promise.reject(new RangeError(`Cannot close: timeout must be 0 or more milliseconds, got ${timeout}`));
    }
    if (this.#drain === undefined) {
      this.#altSvc = this.#altSvc.length > 0 ? ["alt-svc", "clear"] : [];
      this.#drain = new Drain({ ...this.#listeners, core: this.#core, events: this.#events, ...this.#options });
    }
    this.#drain.endIn(timeout);
    return this.#drain.finished;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #identity(): TlsIdentity | undefined {
    const { tls } = this.#options;
    return tls === "development" ? this.certificate : tls;
  }

  #tcpOptions(): Parameters<typeof listenTcp>[0] {
    const { port, protocols, limits } = this.#options;
    return { port, host: this.#host, tls: this.#identity, protocols, limits, events: this.#events };
  }

  async #listenHttp3(port: number): Promise<Http3Listener> {
    const { key, cert } = this.#identity as TlsIdentity; // options without TLS and with HTTP/3 were refused
    const { limits, clock } = this.#options;
    const listener = await listenHttp3({ ...limits, port, host: this.#host, key, cert, clock }, this.#core.dispatch);
    if (await listener.selfTest()) return listener;
    await listener.close();
    throw new Error(`No QUIC handshake came through on UDP port ${port} of this machine`);
  }
}

/** The address to listen on. */
async function resolveHost({ host, protocols }: ResolvedOptions): Promise<string> {
  if (host === undefined) return hasIPv6() ? "::" : "0.0.0.0";
  const address = isIP(host) ? host : (await lookup(host)).address;
  if (protocols.includes("h3") && !isWildcard(address) && !isLoopback(address)) {
    throw new TypeError(
      `Cannot serve: HTTP/3 needs all addresses ("::" or "0.0.0.0") or a loopback address, got host ${host}; leave "h3" out of protocols to listen there alone`,
    );
  }
  return address;
}

function hasIPv6(): boolean {
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ family }) => family === "IPv6"));
}

function isWildcard(host: string): boolean {
  return host === "::" || host === "0.0.0.0";
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}

function isTaken(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === "EADDRINUSE";
}
