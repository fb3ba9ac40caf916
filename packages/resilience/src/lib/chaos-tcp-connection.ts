// One proxied TCP connection: two sockets and a link each way.
import { connect, type Socket } from "node:net";
import type { Clock, Timer } from "@proj/concurrency";
import { formatAddress } from "./chaos-address.ts";
import { mix } from "./chaos-random.ts";
import { TcpLink } from "./chaos-tcp-link.ts";
import type { ResetToxic, TcpToxic } from "./chaos-toxic.ts";
import { type NumberedToxic, ofType, toxicsFor } from "./chaos-toxics.ts";

/** A connection through a `tcpProxy`, as it is now. */
export interface ProxyConnection {
  /** Counted from 1. */
  readonly id: number;
  /** Host and port of the client. */
  readonly client: string;
  /** Milliseconds for which it has been open. */
  readonly ageMs: number;
  /** Bytes passed on to the server. */
  readonly bytesUpstream: number;
  /** Bytes passed on to the client. */
  readonly bytesDownstream: number;
  /** Bytes that wait in the proxy, in both directions. */
  readonly queued: number;
  /** Bytes that got lost, in both directions. */
  readonly dropped: number;
  /** Resets both sides. */
  reset(): void;
}

export interface TcpConnectionSettings {
  readonly clock: Clock;
  readonly seed: number;
  readonly buffer: number;
  readonly upstream: { readonly host: string; readonly port: number };
  readonly onConnectError: (error: Error) => void;
  readonly onClose: (connection: TcpConnection) => void;
}

export class TcpConnection implements ProxyConnection {
  readonly id: number;
  readonly client: string;
  readonly #settings: TcpConnectionSettings;
  readonly #openedAt: number;
  readonly #clientSide: Socket;
  #serverSide: Socket | undefined;
  #upstream: TcpLink | undefined;
  #downstream: TcpLink | undefined;
  #isEnding = false;
  /** By the number of the toxic: others that come and go must not put it off. */
  readonly #resets = new Map<number, Timer>();
  #open = 1;

  constructor(id: number, clientSide: Socket, settings: TcpConnectionSettings) {
    this.id = id;
    this.client = formatAddress(clientSide.remoteAddress ?? "unknown", clientSide.remotePort ?? 0);
    this.#settings = settings;
    this.#openedAt = settings.clock.now();
    this.#clientSide = clientSide;
    clientSide.pause();
    this.#watch(clientSide);
  }

  get ageMs(): number {
    return this.#settings.clock.now() - this.#openedAt;
  }

  get bytesUpstream(): number {
    return this.#upstream?.bytes ?? 0;
  }

  get bytesDownstream(): number {
    return this.#downstream?.bytes ?? 0;
  }

  get queued(): number {
    return (this.#upstream?.queued ?? 0) + (this.#downstream?.queued ?? 0);
  }

  get dropped(): number {
    return (this.#upstream?.dropped ?? 0) + (this.#downstream?.dropped ?? 0);
  }

  set toxics(entries: readonly NumberedToxic<TcpToxic>[]) {
    const { seed } = this.#settings;
    const upstream = toxicsFor(entries, "upstream", seed, this.id);
    const downstream = toxicsFor(entries, "downstream", seed, this.id);
    const resets = ofType(downstream, "reset");
    if (resets.some(({ toxic }) => (toxic.after ?? 0) === 0)) {
      this.reset();
      return;
    }
    this.#resetLater(resets);
    // Nobody is behind a connection that is open on one side only, until that is over.
    const isAbandoned = ofType(upstream, "half-open").length > 0 && ofType(downstream, "half-open").length > 0;
    if (this.#serverSide === undefined && !isAbandoned) this.#connect();
    if (this.#upstream !== undefined) this.#upstream.toxics = upstream;
    if (this.#downstream !== undefined) this.#downstream.toxics = downstream;
  }

  reset(): void {
    reset(this.#clientSide);
    reset(this.#serverSide);
  }

  #resetLater(resets: readonly NumberedToxic<ResetToxic>[]): void {
    for (const [id, timer] of this.#resets) {
      if (resets.some((reset) => reset.id === id)) continue;
      timer.clear();
      this.#resets.delete(id);
    }
    for (const { id, toxic } of resets) {
      if (this.#resets.has(id)) continue;
      this.#resets.set(
        id,
        this.#settings.clock.setTimeout(() => this.reset(), toxic.after ?? 0),
      );
    }
  }

  #connect(): void {
    const { clock, seed, buffer, upstream, onConnectError } = this.#settings;
    const serverSide = connect({ ...upstream, allowHalfOpen: true, noDelay: true });
    this.#serverSide = serverSide;
    this.#open++;
    let isConnected = false;
    serverSide.on("connect", () => {
      isConnected = true;
    });
    serverSide.on("error", (error) => {
      if (!isConnected) onConnectError(error);
    });
    this.#watch(serverSide);
    const common = { clock, buffer, onLimit: () => this.#closeSoon() };
    this.#upstream = new TcpLink(this.#clientSide, serverSide, { ...common, seed: mix(mix(seed, this.id), 1) });
    this.#downstream = new TcpLink(serverSide, this.#clientSide, { ...common, seed: mix(mix(seed, this.id), 2) });
  }

  /** An end that was no orderly one is passed on as a reset, and a socket that is gone takes the other one along. */
  #watch(socket: Socket): void {
    socket.on("error", () => this.reset());
    socket.on("close", (hadError) => {
      this.#open--;
      const isOrderly = this.#isEnding || (socket.writableFinished && socket.readableEnded);
      if (hadError || !isOrderly) reset(socket === this.#clientSide ? this.#serverSide : this.#clientSide);
      if (this.#open > 0) return;
      this.#resetLater([]);
      this.#upstream?.close();
      this.#downstream?.close();
      this.#settings.onClose(this);
    });
  }

  /** What was written still goes out. */
  #closeSoon(): void {
    this.#isEnding = true;
    this.#upstream?.close();
    this.#downstream?.close();
    for (const socket of [this.#clientSide, this.#serverSide]) {
      socket?.resume(); // unread data would turn the end into a reset
      socket?.destroySoon();
    }
  }
}

function reset(socket: Socket | undefined): void {
  if (socket === undefined) return;
  // One that connects has nobody to send a reset to. While an end is on its way out, the system refuses a reset, and
  // Node.js then never closes the socket.
  const isEnding = socket.writableEnded && !socket.writableFinished;
  if (socket.connecting || isEnding) socket.destroy();
  else socket.resetAndDestroy();
}
