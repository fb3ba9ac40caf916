// The `Request` that handlers see: everything on demand from an exchange, nothing built that nobody reads.
import { inspect } from "node:util";
import type { Context } from "@proj/concurrency";
import { isDisturbed } from "./disturbed.ts";
import type { Exchange } from "./exchange.ts";
import { asHeaders, ListHeaders } from "./list-headers.ts";
import { type BodyLimits, bodyStream, readAll } from "./request-body.ts";
import { requestUrl } from "./request-url.ts";

const decoder = new TextDecoder();

/** What a platform request made by `new Request(url)` has for the fields that say nothing on a server. */
const plain = {
  cache: "default",
  credentials: "same-origin",
  destination: "",
  duplex: "half",
  integrity: "",
  isHistoryNavigation: false,
  isReloadNavigation: false,
  keepalive: false,
  mode: "cors",
  redirect: "follow",
  referrer: "about:client",
  referrerPolicy: "",
} as const;

interface Streamed {
  readonly kind: "stream";
  readonly stream: ReadableStream<Uint8Array>;
}

type Body = { readonly kind: "unread" } | { readonly kind: "taken" } | Streamed;

const unread: Body = { kind: "unread" };
const taken: Body = { kind: "taken" };

/** Passes `instanceof Request`; see `platformRequest()` for the one place where that is not enough. */
export class LazyRequest {
  readonly #exchange: Exchange;
  readonly #limits: BodyLimits;
  readonly #context: Context;
  #url: string | undefined;
  #headers: ListHeaders | undefined;
  #body: Body = unread;

  constructor(exchange: Exchange, limits: BodyLimits, context: Context) {
    this.#exchange = exchange;
    this.#limits = limits;
    this.#context = context;
  }

  static is(value: unknown): value is LazyRequest {
    return typeof value === "object" && value !== null && #exchange in value;
  }

  get method(): string {
    return this.#exchange.method;
  }

  get url(): string {
    this.#url ??= requestUrl(this.#exchange);
    return this.#url;
  }

  get headers(): Headers {
    this.#headers ??= new ListHeaders(this.#exchange.headers);
    return asHeaders(this.#headers);
  }

  get signal(): AbortSignal {
    return this.#context.signal;
  }

  get bodyUsed(): boolean {
    return this.#body.kind === "taken" || (this.#body.kind === "stream" && isDisturbed(this.#body.stream));
  }

  get body(): ReadableStream<Uint8Array> | null {
    if (!this.#hasBody) return null;
    if (this.#body.kind === "unread") {
      this.#body = { kind: "stream", stream: bodyStream(this.#exchange, this.#limits) };
    } else if (this.#body.kind === "taken") {
      // It went to text() or the like: the platform shows a stream that is used up and locked then.
      const stream = new ReadableStream<Uint8Array>();
      void stream.cancel();
      stream.getReader();
      this.#body = { kind: "stream", stream };
    }
    return (this.#body as Streamed).stream; // each branch above ends there
  }

  async text(): Promise<string> {
    return decoder.decode(await this.#consume());
  }

  async json(): Promise<unknown> {
    return JSON.parse(decoder.decode(await this.#consume()));
  }

  async bytes(): Promise<Uint8Array> {
    return new Uint8Array(await this.#consume());
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return (await this.bytes()).buffer as ArrayBuffer; // new Uint8Array() has an ArrayBuffer of its own
  }

  async blob(): Promise<Blob> {
    return this.#asResponse().blob();
  }

  async formData(): Promise<FormData> {
    return this.#asResponse().formData();
  }

  /** A platform request; the body is shared between both from here on. */
  clone(): Request {
    if (this.bodyUsed || this.#streamLocked) throw new TypeError("Cannot clone a request: its body is already read");
    const stream = this.body;
    if (stream === null || this.#body.kind !== "stream") return this.#platform(null);
    const [own, other] = stream.tee();
    this.#body = { kind: "stream", stream: own };
    return this.#platform(other);
  }

  /** The platform request that takes this one's place; its body goes with it. */
  toPlatform(): Request {
    if (this.bodyUsed || this.#streamLocked) throw new TypeError("Cannot hand on a request: its body is already read");
    const stream = this.body;
    if (stream !== null) this.#body = taken;
    return this.#platform(stream);
  }

  [inspect.custom](): unknown {
    const { method, url, headers, bodyUsed } = this;
    return { method, url, headers, bodyUsed };
  }

  // The platform has no body on GET and HEAD, whatever the client sent.
  get #hasBody(): boolean {
    const { hasBody, method } = this.#exchange;
    return hasBody && method !== "GET" && method !== "HEAD";
  }

  get #streamLocked(): boolean {
    return this.#body.kind === "stream" && this.#body.stream.locked;
  }

  #consume(): Promise<Uint8Array> {
    if (!this.#hasBody) return Promise.resolve(new Uint8Array());
    if (this.bodyUsed || this.#streamLocked) return Promise.reject(unusable());
    if (this.#body.kind === "stream") return new Response(this.#body.stream).bytes();
    this.#body = taken;
    return readAll(this.#exchange, this.#limits);
  }

  #asResponse(): Response {
    if (this.bodyUsed || this.#streamLocked) throw unusable();
    const type = this.headers.get("content-type");
    return new Response(this.body, type === null ? {} : { headers: { "content-type": type } });
  }

  #platform(body: ReadableStream<Uint8Array> | null): Request {
    return new Request(this.url, {
      method: this.method,
      headers: this.headers,
      signal: this.signal,
      ...(body === null ? {} : { body, duplex: "half" }),
    });
  }
}

Object.setPrototypeOf(LazyRequest.prototype, Request.prototype);
for (const [name, value] of Object.entries(plain)) {
  Object.defineProperty(LazyRequest.prototype, name, { get: () => value, configurable: true, enumerable: true });
}

/** The same object as the type that handlers know; its prototype chain makes that true at run time too. */
export function asRequest(request: LazyRequest): Request {
  return request as unknown as Request;
}

/**
 * Gives the platform's own `Request` for one that `serve()` made, with its body; any other request is returned as it is.
 *
 * A handler's request passes `instanceof Request` and works wherever a request is read. Only `fetch(request)` and
 * `new Request(request)` look inside, past the public interface, and need this. The body moves on with it: the first
 * request counts as read then. Throws a `TypeError` if the body has been read before.
 *
 * @example
 * ```ts
 * import { type Handler, platformRequest } from "@proj/http3";
 *
 * export const forward: Handler = (request) => {
 *   const { pathname, search } = new URL(request.url);
 *   return fetch(new Request(`http://10.0.0.7:3000${pathname}${search}`, platformRequest(request)));
 * };
 * ```
 */
export function platformRequest(request: Request): Request {
  return LazyRequest.is(request) ? request.toPlatform() : request;
}

function unusable(): TypeError {
  return new TypeError("Cannot read the body of a request: it is already read or being read");
}
