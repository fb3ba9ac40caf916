// Spoils the answers of a listener of node:http.
import type { IncomingMessage, OutgoingHttpHeaders, RequestListener, ServerResponse } from "node:http";
import type { Clock, Timer } from "@proj/concurrency";
import type { BodyPlan, HttpFaultPlan } from "./chaos-http-rules.ts";

/** Calls the listener, or answers in its place, as the plan wants it. */
export function listenBadly(
  plan: HttpFaultPlan,
  request: IncomingMessage,
  response: ServerResponse,
  listener: RequestListener,
  clock: Clock,
): void {
  if (plan.noAnswer) {
    request.resume();
    return;
  }
  const begin = (): void => {
    if (response.destroyed) return;
    if (plan.wrongBy !== 0) changeLength(response, plan.wrongBy);
    if (plan.body !== undefined) spoil(response, plan.body, clock);
    const { status } = plan;
    if (status === undefined) {
      listener(request, response as ServerResponse & { readonly req: IncomingMessage }); // as the server has made it
      return;
    }
    request.resume();
    const { body = "", headers } = status;
    response.writeHead(status.status, { ...headers, "content-length": Buffer.byteLength(body) }).end(body);
  };
  if (plan.delay === 0) {
    begin();
    return;
  }
  const timer = clock.setTimeout(begin, plan.delay);
  timer.ref();
  response.once("close", () => timer.clear());
}

type End = (data?: unknown, encoding?: unknown, done?: unknown) => ServerResponse;
type Write = (data: unknown, encoding?: unknown, done?: unknown) => boolean;
type Head = (status: number, ...rest: unknown[]) => ServerResponse;

/** Adds to the content-length just before it goes out, however the listener sets it. */
function changeLength(response: ServerResponse, by: number): void {
  const { writeHead, write, end } = methodsOf(response);
  let isChanged = false;
  const change = (): void => {
    if (isChanged || response.headersSent) return;
    isChanged = true;
    const length = response.getHeader("content-length");
    if (length !== undefined) response.setHeader("content-length", Math.max(0, Number(length) + by));
  };
  response.writeHead = ((status: number, ...rest: unknown[]) => {
    const headers = rest.pop();
    if (Array.isArray(headers)) setAll(response, headers);
    else if (typeof headers === "object" && headers !== null) {
      for (const [name, value] of Object.entries(headers as OutgoingHttpHeaders)) {
        if (value !== undefined) response.setHeader(name, value);
      }
    } else if (headers !== undefined) rest.push(headers);
    change();
    return writeHead(status, ...rest);
  }) as ServerResponse["writeHead"];
  response.write = ((...args: Parameters<Write>) => {
    change();
    return write(...args);
  }) as ServerResponse["write"];
  response.end = ((...args: Parameters<End>) => {
    const [data] = args;
    if (!response.headersSent && !response.hasHeader("content-length") && isBytes(data)) {
      response.setHeader("content-length", Buffer.byteLength(data));
    }
    change();
    return end(...args);
  }) as ServerResponse["end"];
}

/** Sets headers from a list of names and values, in which a name may come several times, as `set-cookie` does. */
function setAll(response: ServerResponse, headers: readonly unknown[]): void {
  const seen = new Set<string>();
  for (let i = 0; i < headers.length; i += 2) {
    const name = String(headers[i]).toLowerCase();
    const value = headers[i + 1] as string; // as the listener has given it
    if (seen.has(name)) response.appendHeader(name, value);
    else response.setHeader(name, value);
    seen.add(name);
  }
}

/** Most bytes that wait before the listener is told to. */
const highWater = 65_536;

