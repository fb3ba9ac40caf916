// Errors as the client sees them: problem details for HTTP APIs (RFC 9457), returned or thrown.
import { STATUS_CODES } from "node:http";
import { FastResponse } from "./fast-response.ts";

/** The members of a problem document: five standard ones, and any of your own beside them. */
export interface ProblemDetails {
  /** The HTTP status of the answer, 400 to 599. */
  readonly status: number;
  /** What went wrong this time, for the person who reads it. Goes to the client: no internals. */
  readonly detail: string;
  /** A URI that names the kind of problem. Default: left out, which means `about:blank`: the status says it all. */
  readonly type?: string;
  /** The kind of problem in a few words, the same every time. Default: the reason phrase of the status. */
  readonly title?: string;
  /** A URI of this one occurrence. */
  readonly instance?: string;
  /** Extension members, such as `errors: [{ field, message }]`. */
  readonly [extension: string]: unknown;
}

/** What travels beside a problem document. */
export interface ProblemOptions {
  /** Header fields of the answer, such as `{ "retry-after": "5" }`. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Makes an `application/problem+json` answer (RFC 9457).
 *
 * The document starts with the standard members, then carries your extensions in their order; undefined ones are left out.
 * Throws a `RangeError` for a status outside 400 to 599.
 *
 * @example
 * ```ts
 * import { problem } from "@proj/http3/router";
 *
 * const response = problem({ status: 404, detail: "There is no order 7" });
 * console.log(response.status, await response.json());
 * // 404 { title: "Not Found", status: 404, detail: "There is no order 7" }
 * ```
 */
export function problem(details: ProblemDetails, { headers }: ProblemOptions = {}): Response {
  return new FastResponse(JSON.stringify(problemDocument(details)), {
    status: details.status,
    headers: { ...headers, "content-type": "application/problem+json" },
  });
}

/**
 * A problem to throw: what a handler, a middleware or anything below them throws to end the request with this answer.
 *
 * `Router` and `serve` turn it into its response. Every other error stays on the server: the client gets a bare 500.
 *
 * @example
 * ```ts
 * import { HttpProblem, Router } from "@proj/http3/router";
 *
 * const orders = new Map([["1", "tea"]]);
 *
 * export const router = new Router().get("/orders/:id", (_request, { params }) => {
 *   const order = orders.get(params.id);
 *   if (order === undefined) throw new HttpProblem({ status: 404, detail: `There is no order ${params.id}` });
 *   return Response.json({ order });
 * });
 * ```
 */
export class HttpProblem extends Error {
  override readonly name = "HttpProblem";
  readonly code = "ERR_HTTP_PROBLEM";
  /** The status of its response. */
  readonly status: number;
  /** The members of the document, as given. */
  readonly details: ProblemDetails;
  /** Header fields that its response carries. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(details: ProblemDetails, { headers = {}, cause }: ProblemOptions & { readonly cause?: unknown } = {}) {
    super(details.detail, cause === undefined ? undefined : { cause });
    problem(details, { headers }); // what cannot be sent fails here, where it is made, and not on its way out
    this.status = details.status;
    this.details = details;
    this.headers = headers;
  }

  /** The answer for the client; a new one at each call. */
  toResponse(): Response {
    return problem(this.details, { headers: this.headers });
  }
}

/** The answer that a thrown value carries in itself, if it does. Goes by `code`, so that a second copy of this package fits. */
export function responseOf(error: unknown): Response | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const { code, toResponse } = error as Partial<HttpProblem>; // read as unknown fields: both are checked before use
  if (code !== "ERR_HTTP_PROBLEM" || typeof toResponse !== "function") return undefined;
  const response: unknown = toResponse.call(error);
  return response instanceof Response ? response : undefined;
}

function problemDocument({ type, title, status, detail, instance, ...extensions }: ProblemDetails): object {
  if (!Number.isInteger(status) || status < 400 || status > 599) {
    throw new RangeError(`Cannot make a problem: status must be an integer from 400 to 599, got ${status}`);
  }
  return { type, title: title ?? STATUS_CODES[status] ?? "Unknown Error", status, detail, instance, ...extensions };
}
