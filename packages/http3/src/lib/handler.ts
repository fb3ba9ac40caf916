// The one handler shape of this package: a platform Request in, a platform Response out.
import type { Context } from "@proj/concurrency";
import type { Protocol } from "./exchange.ts";

/** Values that a router took from the path, by name. */
export type Params = Readonly<Record<string, string>>;

/**
 * What a handler knows about a request beyond the request itself.
 *
 * @example
 * ```ts
 * import type { Handler } from "@proj/http3";
 *
 * export const whoAmI: Handler = (_request, { protocol, remoteAddress }) =>
 *   new Response(`${remoteAddress} over ${protocol}\n`);
 * ```
 */
export interface RequestContext {
  /**
   * Cancellation, deadline and values of this request; also the ambient `Context` while the handler runs. It is cancelled
   * when the client gives up or the server stops waiting, and carries the deadline that the client sent.
   */
  readonly context: Context;
  /** `context.signal`: aborts when the client gives up, the deadline passes or the server stops waiting. */
  readonly signal: AbortSignal;
  /** The version of HTTP that this request came over. */
  readonly protocol: Protocol;
  /** The address of the peer of the connection: the client, or the proxy in front. */
  readonly remoteAddress: string;
  /** The port of that peer. */
  readonly remotePort: number;
  /** Values that a router took from the path; empty without a router. */
  readonly params: Params;
}

/**
 * Answers one request. What it throws becomes a `500` answer that tells the client nothing, unless it knows its own
 * answer, as the errors of `@proj/http3/router` do.
 *
 * @example
 * ```ts
 * import type { Handler } from "@proj/http3";
 *
 * export const echo: Handler = async (request) => new Response(await request.text());
 * ```
 */
export type Handler = (request: Request, context: RequestContext) => Response | Promise<Response>;
