// The core: turns each exchange into a call of the handler inside a context of its own, and its outcome into an answer.
import { type Clock, Context, type OwnedContext, TimeoutError } from "@proj/concurrency";
import { DrainTimeoutError } from "./drain-timeout-error.ts";
import type { Dispatch, Exchange, Protocol } from "./exchange.ts";
import type { Handler, Params, RequestContext } from "./handler.ts";
import { asRequest, LazyRequest } from "./lazy-request.ts";
import { valueIn } from "./list-headers.ts";
import { HttpProblem, responseOf } from "./problem.ts";
import { type BodyLimits, declaredLength, tooLarge } from "./request-body.ts";
import { hasGoodTarget, originOf } from "./request-url.ts";
import { discard, type Sending, sendResponse } from "./send-response.ts";
import type { EventSink } from "./server-event.ts";

/** What a request may cost. */
export interface RequestLimits extends BodyLimits {
  /** Most header fields; more is answered 431. */
  readonly maxHeaderCount: number;
}

/** What the core needs to know from the server. */
export interface CoreOptions {
  readonly clock: Clock;
  readonly limits: RequestLimits;
  readonly events: EventSink;
  /** Of the contexts of all requests. */
  readonly parent: Context;
  /** Header fields for every answer over this protocol, as a flat list. */
  readonly extraHeaders: (protocol: Protocol) => readonly string[];
}

/** Runs the requests of one server and knows those that are not finished. */
export class Core {
  readonly #handler: Handler;
  readonly #options: CoreOptions;
  readonly #active = new Set<Run>();
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(handler: Handler, options: CoreOptions) {
    this.#handler = handler;
    this.#options = options;
  }

  /** How many requests are not finished. */
  get active(): number {
    return this.#active.size;
  }

