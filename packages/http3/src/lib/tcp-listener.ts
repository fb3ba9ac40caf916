// HTTP/1.1 and HTTP/2 on one TCP port: Node's own servers, with answers to malformed bytes and an orderly end.
import { createServer, Server as HttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import {
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
} from "node:http2";
import { type AddressInfo, Server as NetServer, type Socket } from "node:net";
import type { Dispatch, Protocol } from "./exchange.ts";
import { type H1Connection, H1Exchange } from "./h1-exchange.ts";
import { H2Exchange } from "./h2-exchange.ts";
import type { Limits } from "./limits.ts";
import { malformedAnswer } from "./malformed.ts";
import { plainAddress } from "./plain-address.ts";
import type { EventSink } from "./server-event.ts";

/** Keys and certificates of a TLS server, PEM. */
export interface TlsIdentity {
  readonly key: string | Buffer;
  readonly cert: string | Buffer;
  /** Authorities of client certificates. */
  readonly ca?: string | Buffer | undefined;
  readonly requestCert?: boolean | undefined;
}

export interface ListenTcpOptions {
  readonly port: number;
  readonly host: string;
  /** Undefined: plain HTTP/1.1. */
  readonly tls: TlsIdentity | undefined;
  readonly protocols: readonly Protocol[];
  readonly limits: Required<Limits>;
  readonly events: EventSink;
}

/** How many bytes of uploads may be under way, per stream and per connection: what a fast line holds in a round trip. */
const streamWindow = 256 * 1024;
const connectionWindow = 1024 * 1024;

type Server = HttpServer | Http2SecureServer;

/** Listens for HTTP/1.1 and HTTP/2. Rejects with the system's error when the port cannot be had. */
export async function listenTcp(options: ListenTcpOptions, dispatch: Dispatch): Promise<TcpListener> {
  const server = options.tls ? createTlsServer(options, options.tls) : createServer(h1Options(options.limits));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: options.port, host: options.host, backlog: 1_024 }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  return new TcpListener(server, options, dispatch);
}

/** An open TCP port and its connections. */
export class TcpListener {
  readonly port: number;
  readonly #server: Server;
  readonly #events: EventSink;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #answering = new WeakSet<Socket>();
  #closing = false;
  #closed: Promise<void> | undefined;

