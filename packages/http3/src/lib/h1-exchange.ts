// An exchange over HTTP/1.1, on Node's own request and response objects.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { ChunkReader } from "./chunk-reader.ts";
import type { Exchange } from "./exchange.ts";
import { plainAddress } from "./plain-address.ts";

/** What the connection is to the exchange. */
export interface H1Connection {
  readonly scheme: "http" | "https";
  /** The sockets on which an answer is due or under way. */
  readonly answering: WeakSet<Socket>;
  /** Whether answers tell the client to open no further request on their connection. */
  closing(): boolean;
}

/** How long the rest of a body may still flow in after the answer is out, before the connection is cut. */
const lingering = 2_000;

const absoluteForm = /^https?:\/\/([^/?#]*)([^#]*)/i;

export class H1Exchange implements Exchange {
  readonly protocol = "http/1.1";
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly target: string;
  readonly headers: readonly string[];
  readonly hasBody: boolean;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #connection: H1Connection;
  #continues: boolean;
  #reading = false;
  #ended = false;
  #abort: ((cause: Error) => void) | undefined;
  #resumeWriting: (() => void) | undefined;

  /** `continues`: the client waits for 100 before it sends the body. */
  constructor(request: IncomingMessage, response: ServerResponse, connection: H1Connection, continues: boolean) {
    this.#request = request;
    this.#response = response;
    this.#connection = connection;
    this.#continues = continues;
    this.method = request.method ?? "GET";
    this.scheme = connection.scheme;
    this.headers = lowerNames(request.rawHeaders);
    this.hasBody = bodyIsDeclared(this.headers);
    const target = request.url ?? "/";
    const absolute = target.startsWith("/") ? null : absoluteForm.exec(target);
    this.target = absolute ? originForm(absolute[2] ?? "") : target;
    const host = hostOf(request, this.headers);
    this.authority = absolute && host !== "" ? (absolute[1] ?? "") : host; // the target wins, and one host field there must be
    connection.answering.add(request.socket);
    response.on("close", this.#onClose);
  }

  get remoteAddress(): string {
    return plainAddress(this.#request.socket.remoteAddress);
  }

  get remotePort(): number {
    return this.#request.socket.remotePort ?? 0;
  }

  body(): AsyncIterable<Uint8Array> {
    if (this.#reading) throw new TypeError("Cannot read a body twice");
    this.#reading = true;
    if (this.#continues) {
      this.#continues = false;
      this.#response.writeContinue();
    }
    return new ChunkReader(this.#request);
  }

  onAbort(callback: (cause: Error) => void): void {
    this.#abort = callback;
  }

  respond(status: number, headers: string[], body?: Uint8Array | string): void {
    this.#writeHead(status, headers);
    this.#ended = true;
    this.#response.end(body);
  }

  head(status: number, headers: string[]): void {
    this.#writeHead(status, headers);
    this.#response.flushHeaders();
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    const response = this.#response;
    if (response.write(chunk) || response.destroyed) return undefined;
    return new Promise((resolve) => {
      this.#resumeWriting = resolve;
      response.once("drain", resolve);
    });
  }

  end(): void {
    this.#ended = true;
    this.#response.end();
  }

  reset(cause: Error): void {
    this.#ended = true;
    const { socket } = this.#request;
    // A reset, not an orderly end: that would make a truncated body without length look complete.
    if (this.scheme === "http" && !socket.destroyed) socket.resetAndDestroy();
    else this.#response.destroy(cause);
  }

  #writeHead(status: number, headers: string[]): void {
    // A client that still waits for 100 may or may not send its body now: what follows could not be told apart.
    if (this.#continues || this.#connection.closing()) headers.push("connection", "close");
    this.#response.writeHead(status, headers);
  }

  readonly #onClose = (): void => {
    this.#connection.answering.delete(this.#request.socket);
    this.#resumeWriting?.();
    if (!this.#ended) this.#abort?.(new Error("The client closed the connection before the answer was finished"));
    else if (!this.#request.complete) this.#linger();
  };

  /** Lets the rest of an unread body flow in for a moment, so that the answer is not lost in a reset. */
  #linger(): void {
    const request = this.#request;
    if (request.destroyed) return;
    request.resume();
    const timer = setTimeout(() => {
      if (!request.complete) request.socket.destroy();
    }, lingering);
    timer.unref();
    request.once("close", () => clearTimeout(timer));
  }
}

const lowered = new Map<string, string>();

/** Header names come in few spellings: each is lowered once. */
function lowerNames(raw: readonly string[]): string[] {
  const list = new Array<string>(raw.length);
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string; // pairs
    let lower = lowered.get(name);
    if (lower === undefined) {
      lower = name.toLowerCase();
      if (lowered.size < 1_000) lowered.set(name, lower); // bounded: clients choose the names
    }
    list[i] = lower;
    list[i + 1] = raw[i + 1] as string;
  }
  return list;
}

function bodyIsDeclared(headers: readonly string[]): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === "transfer-encoding") return true;
    if (headers[i] === "content-length") return headers[i + 1] !== "0";
  }
  return false;
}

/** The host that is asked for; empty when it is missing or said twice, which the core refuses. */
function hostOf({ httpVersion, socket }: IncomingMessage, headers: readonly string[]): string {
  let host: string | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== "host") continue;
    if (host !== undefined) return "";
    host = headers[i + 1];
  }
  return host ?? (httpVersion === "1.0" ? `localhost:${socket.localPort}` : "");
}

function originForm(rest: string): string {
  return rest.startsWith("/") ? rest : `/${rest}`;
}