  readonly dispatch: Dispatch = (exchange) => {
    const run = new Run(exchange, this.#options, () => {
      this.#active.delete(run);
      if (this.#active.size > 0) return;
      this.#idle?.resolve();
      this.#idle = undefined;
    });
    this.#active.add(run);
    run.start(this.#handler);
  };

  /** Fulfils once no request is unfinished. */
  idle(): Promise<void> {
    if (this.#active.size === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers<void>();
    return this.#idle.promise;
  }

  /** Cancels what is unfinished and cuts its answers off; returns how many that were. */
  abort(): number {
    const runs = [...this.#active];
    for (const run of runs) run.cut(new DrainTimeoutError());
    return runs.length;
  }
}

const noParams: Params = Object.freeze({});

/** The context of one request; a router writes its params into it. */
class RunContext implements RequestContext {
  readonly context: Context;
  readonly protocol: Protocol;
  readonly exchange: Exchange;
  params = noParams;

  constructor(exchange: Exchange, context: Context) {
    this.context = context;
    this.protocol = exchange.protocol;
    this.exchange = exchange;
  }

  get signal(): AbortSignal {
    return this.context.signal;
  }

  get remoteAddress(): string {
    return this.exchange.remoteAddress;
  }

  get remotePort(): number {
    return this.exchange.remotePort;
  }
}

/** One request from its arrival to the end of its answer. */
class Run {
  readonly #exchange: Exchange;
  readonly #options: CoreOptions;
  readonly #context: OwnedContext;
  readonly #onEnd: () => void;
  readonly #sending: Sending = { status: 0, aborted: undefined, cancel: undefined };
  readonly #start: number;
  #ended = false;

  constructor(exchange: Exchange, options: CoreOptions, onEnd: () => void) {
    this.#exchange = exchange;
    this.#options = options;
    this.#onEnd = onEnd;
    this.#start = options.events.wanted ? options.clock.now() : 0;
    const { clock, parent } = options;
    this.#context = Context.extract({ get: (name) => valueIn(exchange.headers, name) }, { clock, parent });
  }

  start(handler: Handler): void {
    const exchange = this.#exchange;
    exchange.onAbort((cause) => this.#abort(cause));
    const refusal = refuse(exchange, this.#options.limits);
    if (refusal) {
      this.#send(refusal.toResponse());
      return;
    }
    const request = asRequest(new LazyRequest(exchange, this.#options.limits, this.#context));
    const context = new RunContext(exchange, this.#context);
    try {
      const answer = Context.run(this.#context, () => handler(request, context));
      if (answer instanceof Response) this.#send(answer);
      else Promise.resolve(answer).then(this.#send, this.#fail);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Ends it from our side. */
  cut(cause: Error): void {
    if (this.#ended) return;
    this.#abort(cause);
    this.#exchange.reset(cause);
  }

  #abort(cause: Error): void {
    if (this.#ended) return;
    this.#sending.aborted = cause;
    this.#sending.cancel?.(cause);
    this.#context.cancel(cause);
    this.#end();
  }

  readonly #send = (response: Response): void => {
    if (this.#ended) {
      if (response instanceof Response) discard(response);
      return;
    }
    try {
      assertResponse(response);
      this.#deliver(response);
    } catch (error) {
      this.#fail(error);
    }
  };

  #deliver(response: Response): void {
    const extra = this.#options.extraHeaders(this.#exchange.protocol);
    const pending = sendResponse(this.#exchange, response, extra, this.#sending);
    if (pending === undefined) this.#end();
    else pending.then(this.#end, this.#fail);
  }

  /** Answers a failure; once the head of an answer is out, all that is left is to cut it off visibly. */
  readonly #fail = (error: unknown): void => {
    if (this.#ended) return; // the client is gone: what the handler says to that is no news
    if (this.#sending.status !== 0) {
      this.#report(error);
      this.#reset(error);
      return;
    }
    try {
      this.#deliver(this.#answerTo(error));
    } catch (failure) {
      this.#report(failure);
      this.#reset(failure);
    }
  };

  #answerTo(error: unknown): Response {
    try {
      const known = responseOf(error) ?? this.#timedOut();
      if (known !== undefined) return known;
      this.#report(error);
    } catch (failure) {
      this.#report(failure); // it could not even be asked
    }
    return internalError();
  }

  #reset(cause: unknown): void {
    this.#exchange.reset(cause instanceof Error ? cause : new Error("The answer failed", { cause }));
    this.#end();
  }

  /** An answer for the client that waits for longer than it said it would. */
  #timedOut(): Response | undefined {
    if (!(this.#context.cause instanceof TimeoutError)) return undefined;
    return new HttpProblem({ status: 504, detail: "The deadline of the request has passed" }).toResponse();
  }

  #report(error: unknown): void {
    const { method, target, protocol } = this.#exchange;
    this.#options.events.emit({ kind: "handler-failed", method, target, protocol, error });
  }

  readonly #end = (): void => {
    if (this.#ended) return;
    this.#ended = true;
    this.#context[Symbol.dispose]();
    this.#onEnd();
    const { events, clock } = this.#options;
    if (!events.wanted) return;
    const { method, target, protocol, remoteAddress } = this.#exchange;
    events.emit({
      kind: "request-finished",
      method,
      target,
      protocol,
      remoteAddress,
      status: this.#sending.status,
      aborted: this.#sending.aborted !== undefined,
      durationMs: clock.now() - this.#start,
    });
  };
}

/** Methods that no platform request can have: they are for proxies, and against them. */
const unsupported = new Set(["CONNECT", "TRACE", "TRACK"]);

/** What is refused before a handler sees it. */
function refuse(exchange: Exchange, { maxHeaderCount, maxBodySize }: RequestLimits): HttpProblem | undefined {
  if (exchange.headers.length > 2 * maxHeaderCount) {
    return new HttpProblem({ status: 431, detail: `The request has more than ${maxHeaderCount} header fields` });
  }
  if (unsupported.has(exchange.method)) {
    return new HttpProblem({ status: 501, detail: `${exchange.method} is not supported` });
  }
  if (!hasGoodTarget(exchange)) {
    return new HttpProblem({ status: 400, detail: "The target of the request must be a path of an http or https URL" });
  }
  if (exchange.authority === "") return new HttpProblem({ status: 400, detail: "The request must name one host" });
  try {
    originOf(exchange.scheme, exchange.authority);
  } catch {
    return new HttpProblem({ status: 400, detail: "The host of the request is malformed" });
  }
  if (exchange.hasBody && (declaredLength(exchange) ?? 0) > maxBodySize) return tooLarge(maxBodySize);
  return undefined;
}

function assertResponse(response: unknown): asserts response is Response {
  if (response instanceof Response) return;
  throw new TypeError(`Cannot answer a request: the handler must return a Response, got ${String(response)}`);
}

function internalError(): Response {
  return new HttpProblem({ status: 500, detail: "The server failed to answer this request" }).toResponse();
}
