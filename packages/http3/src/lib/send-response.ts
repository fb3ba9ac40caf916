// Sends any `Response` through an exchange: one piece where it is one, else chunk by chunk at the client's pace.
import type { Exchange } from "./exchange.ts";
import { type FastBody, isFastResponse, takeParts } from "./fast-response.ts";
import { valueIn } from "./list-headers.ts";

const encoder = new TextEncoder();

// What belongs to one connection is the transport's to say, never the handler's (RFC 9110 section 7.6.1).
const connectionFields = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]);

/** How far an answer is. The sender stops early once `aborted` is set, and tells the source of the body. */
export interface Sending {
  status: number;
  aborted: Error | undefined;
  /** Stops the source of the body; set while one is read. */
  cancel: ((cause: unknown) => void) | undefined;
}

/**
 * Sends the answer. Returns undefined when it is all handed to the transport, else a promise for that; fails with what
 * made the body's source fail. Throws before anything is sent where the answer is not one.
 */
export function sendResponse(
  exchange: Exchange,
  response: Response,
  extra: readonly string[],
  sending: Sending,
): Promise<void> | undefined {
  if (isFastResponse(response)) {
    const { status, headers, body } = takeParts(response);
    return send(exchange, status, clean(headers, extra), body, sending);
  }
  const { status } = response;
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new RangeError(`Cannot send a response: status must be an integer from 200 to 599, got ${status}`);
  }
  const headers: string[] = [];
  for (const [name, value] of response.headers) headers.push(name, value);
  if (response.bodyUsed) throw new TypeError("Cannot send a response: its body is already used");
  const list = clean(headers, extra);
  if (response.body === null || hasNoBody(exchange, status))
    return send(exchange, status, list, response.body, sending);
  return sendPlatformBody(exchange, status, list, response.body, sending);
}

function send(
  exchange: Exchange,
  status: number,
  headers: string[],
  body: FastBody,
  sending: Sending,
): Promise<void> | undefined {
  sending.status = status;
  const length = body === null ? 0 : pieceLength(body);
  if (length !== undefined && status !== 204 && status !== 304 && !(length === 0 && exchange.method === "HEAD")) {
    setLength(headers, length);
  }
  if (hasNoBody(exchange, status)) {
    exchange.respond(status, headers);
    if (length === undefined) new Source(body as Streamed).cancel(undefined);
    return undefined;
  }
  if (length === undefined) {
    exchange.head(status, headers);
    return pump(exchange, new Source(body as Streamed), sending); // it has no length: a stream
  }
  exchange.respond(status, headers, length === 0 ? undefined : (body as string | Uint8Array)); // it has a length: a piece
  return undefined;
}

/**
 * A platform response shows its body only as a stream. What comes of it within a turn of the event loop is sent in one
 * piece: that is the case for every body made from a string or from bytes.
 */
async function sendPlatformBody(
  exchange: Exchange,
  status: number,
  headers: string[],
  body: ReadableStream<Uint8Array>,
  sending: Sending,
): Promise<void> {
  const source = new Source(body);
  sending.status = status;
  sending.cancel = (cause) => source.cancel(cause);
  const first = await source.peek();
  const second = first?.done === false ? await source.peek() : first;
  if (sending.aborted) return;
  if (first === undefined || !second?.done) {
    exchange.head(status, headers);
    return pump(exchange, source, sending);
  }
  const piece = first.done ? undefined : bytesOf(first.value);
  setLength(headers, piece?.byteLength ?? 0);
  exchange.respond(status, headers, piece);
}

async function pump(exchange: Exchange, source: Source, sending: Sending): Promise<void> {
  sending.cancel = (cause) => source.cancel(cause);
  for (let step = await source.next(); !step.done; step = await source.next()) {
    if (sending.aborted) return;
    const full = exchange.write(bytesOf(step.value));
    if (full) await full;
    if (sending.aborted) return;
  }
  exchange.end();
}

type Streamed = Exclude<FastBody, null | string | Uint8Array>;
type Step = IteratorResult<Uint8Array | string, unknown>;

/** The chunks of a body that is a stream, of which the first can be looked at ahead. */
class Source {
  readonly #read: () => Promise<Step>;
  readonly cancel: (cause: unknown) => void;
  readonly #begun: Promise<Step>[] = [];

  constructor(body: Streamed) {
    if (body instanceof ReadableStream) {
      const reader = body.getReader();
      this.#read = () => reader.read() as Promise<Step>; // the same shape
      this.cancel = (cause) => void reader.cancel(cause).catch(ignore);
    } else {
      const chunks = body[Symbol.asyncIterator]();
      this.#read = () => chunks.next();
      this.cancel = () => {
        if ("destroy" in body && typeof body.destroy === "function")
          body.destroy(); // a Node.js stream stops at once
        else void chunks.return?.().catch(ignore);
      };
    }
  }

  next(): Promise<Step> {
    return this.#begun.shift() ?? this.#read();
  }

  /** Begins one more read; undefined when it takes longer than a turn of the event loop. `next()` gives it again. */
  peek(): Promise<Step | undefined> {
    const step = this.#read();
    this.#begun.push(step);
    return new Promise((resolve, reject) => {
      const late = setImmediate(() => resolve(undefined));
      step.then(resolve, reject).finally(() => clearImmediate(late));
    });
  }
}

function hasNoBody({ method }: Exchange, status: number): boolean {
  return method === "HEAD" || status === 204 || status === 304;
}

/** The bytes of a body that is one piece; undefined for a stream. */
function pieceLength(body: Exclude<FastBody, null>): number | undefined {
  if (typeof body === "string") return Buffer.byteLength(body);
  return body instanceof Uint8Array ? body.byteLength : undefined;
}

function setLength(headers: string[], length: number): void {
  if (valueIn(headers, "content-length") === undefined) headers.push("content-length", String(length));
}

function bytesOf(chunk: Uint8Array | string): Uint8Array {
  if (typeof chunk === "string") return encoder.encode(chunk);
  if (chunk instanceof Uint8Array) return chunk;
  throw new TypeError(`Cannot send a response: its body must yield bytes, got ${typeof chunk}`);
}

function clean(headers: readonly string[], extra: readonly string[]): string[] {
  const list: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string; // pairs
    if (!connectionFields.has(name)) list.push(name, headers[i + 1] as string);
  }
  for (const item of extra) list.push(item);
  return list;
}

function ignore(): void {}
