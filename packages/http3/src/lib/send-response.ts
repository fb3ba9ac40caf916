// Sends any `Response` through an exchange: one piece where it is one, else chunk by chunk at the client's pace.
import type { Readable } from "node:stream";
import type { Exchange } from "./exchange.ts";
import { type FastBody, isFastResponse, takeParts } from "./fast-response.ts";

const encoder = new TextEncoder();

// What belongs to one connection is the transport's to say, never the handler's (RFC 9110 section 7.6.1).
const connectionFields = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]);

// The platform's Headers take more than clients do (RFC 9110 section 5.5).
const badValue = /[^\t\x20-\x7e\x80-\xff]/;

/** How far an answer is. The sender stops early once `aborted` is set, and tells the source of the body. */
export interface Sending {
  /** 0 until the head is handed to the transport: before that, another answer can take its place. */
  status: number;
  aborted: Error | undefined;
  /** Stops the source of the body; set while one is read. */
  cancel: ((cause: unknown) => void) | undefined;
}

/**
 * Sends the answer. Returns undefined when it is all handed to the transport, else a promise for that; fails with what
 * made the body's source fail, or with what is wrong with the answer. `sending.status` tells whether it was begun then.
 */
export function sendResponse(
  exchange: Exchange,
  response: Response,
  extra: readonly string[],
  sending: Sending,
): Promise<void> | undefined {
  if (isFastResponse(response)) {
    const { status, headers, body } = takeParts(response);
    return send({ exchange, status, headers: clean(headers, extra), sending }, body);
  }
  const { status } = response;
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new RangeError(`Cannot send a response: status must be an integer from 200 to 599, got ${status}`);
  }
  if (response.bodyUsed) throw new TypeError("Cannot send a response: its body is already used");
  const headers: string[] = [];
  for (const [name, value] of response.headers) headers.push(name, value);
  const answer = { exchange, status, headers: clean(headers, extra), sending };
  if (response.body === null || hasNoBody(answer)) return send(answer, response.body);
  return sendPlatformBody(answer, response.body);
}

/** Lets go of the body of an answer that nobody will get. */
export function discard(response: Response): void {
  try {
    const body = isFastResponse(response) ? takeParts(response).body : response.body;
    if (body !== null && pieceLength(body) === undefined) new Source(body as Streamed).cancel(undefined); // no piece: a stream
  } catch {
    // It was read already.
  }
}

interface Answer {
  readonly exchange: Exchange;
  readonly status: number;
  readonly headers: string[];
  readonly sending: Sending;
}

function send(answer: Answer, body: FastBody): Promise<void> | undefined {
  const length = body === null ? 0 : pieceLength(body);
  const source = length === undefined ? new Source(body as Streamed) : undefined; // it has no length: a stream
  if (hasNoBody(answer)) {
    source?.cancel(undefined);
    sendHeadOnly(answer, length);
    return undefined;
  }
  if (source !== undefined) return pump(answer, source);
  sendPiece(answer, body as string | Uint8Array | null, length as number); // it has a length: a piece
  return undefined;
}

/** The length of a body that is not sent may be told, but where there can be none. */
function sendHeadOnly({ exchange, status, headers, sending }: Answer, length: number | undefined): void {
  const declared = takeLengths(headers);
  const told = status === 204 ? undefined : (declared[0] ?? (status !== 304 && length ? String(length) : undefined));
  if (told !== undefined) headers.push("content-length", told);
  exchange.respond(status, headers);
  sending.status = status;
}

/** The length is what is sent, whatever the handler declared: a wrong one would break the connection for all that follows. */
function sendPiece({ exchange, status, headers, sending }: Answer, piece: Piece, length: number): void {
  takeLengths(headers);
  headers.push("content-length", String(length));
  exchange.respond(status, headers, length === 0 ? undefined : (piece as string | Uint8Array)); // it has bytes
  sending.status = status;
}

/**
 * A platform response shows its body only as a stream. What comes of it within a turn of the event loop is sent in one
 * piece: that is the case for every body made from a string or from bytes.
 */
async function sendPlatformBody(answer: Answer, body: ReadableStream<Uint8Array>): Promise<void> {
  const { sending } = answer;
  const source = new Source(body);
  sending.cancel = (cause) => source.cancel(cause);
  const first = await source.peek();
  const second = first?.done === false ? await source.peek() : first;
  if (sending.aborted) return;
  if (first === undefined || !second?.done) return pump(answer, source);
  const piece = first.done ? null : bytesOf(first.value);
  sendPiece(answer, piece, piece?.byteLength ?? 0);
}

async function pump({ exchange, status, headers, sending }: Answer, source: Source): Promise<void> {
  sending.cancel = (cause) => source.cancel(cause);
  try {
    let left = declaredLength(headers);
    exchange.head(status, headers);
    sending.status = status;
    for (let step = await source.next(); !step.done; step = await source.next()) {
      if (sending.aborted) return;
      const chunk = bytesOf(step.value);
      left -= chunk.byteLength;
      if (left < 0) throw wrongLength();
      const full = exchange.write(chunk);
      if (full) await full;
      if (sending.aborted) return;
    }
    if (left > 0 && left !== Number.POSITIVE_INFINITY) throw wrongLength();
    exchange.end();
  } catch (error) {
    source.cancel(error);
    throw error;
  }
}

type Piece = string | Uint8Array | null;
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
      this.#read = async () => chunks.next(); // async: it may throw, or give no promise
      this.cancel = () => {
        if (isNodeStream(body)) body.on("error", ignore).destroy();
        else (async () => chunks.return?.())().catch(ignore);
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

/** One that stops at once, where an async iterator stops after its next chunk. It may still fail: to open its file, say. */
function isNodeStream(body: object): body is Readable {
  return "destroy" in body && typeof body.destroy === "function" && "on" in body && typeof body.on === "function";
}

function hasNoBody({ exchange, status }: Answer): boolean {
  return exchange.method === "HEAD" || status === 204 || status === 304;
}

/** The bytes of a body that is one piece; undefined for a stream. */
function pieceLength(body: Exclude<FastBody, null>): number | undefined {
  if (typeof body === "string") return Buffer.byteLength(body);
  return body instanceof Uint8Array ? body.byteLength : undefined;
}

/** Takes the declared lengths out of the list. */
function takeLengths(headers: string[]): string[] {
  const found: string[] = [];
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (headers[i] === "content-length") found.push(...headers.splice(i, 2).slice(1));
  }
  return found;
}

/** How many bytes a stream must yield; any number where its length is not declared. */
function declaredLength(headers: string[]): number {
  const [length, ...others] = takeLengths(headers);
  if (length === undefined) return Number.POSITIVE_INFINITY;
  if (others.length > 0 || !/^\d{1,15}$/.test(length)) {
    throw new TypeError(`Cannot send a response: content-length must be one number, got ${[length, ...others]}`);
  }
  headers.push("content-length", length);
  return Number(length);
}

function wrongLength(): RangeError {
  return new RangeError("Cannot send a response: its body is not as long as its content-length says");
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
    const value = headers[i + 1] as string;
    if (badValue.test(value)) {
      throw new TypeError(`Cannot send a response: ${name} has a control character, got ${JSON.stringify(value)}`);
    }
    if (!connectionFields.has(name)) list.push(name, value);
  }
  for (const item of extra) list.push(item);
  return list;
}

function ignore(): void {}
