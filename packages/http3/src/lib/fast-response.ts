// A `Response` as status, header list and body: what a handler answers with when the platform's class would be the cost.
import { inspect } from "node:util";
import { isDisturbed } from "./disturbed.ts";
import { asHeaders, ListHeaders, toHeaderList, valueIn } from "./list-headers.ts";

/**
 * What a `FastResponse` carries. An async iterable (a Node.js `Readable` is one) is read chunk by chunk, as fast as the
 * client takes it; strings in it are sent as UTF-8.
 */
export type FastBody = string | Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array | string> | null;

/** Options of a `FastResponse`. */
export interface FastResponseInit {
  /** 200 to 599; default 200. */
  readonly status?: number;
  /** Only HTTP/1.1 could send it and nobody reads it: kept, not sent. Default: empty. */
  readonly statusText?: string;
  /** As for a platform `Response`. Default: none, and `content-type: text/plain;charset=UTF-8` for a string. */
  readonly headers?: Headers | Readonly<Record<string, string>> | Iterable<readonly [string, string]> | undefined;
}

/** What goes out: no body, or one piece, or a stream. */
export interface ResponseParts {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: FastBody;
}

// Ways into the class for this package alone: what sends an answer needs its parts, not its streams.
let isFast: (value: unknown) => boolean;
let take: (response: FastResponse) => ResponseParts;

const nullBodyStatus = new Set([204, 205, 304]);

/**
 * A `Response` that builds nothing the client does not get: no stream, no platform headers.
 *
 * It passes `instanceof Response` and has the whole interface, so middleware reads and changes it like any other; `serve()`
 * sends it several times faster than a platform `Response`. Throws a `RangeError` for a status outside 200 to 599 and a
 * `TypeError` for a body with a status that has none (204, 205, 304) and for malformed headers.
 *
 * @example
 * ```ts
 * import { FastResponse, type Handler } from "@proj/http3";
 *
 * export const hello: Handler = () => new FastResponse("Hello\n", { headers: { "cache-control": "no-store" } });
 * export const data: Handler = () => FastResponse.json({ ok: true });
 * ```
 */
export class FastResponse {
  /** The status code, 200 to 599. */
  readonly status: number;
  /** The reason phrase, as given. */
  readonly statusText: string;
  readonly #headers: ListHeaders;
  #body: FastBody;
  #stream: ReadableStream<Uint8Array> | undefined;
  #used = false;

  constructor(body?: FastBody, init: FastResponseInit = {}) {
    const { status = 200, statusText = "", headers } = init;
    if (!Number.isInteger(status) || status < 200 || status > 599) {
      throw new RangeError(`Cannot create a FastResponse: status must be an integer from 200 to 599, got ${status}`);
    }
    if (body != null && nullBodyStatus.has(status)) {
      throw new TypeError(`Cannot create a FastResponse: status ${status} has no body`);
    }
    const list = toHeaderList(headers);
    if (typeof body === "string" && valueIn(list, "content-type") === undefined) {
      list.push("content-type", "text/plain;charset=UTF-8");
    }
    this.status = status;
    this.statusText = statusText;
    this.#headers = new ListHeaders(list, true);
    this.#body = body ?? null;
  }

  /** Like `Response.json()`. Throws a `TypeError` for a value that JSON has no text for. */
  static json(value: unknown, init: FastResponseInit = {}): FastResponse {
    const text = JSON.stringify(value) as string | undefined; // undefined for a function or undefined
    if (text === undefined) {
      throw new TypeError(`Cannot create a FastResponse: ${inspect(value)} has no JSON text`);
    }
    return new FastResponse(text, { ...init, headers: jsonHeaders(init.headers) });
  }