/** Takes what the listener writes, and lets it out as the plan wants it. */
function spoil(response: ServerResponse, { slice, interval, limit, end: fate }: BodyPlan, clock: Clock): void {
  const { write, end } = methodsOf(response);
  const queue: Buffer[] = [];
  let queued = 0;
  let left = limit;
  let hasEnded = false;
  let isOver = false;
  let isBusy = false;
  let isFull = false;
  let isClosed = false;
  let timer: Timer | undefined;

  const finish = (): void => {
    isOver = true;
    queue.length = 0;
    queued = 0;
    tellDrained(); // what else the listener has to say is lost, but it may say it
    if (left > 0) end();
    else if (fate === "reset") cut(response);
    else if (response.hasHeader("content-length") && streamOf(response) === undefined) response.socket?.destroySoon();
    else end(); // over HTTP/2 the client itself sees that it is too short, and other answers go on
  };
  const tellDrained = (): void => {
    if (!isFull) return;
    isFull = false;
    process.nextTick(() => response.emit("drain"));
  };
  const goOn = (): void => {
    isBusy = false;
    pump();
  };
  const pump = (): void => {
    if (isBusy || isOver || isClosed) return;
    const head = queue[0];
    if (left <= 0 || (head === undefined && hasEnded)) {
      if (!response.headersSent) response.flushHeaders();
      finish();
      return;
    }
    if (head === undefined) return;
    const size = Math.min(head.length, slice, left);
    if (size === head.length) queue.shift();
    else queue[0] = head.subarray(size);
    queued -= size;
    left -= size;
    isBusy = true;
    // The next one only when this one has left the process, or a reset would overtake it.
    write(head.subarray(0, size), undefined, () => {
      if (left <= 0 || interval === 0 || isClosed) goOn();
      else {
        timer = clock.setTimeout(goOn, interval);
        timer.ref();
      }
    });
    if (queued < highWater) tellDrained();
  };
  const take = (data: unknown, encoding: unknown): void => {
    if (!isBytes(data) || isOver) return;
    const bytes = typeof data === "string" ? Buffer.from(data, encodingOf(encoding)) : Buffer.from(data);
    if (bytes.length === 0) return;
    queue.push(bytes);
    queued += bytes.length;
    pump();
  };

  response.once("close", () => {
    isClosed = true;
    timer?.clear();
  });
  response.write = ((data: unknown, encoding?: unknown, done?: unknown) => {
    take(data, encoding);
    const last = lastOf(encoding, done);
    if (last !== undefined) process.nextTick(last);
    isFull = queued >= highWater;
    return !isFull;
  }) as ServerResponse["write"];
  response.end = ((data?: unknown, encoding?: unknown, done?: unknown) => {
    take(data, encoding);
    hasEnded = true;
    const last = lastOf(data, encoding, done);
    if (last !== undefined) {
      if (isClosed) process.nextTick(last);
      else response.once("close", last); // a response that is cut off never finishes
    }
    pump();
    return response;
  }) as ServerResponse["end"];
}

function methodsOf(response: ServerResponse): { writeHead: Head; write: Write; end: End } {
  // One of many overloads each: they are called as the listener has called them.
  return {
    writeHead: response.writeHead.bind(response) as Head,
    write: response.write.bind(response) as Write,
    end: response.end.bind(response) as End,
  };
}

function cut(response: ServerResponse): void {
  const stream = streamOf(response);
  if (stream === undefined) response.socket?.resetAndDestroy();
  else stream.close(2); // an internal error
}

/** Of HTTP/2: one of several in a connection. */
function streamOf(response: ServerResponse): { close(code: number): void } | undefined {
  return (response as ServerResponse & { readonly stream?: { close(code: number): void } }).stream;
}

function isBytes(data: unknown): data is string | Uint8Array {
  return typeof data === "string" || data instanceof Uint8Array;
}

function encodingOf(value: unknown): BufferEncoding {
  return typeof value === "string" && Buffer.isEncoding(value) ? value : "utf8";
}

/** The callback among arguments, of which Node.js lets one leave out any. */
function lastOf(...values: readonly unknown[]): (() => void) | undefined {
  return values.find((value) => typeof value === "function") as (() => void) | undefined; // it takes nothing that we know
}
