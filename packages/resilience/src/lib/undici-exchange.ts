// One request under policies: attempts go out by the dispatcher inside, one response comes back.
import { Context, type OwnedContext } from "@proj/concurrency";
import type { Dispatcher } from "undici";
import type { CallOptions, ResilientTask } from "./call.ts";
import type { Endpoint } from "./endpoint.ts";
import { beginPhase } from "./phases.ts";
import { injectPriority, priorityHeader } from "./priority.ts";
import { Attempt, errorOf, type Receiver } from "./undici-attempt.ts";
import { RequestBody } from "./undici-body.ts";
import { BodySpentError, markBroken, markSpent } from "./undici-body-spent.ts";
import { cannedAttempt } from "./undici-canned.ts";
import { CallController } from "./undici-controller.ts";
import { headerOf, type RequestHeaders, withHeaders } from "./undici-headers.ts";
import { AttemptHead, type ResponseHead } from "./undici-response.ts";

/** Policies to send requests through, as `resilient` and `compose` make them. */
export type RequestPolicies = (task: ResilientTask<ResponseHead>, options?: CallOptions) => Promise<unknown>;

/** How requests are sent. */
export interface ExchangeSettings {
  readonly propagate: boolean;
  readonly maxReplay: number;
}

/** Those that RFC 9110, section 9.2.2, calls idempotent, and QUERY. */
const idempotentMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"]);

export class Exchange implements Receiver {
  readonly handler: Dispatcher.DispatchHandler;
  readonly controller: CallController;
  readonly #policies: RequestPolicies;
  readonly #dispatch: Dispatcher.Dispatch;
  readonly #request: Dispatcher.DispatchOptions;
  readonly #settings: ExchangeSettings;
  readonly #body: RequestBody;
  /** Ends with the caller's, by an abort of the caller, and with the response. */
  readonly #context: OwnedContext = Context.derive();
  readonly #attempts = new Set<Attempt>();
  #registration: Disposable | undefined;
  #isOver = false;

  constructor(
    policies: RequestPolicies,
    dispatch: Dispatcher.Dispatch,
    request: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler,
    settings: ExchangeSettings,
  ) {
    this.handler = handler;
    this.#policies = policies;
    this.#dispatch = dispatch;
    this.#request = request;
    this.#settings = settings;
    const length = headerOf(request.headers, "content-length");
    this.#body = new RequestBody(request.body, length === undefined ? undefined : Number(length), settings.maxReplay);
    this.controller = new CallController((reason) => this.#context.cancel(reason));
  }

  start(): void {
    try {
      this.handler.onRequestStart?.(this.controller, null);
    } catch (error) {
      this.#fail(error);
      return;
    }
    void this.#run();
  }

  /** The response is over. */
  readonly done = (): void => {
    this.#isOver = true;
    this.#registration?.[Symbol.dispose]();
    this.#body.end();
    for (const attempt of this.#attempts) attempt.discard();
    this.#context.cancel(); // what goes on for it ends
  };

  async #run(): Promise<void> {
    const { origin, method, headers, idempotent } = this.#request;
    const isIdempotent =
      idempotent ?? (idempotentMethods.has(method) || headerOf(headers, "idempotency-key") !== undefined);
    const options: CallOptions = {
      key: originOf(origin),
      idempotent: isIdempotent && this.#body.isRepeatable,
      signal: this.#context,
    };
    try {
      this.#deliver(await this.#policies((context, call) => this.#attempt(context, call.endpoint), options));
    } catch (error) {
      this.#fail(error);
    }
  }

  async #attempt(context: Context, endpoint: Endpoint | undefined): Promise<ResponseHead> {
    if (this.#body.isSpent) throw new BodySpentError();
    const attempt = new Attempt(this.handler, this.controller, () => beginPhase("headers", context));
    this.#attempts.add(attempt);
    const ending = Context.after(context, (cause) => attempt.abort(errorOf(cause)));
    beginPhase("connect", context);
    try {
      this.#dispatch(this.#requestFor(context, endpoint), attempt);
      const head = await attempt.head;
      if (this.#body.isSpent) markSpent(head);
      return head;
    } catch (error) {
      this.#attempts.delete(attempt);
      attempt.abort(errorOf(error)); // if the dispatcher itself has thrown
      if (this.#body.isSpent) markSpent(error);
      if (this.#body.isFailure(error)) markBroken(error);
      throw error;
    } finally {
      ending[Symbol.dispose]();
    }
  }

  #requestFor(context: Context, endpoint: Endpoint | undefined): Dispatcher.DispatchOptions {
    const { origin, headers } = this.#request;
    const added: Record<string, string> = {};
    if (this.#settings.propagate) propagate(context, headers, added);
    const request: Dispatcher.DispatchOptions & { servername?: string } = {
      ...this.#request,
      body: this.#body.take() as Dispatcher.DispatchOptions["body"] & {},
    };
    if (endpoint !== undefined && origin !== undefined) {
      const url = new URL(origin);
      request.origin = addressOf(endpoint, url);
      // Only the address is another: names, and so certificates, are those that the caller has used.
      if (headerOf(headers, "host") === undefined) added["host"] = url.host;
      if (url.protocol === "https:") request.servername ??= url.hostname;
    }
    if (Object.keys(added).length > 0) request.headers = withHeaders(headers, added);
    return request;
  }

  #deliver(result: unknown): void {
    const attempt = AttemptHead.attemptOf(result) ?? cannedAttempt(result, this.handler, this.controller);
    this.#attempts.delete(attempt);
    for (const other of this.#attempts) other.discard();
    this.controller.follow(attempt);
    this.#registration = Context.after(this.#context, (cause) => attempt.abort(errorOf(cause)));
    try {
      attempt.deliver(this);
    } catch (error) {
      attempt.abort(errorOf(error)); // the caller's own handler has failed, and is told so as by undici itself
    }
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.done();
    this.handler.onResponseError?.(this.controller, errorOf(error));
  }
}

function propagate(context: Context, headers: RequestHeaders, added: Record<string, string>): void {
  const present = headerOf(headers, deadlineHeader);
  if (present !== undefined) added[deadlineHeader] = present; // a shorter one stays
  Context.inject(context, added);
  if (headerOf(headers, priorityHeader) !== undefined) return;
  injectPriority(context, { set: (name, value) => (added[name] = value) });
}

const deadlineHeader = "x-deadline-ms";

function originOf(origin: string | URL | undefined): string {
  return origin === undefined ? "" : new URL(origin).origin;
}

function addressOf({ address }: Endpoint, { protocol }: URL): string {
  return address.includes("://") ? new URL(address).origin : `${protocol}//${address}`;
}