  constructor(server: Server, { tls, limits, events }: ListenTcpOptions, dispatch: Dispatch) {
    this.#server = server;
    this.#events = events;
    this.port = (server.address() as AddressInfo).port; // it listens, and on a port, not on a path
    const connection: H1Connection = {
      scheme: tls ? "https" : "http",
      answering: this.#answering,
      closing: () => this.#closing,
    };
    const onRequest = (request: IncomingMessage, response: ServerResponse, continues: boolean): void => {
      dispatch(new H1Exchange(request, response, connection, continues));
    };
    // One of two kinds of server, with the same events as far as they are used here.
    const emitter = server as HttpServer;
    emitter.on("request", (request, response) => onRequest(request, response, false));
    emitter.on("checkContinue", (request, response) => onRequest(request, response, true));
    emitter.on("clientError", (error, socket) => this.#onClientError(error, socket as Socket)); // sockets of this server
    emitter.on("connection", (socket: Socket) => this.#track(socket));
    if (server instanceof HttpServer) return;

    // Node adds its h1-like layer for HTTP/2 streams as soon as somebody wants requests: those are for HTTP/1.1 alone.
    server.removeAllListeners("stream");
    server.on("session", (session) => this.#onSession(session, limits.keepAliveTimeout, dispatch));
    server.on("sessionError", (error: Error) => this.#onFault(error, undefined));
    // Node hands failed handshakes, late ones included, to "clientError": its answer would wait for a handshake for ever.
    server.removeAllListeners("tlsClientError");
    server.on("tlsClientError", (error, socket) => {
      this.#onFault(error, socket);
      socket.destroy();
    });
  }

  /**
   * Takes no new connections; from now on each answer over HTTP/1.1 is the last on its connection, and HTTP/2 clients are
   * told to open no new requests. Fulfils once all connections are gone.
   */
  stop(): Promise<void> {
    this.#closed ??= new Promise<void>((resolve) => {
      // Not the server's own close(): that would cut idle connections on which a request may be under way already.
      NetServer.prototype.close.call(this.#server, () => resolve());
      // Not before: clients that are told to go connect anew at once, and would meet a port about to close.
      this.#closing = true;
      for (const session of this.#sessions) session.close();
    });
    return this.#closed;
  }

  /** Gives up a port that nobody knows of yet. */
  async abandon(): Promise<void> {
    const gone = this.stop();
    this.destroy();
    await gone;
  }

  /** Closes the HTTP/1.1 connections that have no request. */
  closeIdle(): void {
    (this.#server as HttpServer).closeIdleConnections(); // the one over TLS has it too, undeclared
  }

  /** Cuts all connections. */
  destroy(): void {
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close(() => {}); // stops the timer of its time limits
  }

  #track(socket: Socket): void {
    void socket.remoteAddress; // the system forgets it when the peer is gone: asked for once, the socket remembers it
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }

  #onSession(session: ServerHttp2Session, keepAlive: number, dispatch: Dispatch): void {
    const { remoteAddress, remotePort = 0 } = session.socket;
    const peer = { address: plainAddress(remoteAddress), port: remotePort };
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
    session.on("error", (error) => this.#onFault(error, session.destroyed ? undefined : session.socket));
    let streams = 0;
    session.on("stream", (stream, _headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
      streams++;
      stream.once("close", () => streams--);
      dispatch(new H2Exchange(stream, raw, peer));
    });
    session.setLocalWindowSize(connectionWindow);
    session.setTimeout(nodeTimeout(keepAlive), () => {
      if (streams === 0) session.close();
    });
    if (this.#closing) session.close(); // its connection was accepted before, its handshake ended after
  }

  #onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
    if (error.code !== "ECONNRESET") this.#onFault(error, socket);
    // In the middle of an answer there is no room for another one.
    if (socket.writable && !this.#answering.has(socket))
      socket.end(malformedAnswer(error.code), () => socket.destroy());
    else socket.destroy(error);
  }

  #onFault(error: Error, socket: Pick<Socket, "remoteAddress"> | undefined): void {
    if (!this.#events.wanted) return;
    this.#events.emit({ kind: "connection-failed", remoteAddress: socket?.remoteAddress, error });
  }
}

function createTlsServer({ protocols, limits }: ListenTcpOptions, tls: TlsIdentity): Http2SecureServer {
  const server = createSecureServer({
    key: tls.key,
    cert: tls.cert,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    requestCert: tls.requestCert ?? false,
    ALPNProtocols: protocols.filter((protocol) => protocol !== "h3"),
    allowHTTP1: protocols.includes("http/1.1"),
    handshakeTimeout: nodeTimeout(limits.requestTimeout),
    settings: {
      maxConcurrentStreams: limits.maxStreams,
      maxHeaderListSize: limits.maxHeaderSize,
      initialWindowSize: streamWindow,
    },
    maxHeaderListPairs: limits.maxHeaderCount + 10, // the core answers 431 just above the limit; far above the stream is refused
    ...h1Options(limits), // which its declared type leaves out
  });
  return server;
}

function h1Options({ maxHeaderSize, requestTimeout, keepAliveTimeout }: Required<Limits>): H1Options {
  return {
    maxHeaderSize,
    headersTimeout: nodeTimeout(requestTimeout),
    requestTimeout: 0, // of the whole body: the core watches that it goes on
    keepAliveTimeout: nodeTimeout(keepAliveTimeout),
    connectionsCheckingInterval: Math.max(50, Math.min(1_000, requestTimeout / 4)),
    requireHostHeader: false, // the core answers that with a problem document
    noDelay: true,
  };
}

/** For Node.js, 0 is forever, and so is what is longer than its timers run. */
function nodeTimeout(timeout: number): number {
  return timeout < 2 ** 31 ? Math.ceil(timeout) : 0;
}

interface H1Options {
  readonly maxHeaderSize: number;
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  readonly keepAliveTimeout: number;
  readonly connectionsCheckingInterval: number;
  readonly requireHostHeader: boolean;
  readonly noDelay: boolean;
}