  static {
    isFast = (value) => typeof value === "object" && value !== null && #headers in value;
    take = (response) => {
      const headers = ListHeaders.listOf(response.#headers);
      return { status: response.status, headers, body: response.#body === null ? null : response.#take() };
    };
  }

  /** The header fields; changes to them are sent. */
  get headers(): Headers {
    return asHeaders(this.#headers);
  }

  /** Whether the status is 200 to 299. */
  get ok(): boolean {
    return this.status < 300;
  }

  /** Always false: it was made here. */
  get redirected(): boolean {
    return false;
  }

  /** Always `default`: it was made here. */
  get type(): "default" {
    return "default";
  }

  /** Always empty: it was made here. */
  get url(): string {
    return "";
  }

  /** Whether the body was read, or sent, wholly or in part. */
  get bodyUsed(): boolean {
    return this.#used || (this.#stream !== undefined && isDisturbed(this.#stream));
  }

  /** The body as a stream, made when it is asked for; null without body. */
  get body(): ReadableStream<Uint8Array> | null {
    if (this.#body === null) return null;
    this.#stream ??= this.#openStream();
    return this.#stream;
  }

  /** Reads the body as UTF-8; rejects with a `TypeError` when it is used already, like all that follow. */
  async text(): Promise<string> {
    return this.#platform().text();
  }

  /** Reads the body as JSON. */
  async json(): Promise<unknown> {
    return this.#platform().json();
  }

  /** Reads the body as bytes. */
  async bytes(): Promise<Uint8Array> {
    return this.#platform().bytes();
  }

  /** Reads the body as an `ArrayBuffer`. */
  async arrayBuffer(): Promise<ArrayBuffer> {
    return this.#platform().arrayBuffer();
  }

  /** Reads the body as a `Blob` of its content type. */
  async blob(): Promise<Blob> {
    return this.#platform().blob();
  }

  /** Reads the body as a form. */
  async formData(): Promise<FormData> {
    return this.#platform().formData();
  }

  /** A platform response; a body that is a stream is shared between both from here on. */
  clone(): Response {
    if (this.bodyUsed || this.#stream?.locked) throw used();
    const { status, statusText, headers } = this;
    const init = { status, statusText, headers: [...headers] };
    if (this.#body === null) return new Response(null, init);
    if (this.#stream === undefined && isPiece(this.#body)) return new Response(toPlatformBody(this.#body), init);
    const [own, other] = (this.body as ReadableStream<Uint8Array>).tee(); // there is a body
    this.#stream = own;
    return new Response(other, init);
  }

  [inspect.custom](): unknown {
    const { status, statusText, headers, bodyUsed } = this;
    return { status, statusText, headers, bodyUsed };
  }

  #platform(): Response {
    const type = this.headers.get("content-type");
    const init = type === null ? {} : { headers: { "content-type": type } };
    return new Response(this.#body === null ? null : toPlatformBody(this.#take()), init);
  }

  /** The body, once. */
  #take(): Exclude<FastBody, null> {
    if (this.bodyUsed || this.#stream?.locked) throw used();
    this.#used = true;
    return this.#stream ?? (this.#body as Exclude<FastBody, null>); // callers have looked whether there is one
  }

  #openStream(): ReadableStream<Uint8Array> {
    const stream = new Response(this.#used ? "" : toPlatformBody(this.#body)).body as ReadableStream<Uint8Array>;
    if (this.#used) void stream.cancel(); // the platform shows a stream that is used up then
    return stream;
  }
}

Object.setPrototypeOf(FastResponse.prototype, Response.prototype);

/** Whether a response is one of this class. */
export function isFastResponse(value: unknown): value is FastResponse {
  return isFast(value);
}

/** Takes the parts out for sending; the body counts as used then. Throws a `TypeError` when it already is. */
export function takeParts(response: FastResponse): ResponseParts {
  return take(response);
}

function jsonHeaders(init: FastResponseInit["headers"]): FastResponseInit["headers"] {
  if (init === undefined) return { "content-type": "application/json" };
  const headers = new ListHeaders(toHeaderList(init), true);
  if (!headers.has("content-type")) headers.set("content-type", "application/json");
  return asHeaders(headers);
}

function isPiece(body: FastBody): body is string | Uint8Array {
  return typeof body === "string" || body instanceof Uint8Array;
}

type PlatformBody = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null;

/** Async iterables get a stream of bytes; the platform takes all else as it is. */
function toPlatformBody(body: FastBody): PlatformBody {
  if (body === null || isPiece(body) || body instanceof ReadableStream) return body as PlatformBody; // with memory of its own or not: the platform copies it
  const encoder = new TextEncoder();
  const chunks = body[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const step = await chunks.next();
      if (step.done) controller.close();
      else controller.enqueue(typeof step.value === "string" ? encoder.encode(step.value) : step.value);
    },
    async cancel() {
      await chunks.return?.();
    },
  });
}

function used(): TypeError {
  return new TypeError("Cannot use the body of a response: it is already read or being read");
}
