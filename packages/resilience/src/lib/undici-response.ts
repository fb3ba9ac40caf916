// What an attempt at a request comes to, as policies and classifiers see it.
import type { IncomingHttpHeaders } from "node:http";
import type { Attempt } from "./undici-attempt.ts";

/**
 * The head of a response, before anything of it has reached the caller. It is what the policies of a dispatcher take for
 * the result of an attempt; the default classifier reads `status` and `headers`.
 */
export interface ResponseHead {
  /** From 200 on. */
  readonly status: number;
  /** The reason phrase; empty in HTTP/2. */
  readonly statusText: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Nobody has read it yet. A policy that drops the response cancels it. */
  readonly body: { cancel(): Promise<void> };
}

export class AttemptHead implements ResponseHead {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Readonly<IncomingHttpHeaders>;
  readonly body: { cancel(): Promise<void> };
  readonly #attempt: Attempt;

  constructor(attempt: Attempt, status: number, statusText: string, headers: IncomingHttpHeaders) {
    this.status = status;
    this.statusText = statusText;
    this.headers = headers;
    this.#attempt = attempt;
    this.body = { cancel: async () => attempt.discard() };
  }

  /** The attempt that a value is the head of the response of; `undefined` for any other value. */
  static attemptOf(value: unknown): Attempt | undefined {
    return typeof value === "object" && value !== null && #attempt in value ? value.#attempt : undefined;
  }
}
