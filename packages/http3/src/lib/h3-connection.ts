// One HTTP/3 connection: its streams, what it may take of our memory, and when it is time to end it.
import type { Clock } from "@proj/concurrency";
import type { Http3Endpoint } from "./engine.ts";
import { ByteBudget } from "./h3-budget.ts";
import { H3_EXCESSIVE_LOAD, H3_MESSAGE_ERROR, H3_NO_ERROR, H3_REQUEST_REJECTED } from "./h3-codes.ts";
import { gone, Http3Exchange } from "./h3-exchange.ts";
import {
  CONNECTION_BUFFER,
  CONNECTION_SPILL,
  type Http3Limits,
  processBudgets,
  RESET_BURST,
  RESETS_PER_SECOND,
} from "./h3-limits.ts";
import { type RequestHead, readRequest } from "./h3-messages.ts";
import { ReceiveBuffer } from "./h3-receive.ts";

/** What a connection needs from its server. */
export interface ConnectionHost {
  readonly clock: Clock;
  readonly limits: Required<Http3Limits>;
  readonly draining: boolean;
  dispatch(exchange: Http3Exchange): void;
  /** The value of the `date` field, now. */
  date(): string;
  /** A request began (1) or has its answer (-1). */
  count(change: 1 | -1): void;
}

/** How often a connection that is to be closed is asked whether its last answers are through. */
const QUIET_POLL = 100;

/** A connection without an answer for so long has delivered the last one, or never will. */
const QUIET_FOR_SURE = 5_000;

export class Http3Connection {
  readonly id: number;
  readonly endpoint: Http3Endpoint;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #host: ConnectionHost;
  readonly #exchanges = new Map<number, Http3Exchange>();
  readonly #memory = new ByteBudget(CONNECTION_BUFFER, processBudgets.memory);
  readonly #disk = new ByteBudget(CONNECTION_SPILL, processBudgets.disk);
  #inFlight = 0;
  #quietSince: number;
  #hadRequest = false;
  #resetsLeft = RESET_BURST;
  #resetsAt: number;
  #retiring = false;
  #closing = false;

  constructor(id: number, endpoint: Http3Endpoint, address: string, port: number, host: ConnectionHost) {
    this.id = id;
    this.endpoint = endpoint;
    this.remoteAddress = address;
    this.remotePort = port;
    this.#host = host;
    this.#quietSince = host.clock.now();
    this.#resetsAt = this.#quietSince;
  }

  get clock(): Clock {
    return this.#host.clock;
  }

  get limits(): Required<Http3Limits> {
    return this.#host.limits;
  }

  date(): string {
    return this.#host.date();
  }

