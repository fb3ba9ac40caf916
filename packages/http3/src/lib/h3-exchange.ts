// One HTTP/3 stream as an Exchange: the request as it comes in, the answer as it goes out.
import type { Exchange } from "./exchange.ts";
import {
  H3_EXCESSIVE_LOAD,
  H3_INTERNAL_ERROR,
  H3_MESSAGE_ERROR,
  H3_NO_ERROR,
  H3_REQUEST_CANCELLED,
} from "./h3-codes.ts";
import type { Http3Connection } from "./h3-connection.ts";
import { LINGER } from "./h3-limits.ts";
import { checkTrailers, type RequestHead, writeResponse } from "./h3-messages.ts";
import type { ReceiveBuffer } from "./h3-receive.ts";
import { SendQueue } from "./h3-send.ts";

/** Bodies up to this size go out with their head in one call. */
const SMALL_BODY = 64 * 1024;

export class Http3Exchange implements Exchange {
  readonly protocol = "h3";
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly target: string;
  readonly headers: readonly string[];
  readonly hasBody: boolean;

  readonly #connection: Http3Connection;
  readonly #stream: number;

  #received: ReceiveBuffer | undefined;
  #receivedBytes = 0;
  readonly #declaredBytes: number | undefined;
  #requestDone = false;
  #bodyTaken = false;

  readonly #out: SendQueue;
  #headSent = false;
  #bodiless = false;
  #bytesToSend: number | undefined;
  #answerDone = false;
  #activeAt: number;

  #aborted: Error | undefined;
  #onAbort: ((cause: Error) => void) | undefined;

