// A small HTTP/3 client over the same engine: one connection, for proving that a server can be reached.
import { type Clock, systemClock } from "@proj/concurrency";
import type { Http3ClientEndpoint, Http3Engine, Sink } from "./engine.ts";
import { ByteBudget } from "./h3-budget.ts";
import { H3_REQUEST_CANCELLED } from "./h3-codes.ts";
import { ReceiveBuffer } from "./h3-receive.ts";
import { SendQueue } from "./h3-send.ts";

export interface Http3ClientOptions {
  readonly engine: Http3Engine;
  /** An IP address. */
  readonly address: string;
  readonly port: number;
  /** The name in the server's certificate, and the default authority. */
  readonly servername: string;
  /** The authority to trust, PEM. */
  readonly ca?: string | Buffer;
  /** False accepts any certificate. Default true. */
  readonly verify?: boolean;
  readonly clock?: Clock;
}

export interface Http3RequestOptions {
  /** Default GET. */
  readonly method?: string;
  readonly path: string;
  /** Flat list of further fields. */
  readonly headers?: readonly string[];
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Milliseconds for handshake and response head together. Default 30 s. */
  readonly timeout?: number;
}

export interface Http3Response {
  readonly status: number;
  /** Flat list, without pseudo-headers. */
  readonly headers: readonly string[];
  /** For one reader, once. */
  readonly body: AsyncIterable<Uint8Array>;
  /** The whole body. */
  bytes(): Promise<Buffer>;
  text(): Promise<string>;
}

/** A stream that the server, or the loss of the connection, ended before its response was complete. */
export class Http3StreamError extends Error {
  override readonly name = "Http3StreamError";
  readonly code = "ERR_HTTP3_STREAM";
  /** The error code of the wire (RFC 9114, section 8.1). */
  readonly wireCode: number;

  constructor(wireCode: number, reason: string) {
    super(`Cannot finish the request: ${reason} (0x${wireCode.toString(16)})`);
    this.wireCode = wireCode;
  }
}

const UPLOADED_AT_ONCE = 1024 * 1024;
const KEPT_ON_DISK = 4 * 1024 * 1024 * 1024;
const NOT_CLOSED = { code: 0, reason: "" };

/** One connection to one server. */
export class Http3Client {
  readonly #endpoint: Http3ClientEndpoint;
  readonly #clock: Clock;
  readonly #authority: string;
  readonly #opened = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<{ code: number; reason: string }>();
  readonly #streams = new Map<number, Http3ClientStream>();
  #waiting: (() => void)[] = [];
  #end: { readonly code: number; readonly reason: string } | undefined;
  #goaway = false;

