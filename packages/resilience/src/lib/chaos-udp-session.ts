// What a UDP proxy keeps for each client, as a NAT does: a socket of its own towards the server.
import { createSocket, type Socket } from "node:dgram";
import type { Clock } from "@proj/concurrency";
import { mix } from "./chaos-random.ts";
import type { UdpToxic } from "./chaos-toxic.ts";
import { type NumberedToxic, toxicsFor } from "./chaos-toxics.ts";
import { type DatagramCounts, UdpLink } from "./chaos-udp-link.ts";

/** A client of a `udpProxy`, as it is now. */
export interface ProxySession {
  /** Counted from 1. */
  readonly id: number;
  /** Host and port of the client. */
  readonly client: string;
  /** The port that the server sees; 0 before the first datagram. */
  readonly port: number;
  /** Milliseconds since the last datagram, in either direction. */
  readonly idleMs: number;
  /** Datagrams to the server. */
  readonly upstream: DatagramCounts;
  /** Datagrams to the client. */
  readonly downstream: DatagramCounts;
  /** From now on the server sees another port. What it still sends to the old one is lost. Nothing once it is forgotten. */
  rebind(): void;
}

export interface UdpSessionSettings {
  readonly clock: Clock;
  readonly seed: number;
  readonly buffer: number;
  readonly server: { readonly address: string; readonly port: number; readonly type: "udp4" | "udp6" };
  readonly answer: (data: Buffer) => void;
  /** Something came from the server. */
  readonly onTraffic: (session: UdpSession) => void;
}

export class UdpSession implements ProxySession {
  readonly id: number;
  readonly client: string;
  readonly #settings: UdpSessionSettings;
  readonly #upstream: UdpLink;
  readonly #downstream: UdpLink;
  #socket: Socket;
  #port = 0;
  #isClosed = false;
  usedAt: number;

  constructor(id: number, client: string, settings: UdpSessionSettings) {
    const { clock, seed, buffer, answer } = settings;
    this.id = id;
    this.client = client;
    this.#settings = settings;
    this.usedAt = clock.now();
    this.#socket = this.#bind();
    const common = { clock, buffer };
    this.#upstream = new UdpLink({ ...common, seed: mix(mix(seed, id), 1), send: (data) => this.#forward(data) });
    this.#downstream = new UdpLink({ ...common, seed: mix(mix(seed, id), 2), send: answer });
  }

  get port(): number {
    return this.#port;
  }

  get idleMs(): number {
    return this.#settings.clock.now() - this.usedAt;
  }

  get upstream(): DatagramCounts {
    return this.#upstream.counts;
  }

  get downstream(): DatagramCounts {
    return this.#downstream.counts;
  }

  set toxics(entries: readonly NumberedToxic<UdpToxic>[]) {
    const { seed } = this.#settings;
    this.#upstream.toxics = toxicsFor(entries, "upstream", seed, this.id);
    this.#downstream.toxics = toxicsFor(entries, "downstream", seed, this.id);
  }

  take(data: Buffer): void {
    this.#upstream.take(data);
  }

  rebind(): void {
    if (this.#isClosed) return;
    const old = this.#socket;
    this.#port = 0;
    this.#socket = this.#bind(); // first, or it might get the same port
    old.close();
  }

  close(): void {
    this.#isClosed = true;
    this.#upstream.close();
    this.#downstream.close();
    this.#socket.close();
  }

  #forward(data: Buffer): void {
    const { address, port } = this.#settings.server;
    this.#socket.send(data, port, address, () => {}); // a datagram that cannot be sent is one that got lost
  }

  #bind(): Socket {
    const { server, onTraffic } = this.#settings;
    const socket = createSocket(server.type);
    socket.on("error", () => {}); // nobody is there: with UDP, that is silence
    socket.on("listening", () => {
      this.#port = socket.address().port;
    });
    socket.on("message", (data, { address, port }) => {
      if (port !== server.port || address !== server.address) return; // not from the one it was sent to
      onTraffic(this);
      this.#downstream.take(data);
    });
    socket.bind({ address: server.type === "udp4" ? "0.0.0.0" : "::" });
    return socket;
  }
}
