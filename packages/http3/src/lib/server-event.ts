// What a server tells about itself: one union, to a function and to whoever listens on the diagnostics channel.
import { channel } from "node:diagnostics_channel";
import { inspect } from "node:util";
import type { Protocol } from "./exchange.ts";

/** What happens in a server, as `ServeOptions.onEvent` and the diagnostics channel `@proj/http3` get it. */
export type ServerEvent =
  | {
      /** The answer is handed to the system, or the request ended without one. */
      readonly kind: "request-finished";
      readonly method: string;
      /** Path and query as received. */
      readonly target: string;
      readonly protocol: Protocol;
      readonly remoteAddress: string;
      /** 0 where no answer was begun. */
      readonly status: number;
      /** The client gave up, or the server did while closing. */
      readonly aborted: boolean;
      readonly durationMs: number;
    }
  | {
      /** A handler threw or answered with something that cannot be sent; the client got a bare 500 or a cut-off body. */
      readonly kind: "handler-failed";
      readonly method: string;
      readonly target: string;
      readonly protocol: Protocol;
      readonly error: unknown;
    }
  | {
      /** The server runs without HTTP/3 though it was asked for. */
      readonly kind: "http3-unavailable";
      readonly reason: string;
      readonly error: unknown;
    }
  | {
      /** A connection ended by a fault of the peer or the network: a failed handshake, malformed bytes. */
      readonly kind: "connection-failed";
      readonly remoteAddress: string | undefined;
      readonly error: Error;
    }
  | {
      readonly kind: "drain-started";
      /** Requests that are not finished yet. */
      readonly active: number;
    }
  | {
      readonly kind: "drain-finished";
      /** Requests that were cut off because the time was over. */
      readonly aborted: number;
      readonly durationMs: number;
    };

const events = channel("@proj/http3");

/** Where the parts of a server report to. */
export class EventSink {
  readonly #onEvent: ((event: ServerEvent) => void) | undefined;

  constructor(onEvent: ((event: ServerEvent) => void) | undefined) {
    this.#onEvent = onEvent;
  }

  /** Whether anybody listens: if not, events that say nothing bad need not be made. */
  get wanted(): boolean {
    return this.#onEvent !== undefined || events.hasSubscribers;
  }

  emit(event: ServerEvent): void {
    if (events.hasSubscribers) events.publish(event);
    if (this.#onEvent) {
      try {
        this.#onEvent(event);
      } catch (error) {
        process.emitWarning(warning("onEvent failed", error)); // an observer must not break the server
      }
    } else if (event.kind === "handler-failed") {
      process.emitWarning(warning(`The handler of ${event.method} ${event.target} failed`, event.error));
    } else if (event.kind === "http3-unavailable") {
      process.emitWarning(`HTTP/3 is off: ${event.reason}`, { code: "ERR_HTTP3_UNAVAILABLE" });
    }
  }
}

function warning(message: string, error: unknown): string {
  return `${message}: ${inspect(error)}`; // not String(): that throws for objects without a prototype
}