  constructor({ engine, address, port, servername, ca, verify = true, clock = systemClock }: Http3ClientOptions) {
    this.#clock = clock;
    this.#authority = `${servername}:${port}`;
    this.#opened.promise.catch(() => {}); // whoever asks for ready() hears of it
    this.#endpoint = engine.connect(
      { address, port, servername, ca: ca === undefined ? undefined : Buffer.from(ca), verify, idleTimeout: 30_000 },
      this.#sink(),
    );
  }

  /** Fulfils after the handshake; rejects with `Http3StreamError` when there is none. */
  ready(): Promise<void> {
    return this.#opened.promise;
  }

  /** Fulfils when the connection has ended, with what the server said. */
  closed(): Promise<{ readonly code: number; readonly reason: string }> {
    return this.#closed.promise;
  }

  /** The server takes no new requests on this connection. */
  get goingAway(): boolean {
    return this.#goaway;
  }

  /** Fulfils with the head of the response. */
  async request(options: Http3RequestOptions): Promise<Http3Response> {
    const { method = "GET", path, headers = [], body, timeout = 30_000 } = options;
    const late = Promise.withResolvers<never>();
    const timer = this.#clock.setTimeout(
      () => late.reject(new Http3StreamError(0, `no answer in ${timeout} ms`)),
      timeout,
    );
    late.promise.catch(() => {});
    let stream: Http3ClientStream | undefined;
    try {
      await Promise.race([this.ready(), late.promise]);
      const list = [":method", method, ":scheme", "https", ":authority", this.#authority, ":path", path, ...headers];
      stream = await Promise.race([this.open(list, body === undefined), late.promise]);
      if (body !== undefined) stream.send(body).catch(() => {}); // a failed upload shows in the response
      return await Promise.race([stream.response, late.promise]);
    } catch (error) {
      stream?.reset(H3_REQUEST_CANCELLED);
      throw error;
    } finally {
      timer.clear();
    }
  }

  /** Opens a stream with exactly this header section, well formed or not; waits while the server allows no more streams. */
  async open(list: readonly string[], fin: boolean): Promise<Http3ClientStream> {
    for (;;) {
      if (this.#end !== undefined)
        throw new Http3StreamError(this.#end.code, `the connection is closed ${this.#end.reason}`);
      const id = this.#endpoint.request(list, fin);
      if (id !== undefined) {
        const stream = new Http3ClientStream(this.#endpoint, id);
        this.#streams.set(id, stream);
        return stream;
      }
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        this.#clock.setTimeout(resolve, 10); // the engine does not tell when the server allows more
      });
    }
  }

  /** Closes the connection; what is in flight fails. */
  async close(): Promise<void> {
    if (this.#end === undefined) this.#endpoint.closeConnection(0, 0, "");
    await this.#endpoint.close();
    this.#lost(NOT_CLOSED.code, NOT_CLOSED.reason);
  }

  #sink(): Sink {
    return {
      opened: () => this.#opened.resolve(),
      headers: (_connection, stream, list) => this.#streams.get(stream)?.receiveHeaders(list),
      data: (_connection, stream, chunk) => this.#streams.get(stream)?.receive(chunk),
      end: (_connection, stream) => {
        this.#streams.get(stream)?.receiveEnd();
        this.#streams.delete(stream);
        this.#wake();
      },
      reset: (_connection, stream, code) => {
        this.#streams.get(stream)?.fail(new Http3StreamError(code, "the stream was reset"));
        this.#streams.delete(stream);
        this.#wake();
      },
      blocked: (_connection, stream) => this.#streams.get(stream)?.block(),
      writable: (_connection, stream) => {
        if (stream >= 0) this.#streams.get(stream)?.unblock();
        else for (const each of this.#streams.values()) each.unblock();
        this.#wake();
      },
      goaway: () => {
        this.#goaway = true;
      },
      closed: (_connection, code, reason) => this.#lost(code, reason),
    };
  }

  #lost(code: number, reason: string): void {
    if (this.#end !== undefined) return;
    this.#end = { code, reason };
    const error = new Http3StreamError(code, `the connection was closed ${reason}`.trim());
    this.#opened.reject(error);
    for (const stream of this.#streams.values()) stream.fail(error);
    this.#streams.clear();
    this.#closed.resolve(this.#end);
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

/** One request stream, for callers that want to see its parts. */
export class Http3ClientStream {
  readonly #endpoint: Http3ClientEndpoint;
  readonly #id: number;
  readonly #out: SendQueue;
  readonly #received = new ReceiveBuffer(new ByteBudget(UPLOADED_AT_ONCE), new ByteBudget(KEPT_ON_DISK));
  readonly #response = Promise.withResolvers<Http3Response>();
  #hasResponse = false;
  /** Trailers of the response, once they came. */
  trailers: readonly string[] | undefined;

  constructor(endpoint: Http3ClientEndpoint, id: number) {
    this.#endpoint = endpoint;
    this.#id = id;
    this.#out = new SendQueue(
      (chunk, fin) => endpoint.data(0, id, chunk, fin),
      () => {},
    );
    this.#response.promise.catch(() => {}); // the caller may be busy with the upload
  }

  /** Fulfils with the head of the response. */
  get response(): Promise<Http3Response> {
    return this.#response.promise;
  }

  /** Sends bytes; waits with the returned promise, if any. */
  write(chunk: Uint8Array): Promise<void> | undefined {
    return this.#out.write(chunk);
  }

  /** The request is complete. */
  end(): void {
    this.#out.end();
  }

  /** Sends a whole body. */
  async send(body: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    if (body instanceof Uint8Array) await this.write(body);
    else for await (const chunk of body) await this.write(chunk);
    this.end();
  }

  /** Gives the request up. */
  reset(code = H3_REQUEST_CANCELLED): void {
    this.#endpoint.reset(0, this.#id, code);
    this.fail(new Http3StreamError(code, "the caller gave it up"));
  }

  receiveHeaders(list: readonly string[]): void {
    if (this.#hasResponse) {
      this.trailers = list;
      return;
    }
    this.#hasResponse = true;
    const received = this.#received;
    const at = list.indexOf(":status");
    const headers = list.filter((_, i) => i !== at && i !== at + 1);
    const body = received.read();
    const bytes = async (): Promise<Buffer> => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(chunk);
      return Buffer.concat(chunks);
    };
    this.#response.resolve({
      status: Number(list[at + 1]),
      headers,
      body,
      bytes,
      text: async () => (await bytes()).toString(),
    });
  }

  receive(chunk: Uint8Array): void {
    if (this.#received.push(chunk)) return;
    this.#endpoint.reset(0, this.#id, H3_REQUEST_CANCELLED);
    const reason = this.#received.diskError ?? "too much of the response is unread";
    this.fail(new Http3StreamError(H3_REQUEST_CANCELLED, String(reason)));
  }

  receiveEnd(): void {
    this.#received.end();
  }

  fail(error: Http3StreamError): void {
    this.#response.reject(error);
    this.#received.fail(error);
    this.#out.abandon();
  }

  block(): void {
    this.#out.block();
  }

  unblock(): void {
    this.#out.unblock();
  }
}
