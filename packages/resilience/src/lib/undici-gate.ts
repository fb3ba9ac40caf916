// A gate that requests stay in to the end of their responses.
import type { IncomingHttpHeaders } from "node:http";
import { Context } from "@proj/concurrency";
import { checkFunction } from "@proj/concurrency/options";
import type { Dispatcher } from "undici";
import { CallRecord } from "./call-record.ts";
import { type Classify, classify } from "./classify.ts";
import type { Gate } from "./policy.ts";
import { callPriority } from "./priority.ts";
import { type Interceptor, isTunnel } from "./undici-interceptors.ts";
import { judge } from "./verdict.ts";

/** How a gate sees requests. */
export interface GateInterceptorOptions {
  /** In messages and events. Default: `"undici"`. */
  readonly name?: string | undefined;
  /** Says how requests have ended, by their status and headers or their error. Default: `classify`. */
  readonly classify?: Classify | undefined;
}

/**
 * Sends requests through one gate, such as a breaker or a bulkhead, which they leave when the last byte of the response is
 * there, or has failed to come. In a stack of policies they leave with its head: so this is for what limits or measures
 * whole transfers. The key is the origin.
 *
 * @throws TypeError for what is no gate
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { breaker } from "@proj/resilience";
 * import { gateInterceptor } from "@proj/resilience/undici";
 * import { Agent, request } from "undici";
 *
 * const server = createServer((_request, response) => {
 *   response.writeHead(200, { "content-length": 10 }).write("half ");
 *   setTimeout(() => response.destroy(), 20); // breaks off in the middle
 * });
 * await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
 * const { port } = server.address() as { port: number };
 *
 * const circuit = breaker({ consecutive: 1 });
 * const dispatcher = new Agent().compose(gateInterceptor(circuit));
 * const { body } = await request(`http://127.0.0.1:${port}/`, { dispatcher });
 * await body.text().catch(() => {});
 * console.log(circuit.state(`http://127.0.0.1:${port}`)); // prints: open
 * await dispatcher.close();
 * server.close();
 * ```
 */
export function gateInterceptor(gate: Gate, options: GateInterceptorOptions = {}): Interceptor {
  const action = "make a gateInterceptor";
  const { name = "undici", classify: decide = classify } = options;
  checkFunction(action, "gate.enter", gate?.enter);
  checkFunction(action, "gate.exit", gate.exit);
  checkFunction(action, "classify", decide);
  return (dispatch) => (request, handler) => {
    if (isTunnel(request)) return dispatch(request, handler);
    const context = Context.current();
    const { clock } = context;
    const key = request.origin === undefined ? undefined : new URL(request.origin).origin;
    const priority = context.get(callPriority) ?? 0;
    const call = new CallRecord(name, context, key, false, priority, 1, clock, clock.now(), undefined);
    let token: number;
    try {
      token = gate.enter(call);
    } catch (error) {
      // As undici does for what never gets a connection.
      handler.onResponseError?.(null as unknown as Dispatcher.DispatchController, error as Error);
      return true;
    }
    return dispatch(request, new Visit(handler, gate, call, token, decide));
  };
}

class Visit implements Dispatcher.DispatchHandler {
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #gate: Gate;
  readonly #call: CallRecord;
  readonly #token: number;
  readonly #decide: Classify;
  #isOver = false;

  constructor(handler: Dispatcher.DispatchHandler, gate: Gate, call: CallRecord, token: number, decide: Classify) {
    this.#handler = handler;
    this.#gate = gate;
    this.#call = call;
    this.#token = token;
    this.#decide = decide;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    this.#handler.onRequestStart?.(controller, context);
  }

  onResponseStarted(): void {
    this.#handler.onResponseStarted?.();
  }

  onBodySent(chunk: Buffer): void {
    this.#handler.onBodySent?.(chunk);
  }

  onRequestSent(): void {
    this.#handler.onRequestSent?.();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    statusMessage?: string,
  ): void {
    this.#call.value = { status, headers };
    this.#handler.onResponseStart?.(controller, status, headers, statusMessage);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#handler.onResponseData?.(controller, chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.#leave(undefined);
    this.#handler.onResponseEnd?.(controller, trailers);
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    // Whoever reads may have had enough: that says nothing of the server.
    this.#leave(error, controller?.aborted === true);
    this.#handler.onResponseError?.(controller, error);
  }

  #leave(error: Error | undefined, isGivenUp = false): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const call = this.#call;
    call.endedAt = call.clock.now();
    call.error = error;
    call.hasThrown = error !== undefined;
    if (error !== undefined) call.value = undefined;
    if (isGivenUp) call.outcome = "ignore";
    else judge(call, this.#decide);
    this.#gate.exit(call, this.#token);
  }
}