  makeBuffer(): ReceiveBuffer {
    return new ReceiveBuffer(new ByteBudget(this.limits.maxBufferedBody, this.#memory), this.#disk);
  }

  receiveHeaders(stream: number, list: readonly string[], fin: boolean): void {
    const known = this.#exchanges.get(stream);
    if (known !== undefined) {
      known.receiveTrailers(list);
      if (fin) known.receiveEnd();
      return;
    }
    if (this.#host.draining || this.#closing) {
      this.endpoint.reset(this.id, stream, H3_REQUEST_REJECTED);
      return;
    }
    this.#hadRequest = true;
    const head = readRequest(list, this.limits);
    if ("kind" in head) {
      if (head.kind === "malformed") this.#refuseMessage(stream);
      else this.#begin(stream, unreadable, fin).refuse(431, "Request Header Fields Too Large");
      return;
    }
    if (fin && (head.contentLength ?? 0) > 0) {
      this.#refuseMessage(stream);
      return;
    }
    const exchange = this.#begin(stream, head, fin);
    if (head.method === "CONNECT") exchange.refuse(501, "Not Implemented");
    else this.#host.dispatch(exchange);
  }

  receiveData(stream: number, chunk: Uint8Array): void {
    this.#exchanges.get(stream)?.receive(chunk);
  }

  receiveEnd(stream: number): void {
    this.#exchanges.get(stream)?.receiveEnd();
  }

  receiveReset(stream: number): void {
    const exchange = this.#exchanges.get(stream);
    if (exchange === undefined) return;
    exchange.receiveReset();
    this.#countReset();
  }

  block(stream: number): void {
    this.#exchanges.get(stream)?.block();
  }

  /** `stream` -1: all of them. */
  unblock(stream: number): void {
    if (stream >= 0) this.#exchanges.get(stream)?.unblock();
    else for (const exchange of [...this.#exchanges.values()]) exchange.unblock();
  }

  /** An exchange has its whole answer, or will never have one. */
  answered(): void {
    this.#inFlight -= 1;
    this.#quietSince = this.clock.now();
    this.#host.count(-1);
    if (this.#inFlight === 0 && this.#host.draining) this.retire();
  }

  /** An exchange needs nothing of its stream any more. */
  release(stream: number): void {
    this.#exchanges.delete(stream);
  }

  /** Ends the connection as soon as nothing is in flight on it. */
  retire(): void {
    if (this.#inFlight > 0 || this.#retiring) return;
    this.#retiring = true;
    if (this.clock.now() - this.#quietSince > QUIET_FOR_SURE) this.#close(H3_NO_ERROR, "");
    else this.#closeWhenQuiet(-1);
  }

  /** Ends every exchange that has not its whole answer. */
  stop(cause: Error): void {
    for (const exchange of [...this.#exchanges.values()]) exchange.stop(cause);
  }

  lost(reason: string): void {
    const cause = gone(`The connection was lost${reason === "" ? "" : `: ${reason}`}`);
    for (const exchange of [...this.#exchanges.values()]) exchange.lost(cause);
  }

  /** Called every second. */
  sweep(now: number): void {
    for (const exchange of [...this.#exchanges.values()]) exchange.sweep(now);
    const limit = this.#hadRequest ? this.limits.keepAliveTimeout : this.limits.requestTimeout;
    if (this.#exchanges.size === 0 && now - this.#quietSince > limit) this.#close(H3_NO_ERROR, "no request in time");
  }

  #begin(stream: number, head: RequestHead, fin: boolean): Http3Exchange {
    const exchange = new Http3Exchange(this, stream, head, fin);
    this.#exchanges.set(stream, exchange);
    this.#inFlight += 1;
    this.#host.count(1);
    return exchange;
  }

  #refuseMessage(stream: number): void {
    this.endpoint.reset(this.id, stream, H3_MESSAGE_ERROR);
    this.#countReset();
  }

  // A client may give requests up, but one that does so all the time makes us work for nothing ("rapid reset").
  #countReset(): void {
    const now = this.clock.now();
    const earned = ((now - this.#resetsAt) / 1000) * RESETS_PER_SECOND;
    this.#resetsLeft = Math.min(RESET_BURST, this.#resetsLeft + earned) - 1;
    this.#resetsAt = now;
    if (this.#resetsLeft < 0) this.#close(H3_EXCESSIVE_LOAD, "too many resets");
  }

  // The engine closes whatever is in flight, and does not say when a client has everything. So an answer counts as
  // delivered once the engine sends no more packets, for long enough to see a lost one be sent again.
  #closeWhenQuiet(packetsBefore: number): void {
    const stats = this.endpoint.stats(this.id);
    if (stats === undefined) return;
    if (stats.packetsOut === packetsBefore) {
      this.#close(H3_NO_ERROR, "");
      return;
    }
    const pause = Math.max(QUIET_POLL, 4 * stats.rttMs);
    this.clock.setTimeout(() => this.#closeWhenQuiet(stats.packetsOut), pause);
  }

  #close(code: number, reason: string): void {
    // Each close starts the engine's moment of grace anew: a client could keep a connection alive with what ends it.
    if (this.#closing) return;
    this.#closing = true;
    this.endpoint.closeConnection(this.id, code, reason);
  }
}

/** Stands for a request whose head was too large to read. */
const unreadable: RequestHead = {
  method: "",
  scheme: "",
  authority: "",
  target: "",
  headers: [],
  contentLength: undefined,
};
