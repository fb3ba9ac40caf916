// One attempt at a request, held back from its head on until it is known whether the caller gets it.
import type { IncomingHttpHeaders } from "node:http";
import { systemClock, type Timer } from "@proj/concurrency";
import type { Dispatcher } from "undici";
import { AttemptHead } from "./undici-response.ts";

/** Who gets a response: the caller, in the end. */
export interface Receiver {
  readonly controller: Dispatcher.DispatchController;
  readonly handler: Dispatcher.DispatchHandler;
  /** The response is over. */
  done(): void;
}

/** What arrived while nobody was there to take it. */
type Held =
  | { readonly kind: "data"; readonly chunk: Buffer }
  | { readonly kind: "end"; readonly trailers: IncomingHttpHeaders }
  | { readonly kind: "error"; readonly error: Error };

/** Bytes of a body that are taken before it is known whether anybody wants them: so a short one frees its connection. */
const heldBytes = 16_384;

/** Bytes and milliseconds that are spent on the rest of a response that nobody wants, to keep its connection. */
const drainBytes = 65_536;
const drainTime = 1_000;

export class Attempt implements Dispatcher.DispatchHandler {
  /** Settles with the head, or with why there is none. */
  readonly head: Promise<AttemptHead>;
  readonly #head = Promise.withResolvers<AttemptHead>();
  readonly #informed: Dispatcher.DispatchHandler;
  readonly #proxy: Dispatcher.DispatchController;
  readonly #onStart: () => void;
  #response: AttemptHead | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #receiver: Receiver | undefined;
  #held: Held[] = [];
  #heldBytes = 0;
  #abortedWith: Error | undefined;
  #isOver = false;
  /** The receiver has had all of it. */
  #isDelivered = false;
  #drained = -1; // less than none: it is not drained
  #drainTimer: Timer | undefined;

  /** `informed` hears of what comes before the head, which is nobody's alone. `onStart` is called with a connection. */
  constructor(informed: Dispatcher.DispatchHandler, proxy: Dispatcher.DispatchController, onStart: () => void) {
    this.#informed = informed;
    this.#proxy = proxy;
    this.#onStart = onStart;
    this.head = this.#head.promise;
    this.head.catch(() => {}); // the one who waits may have left
  }

  /** Of the connection; `undefined` before there is one. */
  get controller(): Dispatcher.DispatchController | undefined {
    return this.#controller;
  }

  /** Hands the response to the one it is for, from its head on. Only once: it is not kept. */
  deliver(receiver: Receiver): void {
    if (this.#response === undefined || this.#receiver !== undefined || this.#drained >= 0) {
      throw new TypeError("Cannot answer a request: the policies returned a response that was used before");
    }
    const { status, headers, statusText } = this.#response;
    this.#receiver = receiver;
    receiver.handler.onResponseStart?.(receiver.controller, status, headers, statusText);
    this.resume();
  }

  /** Nobody wants the rest. A little of it is read, so that the connection can be used again. */
  discard(): void {
    if (this.#isOver || this.#receiver !== undefined || this.#drained >= 0) return;
    this.#drained = 0;
    this.#held = [];
    this.#drainTimer = systemClock.setTimeout(() => this.abort(new Error("Nobody waits for this response")), drainTime);
    this.#controller?.resume();
  }

  /** Ends the request, whether it has a connection already or not. */
  abort(error: Error): void {
    this.#held = []; // what is not delivered by now never is
    if (this.#isOver) {
      if (this.#receiver !== undefined && !this.#isDelivered) this.#pass(this.#receiver, { kind: "error", error });
      return;
    }
    this.#abortedWith ??= error;
    this.#head.reject(error);
    this.#controller?.abort(error);
  }

  pause(): void {
    this.#controller?.pause();
  }

  /** Goes on with what was held back, and then with what comes. */
  resume(): void {
    const receiver = this.#receiver;
    if (receiver === undefined) return;
    try {
      for (let next = this.#held.shift(); next !== undefined; next = this.#held.shift()) {
        this.#pass(receiver, next);
        if (receiver.controller.paused) return;
      }
    } catch (error) {
      this.abort(errorOf(error)); // the handler has failed, and is told so, as by undici itself
    }
    this.#controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#abortedWith === undefined) this.#onStart();
    else controller.abort(this.#abortedWith);
  }

  onResponseStarted(): void {
    this.#informed.onResponseStarted?.();
  }

  onBodySent(chunk: Buffer): void {
    this.#informed.onBodySent?.(chunk);
  }

  onRequestSent(): void {
    this.#informed.onRequestSent?.();
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    statusText = "",
  ): void {
    if (status < 200) {
      this.#informed.onResponseStart?.(this.#proxy, status, headers, statusText);
      return;
    }
    this.#response = new AttemptHead(this, status, statusText, headers);
    this.#head.resolve(this.#response);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#drained < 0) {
      this.#take({ kind: "data", chunk });
      if (this.#receiver !== undefined) return;
      this.#heldBytes += chunk.length;
      if (this.#heldBytes >= heldBytes) controller.pause();
      return;
    }
    this.#drained += chunk.length;
    if (this.#drained > drainBytes) controller.abort(new Error("Nobody waits for this response"));
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.#isOver = true;
    this.#drainTimer?.clear();
    this.#take({ kind: "end", trailers });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#isOver = true;
    this.#drainTimer?.clear();
    this.#head.reject(this.#abortedWith ?? error);
    this.#take({ kind: "error", error });
  }

  #take(held: Held): void {
    const receiver = this.#receiver;
    if (receiver === undefined || this.#held.length > 0) this.#held.push(held);
    else this.#pass(receiver, held);
  }

  #pass({ handler, controller, done }: Receiver, held: Held): void {
    if (held.kind === "data") {
      handler.onResponseData?.(controller, held.chunk);
      return;
    }
    done();
    if (held.kind === "end") handler.onResponseEnd?.(controller, held.trailers);
    this.#isDelivered = true;
    if (held.kind === "error") handler.onResponseError?.(controller, held.error);
  }
}

/** As the interface of undici wants it. */
export function errorOf(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error("The request was given up", { cause });
}
