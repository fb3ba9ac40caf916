// An exchange over HTTP/2, on Node's stream events: no request and response objects in between.
import { constants, type ServerHttp2Stream } from "node:http2";
import { ChunkReader } from "./chunk-reader.ts";
import type { Exchange } from "./exchange.ts";

/** The other end of a connection. */
export interface Peer {
  readonly address: string;
  readonly port: number;
}

export class H2Exchange implements Exchange {
  readonly protocol = "h2";
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly target: string;
  readonly headers: readonly string[];
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly hasBody: boolean;
  readonly #stream: ServerHttp2Stream;
  #continues: boolean;
  #reading = false;
  #ended = false;
  #cut = false;
  #abort: ((cause: Error) => void) | undefined;
  #resumeWriting: (() => void) | undefined;

  constructor(stream: ServerHttp2Stream, rawHeaders: readonly string[], peer: Peer) {
    this.#stream = stream;
    this.remoteAddress = peer.address;
    this.remotePort = peer.port;
    const { special, headers, cookie } = split(rawHeaders);
    if (cookie !== undefined) headers.push("cookie", cookie);
    this.method = special.get(":method") ?? "GET";
    this.scheme = special.get(":scheme") ?? "https";
    this.target = special.get(":path") ?? "/";
    const host = special.get("host");
    const authority = special.get(":authority") ?? host ?? "";
    this.authority = host === undefined || host === authority ? authority : ""; // two hosts are none
    this.headers = headers;
    this.hasBody = !stream.endAfterHeaders;
    this.#continues = special.get("expect") === "100-continue";
    stream.on("close", this.#onClose);
    stream.on("error", ignore); // 'close' follows, and tells the core
  }

  body(): AsyncIterable<Uint8Array> {
    if (this.#reading) throw new TypeError("Cannot read a body twice");
    this.#reading = true;
    if (this.#continues && !this.#stream.headersSent) this.#stream.additionalHeaders({ ":status": 100 });
    return new ChunkReader(this.#stream);
  }

  onAbort(callback: (cause: Error) => void): void {
    this.#abort = callback;
  }

  respond(status: number, headers: string[], body?: Uint8Array | string): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    const endStream = body === undefined;
    stream.respond(withStatus(status, headers), { endStream });
    this.#ended = true;
    if (!endStream) stream.end(body);
    this.#stopUpload();
  }

  head(status: number, headers: string[]): void {
    if (this.#stream.destroyed || this.#stream.closed) return;
    // Node ends a stream before it resets it, which makes a truncated body look complete. While it waits for trailers
    // the end is not sent.
    this.#stream.respond(withStatus(status, headers), { waitForTrailers: true });
    this.#stream.once("wantTrailers", () => {
      if (!this.#cut) this.#stream.sendTrailers({});
    });
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    const stream = this.#stream;
    if (stream.destroyed || stream.write(chunk)) return undefined;
    return new Promise((resolve) => {
      this.#resumeWriting = resolve;
      stream.once("drain", resolve);
    });
  }

  end(): void {
    this.#ended = true;
    this.#stream.end();
    this.#stopUpload();
  }

  reset(): void {
    this.#ended = true;
    this.#cut = true;
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  /** An answer that came before the end of the request asks the client to send no more of it (RFC 9113 section 8.1). */
  #stopUpload(): void {
    const stream = this.#stream;
    if (!this.hasBody || stream.readableEnded) return;
    const stop = (): void => {
      if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
    };
    if (stream.writableFinished) setImmediate(stop);
    else stream.once("finish", () => setImmediate(stop));
  }

  readonly #onClose = (): void => {
    this.#resumeWriting?.();
    if (!this.#ended) this.#abort?.(new Error("The client reset the stream before the answer was finished"));
  };
}

interface Split {
  /** Pseudo-headers, and the two fields that matter here. */
  readonly special: Map<string, string>;
  readonly headers: string[];
  /** Cookies may come in pieces (RFC 9113 section 8.2.3): handlers get them as one. */
  readonly cookie: string | undefined;
}

function split(raw: readonly string[]): Split {
  const special = new Map<string, string>();
  const headers: string[] = [];
  let cookie: string | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string; // pairs
    const value = raw[i + 1] as string;
    if (name.startsWith(":")) {
      special.set(name, value);
    } else if (name === "cookie") {
      cookie = cookie === undefined ? value : `${cookie}; ${value}`;
    } else {
      if (name === "host" || name === "expect") special.set(name, value);
      headers.push(name, value);
    }
  }
  return { special, headers, cookie };
}

/** Node takes raw lists for answers with pseudo-headers first. */
function withStatus(status: number, headers: string[]): string[] {
  return [":status", String(status), ...headers];
}

function ignore(): void {}
