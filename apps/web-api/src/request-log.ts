// One line for each request: JSON for machines, columns for a person at a terminal.
import { randomUUID } from "node:crypto";
import { type Clock, systemClock } from "@proj/concurrency";
import { type Middleware, problem } from "@proj/http3/router";

export interface RequestLogOptions {
  /** Gets each line, without its end. */
  readonly write: (line: string) => void;
  /** `"text"` is for people. */
  readonly format: "json" | "text";
  readonly clock?: Clock | undefined;
}

interface Entry {
  readonly time: string;
  readonly level: "info" | "error";
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly ms: number;
  readonly protocol: string;
  readonly bytes: number;
  /** The client left before the answer was ready. */
  readonly aborted?: true;
  readonly error?: string;
}

/**
 * Logs each request, and marks its answer with an `x-request-id`: the one the client sent, if it is short and plain, or
 * a new one. An error that nobody caught is logged whole and answered with a bare 500 that names the request id.
 */
export function requestLog({ write, format, clock = systemClock }: RequestLogOptions): Middleware {
  return async (request, context, next) => {
    const start = clock.now();
    const requestId = readRequestId(request);
    let failure: unknown;
    let response: Response;
    try {
      response = await next(request, context);
    } catch (error) {
      failure = error;
      response = problem({ status: 500, detail: "The server failed to answer this request", requestId });
    }
    response.headers.set("x-request-id", requestId);
    const entry: Entry = {
      time: new Date(clock.wall()).toISOString(),
      level: failure === undefined ? "info" : "error",
      requestId,
      method: request.method,
      path: pathAndQuery(request.url),
      status: response.status,
      ms: Math.round((clock.now() - start) * 100) / 100,
      protocol: context.protocol,
      bytes: request.method === "HEAD" ? 0 : await sizeOf(response),
      ...(context.context.cancelled && { aborted: true as const }),
      ...(failure !== undefined && {
        error: failure instanceof Error ? (failure.stack ?? failure.message) : String(failure),
      }),
    };
    write(format === "json" ? JSON.stringify(entry) : toText(entry));
    return response;
  };
}

function readRequestId(request: Request): string {
  const given = request.headers.get("x-request-id");
  return given !== null && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID();
}

function pathAndQuery(url: string): string {
  return url.slice(url.indexOf("/", url.indexOf("://") + 3));
}

/** All answers of this app are one piece of known length, or short. */
async function sizeOf(response: Response): Promise<number> {
  const length = response.headers.get("content-length");
  if (length !== null) return Number(length);
  return response.body === null ? 0 : (await response.clone().bytes()).byteLength;
}

function toText({ time, method, path, status, ms, protocol, bytes, requestId, error }: Entry): string {
  const line = `${time.slice(11, 23)} ${method.padEnd(6)} ${path}  ${status}  ${ms} ms  ${bytes} B  ${protocol}  ${requestId}`;
  const shown = line.replaceAll(/\p{Cc}/gu, "?"); // what a client sends must not steer the terminal
  return error === undefined ? shown : `${shown}\n${error}`;
}