  constructor(connection: Http3Connection, stream: number, head: RequestHead, fin: boolean) {
    this.method = head.method;
    this.scheme = head.scheme;
    this.authority = head.authority;
    this.target = head.target;
    this.headers = head.headers;
    this.hasBody = !fin && head.contentLength !== 0;
    this.#connection = connection;
    this.#stream = stream;
    this.#declaredBytes = head.contentLength;
    this.#requestDone = fin;
    this.#activeAt = connection.clock.now();
    this.#out = new SendQueue(
      (chunk, last) => connection.endpoint.data(connection.id, stream, chunk, last),
      () => this.#finishAnswer(),
    );
  }

  get remoteAddress(): string {
    return this.#connection.remoteAddress;
  }

  get remotePort(): number {
    return this.#connection.remotePort;
  }

  body(): AsyncIterable<Uint8Array> {
    if (this.#bodyTaken) throw new TypeError("Cannot read the body: it is being read already");
    this.#bodyTaken = true;
    return this.#openBody().read();
  }

  onAbort(callback: (cause: Error) => void): void {
    if (this.#aborted !== undefined) callback(this.#aborted);
    else if (!this.#answerDone) this.#onAbort = callback;
  }

  respond(status: number, headers: string[], body?: Uint8Array | string): void {
    if (this.#aborted === undefined) this.#answer(status, headers, body);
  }

  head(status: number, headers: string[]): void {
    if (this.#aborted !== undefined) return;
    const list = this.#beginAnswer(status, headers);
    this.#out.start(() => this.#sendHead(list, this.#bodiless), this.#bodiless);
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#aborted !== undefined || this.#bodiless) return undefined;
    if (!this.#headSent) throw new TypeError("Cannot write to an answer: it has no head yet");
    this.#countSent(chunk.length);
    return this.#out.write(chunk);
  }

  end(): void {
    if (this.#aborted !== undefined || this.#bodiless) return;
    if (!this.#headSent) throw new TypeError("Cannot end an answer: it has no head yet");
    if ((this.#bytesToSend ?? 0) > 0) this.#failLength();
    this.#out.end();
  }

  reset(cause: Error): void {
    if (this.#answerDone) return;
    this.#onAbort = undefined; // whoever resets knows
    this.#cut(cause, H3_INTERNAL_ERROR);
  }

  /** More of the request came. */
  receive(chunk: Uint8Array): void {
    if (this.#answerDone || this.#requestDone) return;
    this.#activeAt = this.#connection.clock.now();
    this.#receivedBytes += chunk.length;
    if (this.#declaredBytes !== undefined && this.#receivedBytes > this.#declaredBytes) {
      this.#cut(new Error("The request body is longer than its content-length"), H3_MESSAGE_ERROR);
    } else if (this.#receivedBytes > this.#connection.limits.maxBodySize) {
      this.refuse(413, "Content Too Large");
    } else if (!this.#openBody().push(chunk)) {
      this.refuse(503, "Service Unavailable", this.#received?.diskError);
    }
  }

  /** The request is complete. */
  receiveEnd(): void {
    if (this.#requestDone) return;
    this.#requestDone = true;
    if (this.#answerDone) {
      this.#connection.release(this.#stream);
      return;
    }
    if (this.#declaredBytes !== undefined && this.#receivedBytes < this.#declaredBytes) {
      this.#cut(new Error("The request body is shorter than its content-length"), H3_MESSAGE_ERROR);
      return;
    }
    this.#received?.end();
  }

  /** Trailers have no place in an exchange, but they must be well formed. */
  receiveTrailers(list: readonly string[]): void {
    const refusal = checkTrailers(list, this.#connection.limits);
    if (refusal !== undefined)
      this.#cut(new Error(`The request's trailers are refused: ${refusal.reason}`), H3_MESSAGE_ERROR);
  }

  /** The client gave this request up. */
  receiveReset(): void {
    if (this.#answerDone) this.#connection.release(this.#stream);
    else this.#cut(gone("The client gave the request up"), H3_REQUEST_CANCELLED);
  }

  /** The connection is gone. */
  lost(cause: Error): void {
    if (!this.#answerDone) this.#cut(cause);
  }

  /** The server stops: an answer that only waits for the client to take it may still arrive. */
  stop(cause: Error): void {
    if (!this.#answerDone && !this.#out.ending) this.#cut(cause, H3_REQUEST_CANCELLED);
  }

  block(): void {
    this.#out.block();
  }

  unblock(): void {
    this.#activeAt = this.#connection.clock.now();
    this.#out.unblock();
  }

  /** An answer of the server itself, whatever the core still does. */
  refuse(status: number, title: string, reason?: unknown): void {
    const cause = new Error(`The request was refused: ${title}`, reason === undefined ? {} : { cause: reason });
    if (this.#headSent) {
      this.#cut(cause, H3_EXCESSIVE_LOAD);
      return;
    }
    const tellCore = this.#takeAbortCallback();
    this.#received?.fail(cause);
    const problem = JSON.stringify({ type: "about:blank", title, status });
    this.#answer(status, ["content-type", "application/problem+json"], problem);
    this.#aborted = cause;
    tellCore?.(cause);
  }

  /** Called every second: ends what stands still. */
  sweep(now: number): void {
    const { limits } = this.#connection;
    const still = now - this.#activeAt;
    if (this.#answerDone) {
      if (still <= LINGER) return;
      // The client goes on sending what nobody wants, and had the time to read the answer.
      this.#connection.endpoint.reset(this.#connection.id, this.#stream, H3_NO_ERROR);
      this.#connection.release(this.#stream);
    } else if (this.#out.stalled) {
      if (still > limits.sendTimeout)
        this.#cut(gone("The client took nothing of the answer for too long"), H3_REQUEST_CANCELLED);
      else this.#out.unblock(); // in case the engine's word got lost: it takes the bytes or says no again
    } else if (!this.#requestDone && still > limits.bodyTimeout) {
      this.refuse(408, "Request Timeout");
    }
  }

  #openBody(): ReceiveBuffer {
    if (this.#received === undefined) {
      this.#received = this.#connection.makeBuffer();
      if (this.#aborted !== undefined) this.#received.fail(this.#aborted);
      else if (this.#requestDone) this.#received.end();
      else if (this.#answerDone) this.#received.fail(tooLate());
    }
    return this.#received;
  }

  #answer(status: number, headers: readonly string[], body?: Uint8Array | string): void {
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const list = this.#beginAnswer(status, headers);
    if (this.#bodiless) {
      this.#out.start(() => this.#sendHead(list, true), true);
      return;
    }
    const length = bytes?.length ?? 0;
    this.#countSent(length);
    if ((this.#bytesToSend ?? 0) > 0) this.#failLength();
    if (bytes === undefined || length === 0) {
      this.#out.start(() => this.#sendHead(list, true), true);
    } else if (length <= SMALL_BODY) {
      const { endpoint, id } = this.#connection;
      this.#out.start(() => endpoint.respond(id, this.#stream, list, bytes), true);
    } else {
      this.#out.start(() => this.#sendHead(list, false), false);
      void this.#out.write(bytes); // nobody waits: the rest goes as the client takes it
      this.#out.end();
    }
  }

  // Throws before anything is sent or changed where the answer is malformed.
  #beginAnswer(status: number, headers: readonly string[]): string[] {
    if (this.#headSent) throw new TypeError("Cannot answer a request twice");
    const list = writeResponse(status, headers);
    this.#headSent = true;
    this.#bodiless = this.method === "HEAD" || status === 204 || status === 304;
    let dated = false;
    for (let i = 2; i < list.length; i += 2) {
      if (list[i] === "date") dated = true;
      else if (list[i] === "content-length" && !this.#bodiless) this.#bytesToSend = Number(list[i + 1]);
    }
    if (!dated) list.push("date", this.#connection.date());
    return list;
  }

  #sendHead(list: readonly string[], fin: boolean): boolean {
    return this.#connection.endpoint.headers(this.#connection.id, this.#stream, list, fin);
  }

  #countSent(bytes: number): void {
    if (this.#bytesToSend === undefined) return;
    this.#bytesToSend -= bytes;
    if (this.#bytesToSend < 0) this.#failLength();
  }

  #failLength(): never {
    const cause = new RangeError("Cannot send an answer whose body is not as long as its content-length says");
    this.reset(cause);
    throw cause;
  }

  #finishAnswer(): void {
    this.#answerDone = true;
    this.#activeAt = this.#connection.clock.now();
    this.#onAbort = undefined;
    this.#received?.fail(tooLate());
    this.#connection.answered();
    if (this.#requestDone) this.#connection.release(this.#stream);
  }

  /** Ends both directions, and tells the core once. */
  #cut(cause: Error, code?: number): void {
    const { endpoint, id } = this.#connection;
    const pending = !this.#answerDone;
    this.#answerDone = true;
    this.#aborted ??= cause;
    if (code !== undefined) endpoint.reset(id, this.#stream, code);
    this.#out.abandon();
    this.#received?.fail(cause);
    this.#connection.release(this.#stream);
    if (pending) this.#connection.answered();
    this.#takeAbortCallback()?.(cause);
  }

  #takeAbortCallback(): ((cause: Error) => void) | undefined {
    const callback = this.#onAbort;
    this.#onAbort = undefined;
    return callback;
  }
}

/** The error that node:http has for a peer that went away. */
export function gone(message: string): Error {
  return Object.assign(new Error(message), { code: "ECONNRESET" });
}

function tooLate(): Error {
  return new Error("The answer was complete before its request was read");
}
