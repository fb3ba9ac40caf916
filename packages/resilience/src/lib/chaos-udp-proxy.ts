// A UDP proxy that makes the network worse than it is.
import { createSocket, type Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { isIP, isIPv6 } from "node:net";
import { type Clock, ClosedError, systemClock, type Timer } from "@proj/concurrency";
import { register } from "@proj/concurrency/inspect";
import { checkCount, checkDuration } from "@proj/concurrency/options";
import { canonical, checkPort, formatAddress, parseAddress } from "./chaos-address.ts";
import { type FaultProxy, type FaultProxyOptions, untilPortMayBeFree } from "./chaos-proxy.ts";
import { freshSeed } from "./chaos-random.ts";
import { type UdpToxic, udpTypes } from "./chaos-toxic.ts";
import { ToxicList } from "./chaos-toxics.ts";
import { type ProxySession, UdpSession } from "./chaos-udp-session.ts";

/** What can be set on {@link udpProxy}. */
export interface UdpProxyOptions extends FaultProxyOptions<UdpToxic> {
  /** Milliseconds without a datagram after which a client is forgotten. Default: 60,000. */
  readonly idle?: number | undefined;
  /** Clients at a time at most; one more, and the one that was silent longest is forgotten. Default: 1,000. */
  readonly maxSessions?: number | undefined;
}

/** What a {@link UdpProxy} has done so far. */
export interface UdpProxyStats {
  /** Whether it accepts datagrams. */
  readonly listening: boolean;
  /** Clients now. */
  readonly sessions: number;
  /** Clients since the start. */
  readonly accepted: number;
  /** How many toxics there are. */
  readonly toxics: number;
}

/** A proxy made by {@link udpProxy}. */
export interface UdpProxy extends FaultProxy<UdpToxic> {
  readonly protocol: "udp";
  /** The clients, the one that was silent longest first. */
  readonly sessions: readonly ProxySession[];
  /** Gives each client another port towards the server, as a NAT that has forgotten them does. */
  rebind(): void;
  /** A snapshot. */
  stats(): UdpProxyStats & Readonly<Record<string, unknown>>;
}

/**
 * Starts a UDP proxy in front of a server, such as one for DNS or QUIC. Without toxics it passes on all datagrams in
 * their order; with them it delays, loses, swaps, doubles or spoils some.
 *
 * Each client has a socket of its own towards the server, so that answers find their way back. **Memory**: bounded by
 * `maxSessions`, and `buffer` bytes on their way in each direction of each. **Seed**: the n-th datagram of a client in one
 * direction always has the same fate. **Keeps the process alive** until it is closed.
 *
 * @throws RangeError or TypeError for options that make no sense · the system's error if it cannot listen
 * @example
 * ```ts
 * import { createSocket } from "node:dgram";
 * import { udpProxy } from "@proj/resilience/chaos";
 *
 * const server = createSocket("udp4");
 * server.on("message", (data, { port, address }) => server.send(data, port, address));
 * await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
 * {
 *   await using proxy = await udpProxy({ upstream: server.address().port, seed: 1 });
 *   proxy.add({ type: "duplicate", rate: 1 });
 *   const client = createSocket("udp4");
 *   client.send("hello", proxy.port);
 *   for (let i = 0; i < 2; i++) {
 *     console.log(await new Promise<string>((resolve) => client.once("message", (data) => resolve(String(data)))));
 *     // prints: hello
 *   }
 *   client.close();
 * }
 * server.close();
 * ```
 */
export async function udpProxy(options: UdpProxyOptions): Promise<UdpProxy> {
  const proxy = new UdpFaultProxy(options);
  await proxy.start();
  return proxy;
}

class UdpFaultProxy implements UdpProxy {
  readonly protocol = "udp";
  readonly host: string;
  readonly upstream: string;
  readonly seed: number;
  readonly #name: string | undefined;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #clock: Clock;
  readonly #buffer: number;
  readonly #idle: number;
  readonly #maxSessions: number;
  readonly #list: ToxicList<UdpToxic>;
  /** By client, the one that was silent longest first. */
  readonly #sessions = new Map<string, UdpSession>();
  #server: { readonly address: string; readonly port: number; readonly type: "udp4" | "udp6" };
  #socket: Socket | undefined;
  #sweep: Timer | undefined;
  #port: number;
  #accepted = 0;
  #isClosed = false;
  #listening: Promise<void> = Promise.resolve();

  constructor(options: UdpProxyOptions) {
    const action = "start a udpProxy";
    const { upstream, port = 0, host = "127.0.0.1", name, toxics = [], buffer = 1_048_576 } = options;
    const { seed = freshSeed(), clock = systemClock, idle = 60_000, maxSessions = 1_000 } = options;
    if (isIP(host) === 0) throw new TypeError(`Cannot ${action}: host must be an IP address, got "${host}"`);
    this.#target = parseAddress(action, "upstream", upstream);
    this.upstream = formatAddress(this.#target.host, this.#target.port);
    this.#server = { address: this.#target.host, port: this.#target.port, type: "udp4" };
    this.host = host;
    this.#port = checkPort(action, "port", port, 0);
    this.#name = name;
    this.#buffer = checkCount(action, "buffer", buffer, 1);
    this.#idle = checkDuration(action, "idle", idle);
    this.#maxSessions = checkCount(action, "maxSessions", maxSessions, 1);
    this.seed = checkCount(action, "seed", seed, Number.MIN_SAFE_INTEGER) >>> 0;
    this.#clock = clock;
    this.#list = new ToxicList(udpTypes, toxics, () => this.#apply());
    if (name !== undefined) register("udp-proxy", name, this, (self) => self.stats());
  }

  get name(): string {
    return this.#name ?? this.address;
  }

  get port(): number {
    return this.#port;
  }

  get address(): string {
    return formatAddress(this.host, this.#port);
  }

  get toxics(): readonly UdpToxic[] {
    return this.#list.toxics;
  }

  get sessions(): readonly ProxySession[] {
    return [...this.#sessions.values()];
  }

  stats(): UdpProxyStats & Readonly<Record<string, unknown>> {
    return {
      listening: this.#socket !== undefined,
      sessions: this.#sessions.size,
      accepted: this.#accepted,
      toxics: this.#list.entries.length,
    };
  }

  /** Binds its port in any case; then it may be down. */
  async start(): Promise<void> {
    const { address, family } = await lookup(this.#target.host);
    this.#server = { address: canonical(address), port: this.#target.port, type: family === 6 ? "udp6" : "udp4" };
    await this.#listen();
    this.#apply();
  }

  add(toxic: UdpToxic): Disposable {
    this.#checkOpen();
    return this.#list.add(toxic);
  }

  set(toxics: readonly UdpToxic[]): void {
    this.#checkOpen();
    this.#list.set(toxics);
  }

  clear(): void {
    this.set([]);
  }

  rebind(): void {
    for (const session of this.#sessions.values()) session.rebind();
  }

  async ready(): Promise<void> {
    await this.#listening;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#hangUp();
    await this.#listening.catch(() => {}); // ready() tells it
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new ClosedError(this.name);
  }

  #apply(): void {
    if (this.#isClosed) return;
    if (this.#list.has("down")) {
      this.#hangUp();
      return;
    }
    if (this.#socket === undefined) {
      this.#listening = this.#listenAgain();
      this.#listening.catch(() => {}); // ready() tells it
    }
    for (const session of this.#sessions.values()) session.toxics = this.#list.entries;
  }

  #hangUp(): void {
    this.#sweep?.clear();
    this.#sweep = undefined;
    this.#socket?.close();
    this.#socket = undefined;
    for (const session of this.#sessions.values()) session.close();
    this.#sessions.clear();
  }

  async #listenAgain(): Promise<void> {
    while (!this.#isClosed && !this.#list.has("down") && this.#socket === undefined) {
      try {
        await this.#listen();
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
        await untilPortMayBeFree();
      }
    }
  }

  async #listen(): Promise<void> {
    const socket = createSocket(isIPv6(this.host) ? "udp6" : "udp4");
    this.#socket = socket;
    socket.on("message", (data, { address, port }) => this.#take(formatAddress(address, port), address, port, data));
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        socket.once("close", resolve); // it went down before it was up
        socket.bind({ port: this.#port, address: this.host }, resolve);
      });
    } catch (error) {
      if (this.#socket === socket) this.#socket = undefined;
      socket.close(); // it has a descriptor even though it has no port
      throw error;
    }
    socket.on("error", () => {}); // the system tells of clients that are gone: with UDP, that is silence
    if (this.#socket === socket) this.#port = socket.address().port;
  }

  #take(client: string, address: string, port: number, data: Buffer): void {
    if (this.#socket === undefined) return;
    const session = this.#sessions.get(client) ?? this.#open(client, address, port);
    this.#touch(session);
    session.take(data);
  }

  #open(client: string, address: string, port: number): UdpSession {
    if (this.#sessions.size >= this.#maxSessions) {
      const [oldest] = this.#sessions.values();
      if (oldest !== undefined) this.#forget(oldest);
    }
    const session = new UdpSession(++this.#accepted, client, {
      clock: this.#clock,
      seed: this.seed,
      buffer: this.#buffer,
      server: this.#server,
      answer: (data) => this.#socket?.send(data, port, address, () => {}), // or it got lost
      onTraffic: (session) => this.#touch(session),
    });
    session.toxics = this.#list.entries;
    return session;
  }

  #touch(session: UdpSession): void {
    session.usedAt = this.#clock.now();
    this.#sessions.delete(session.client);
    this.#sessions.set(session.client, session);
    this.#sweep ??= this.#clock.setTimeout(() => this.#forgetIdle(), this.#idle);
  }

  #forgetIdle(): void {
    this.#sweep = undefined;
    for (const session of this.#sessions.values()) {
      const left = this.#idle - session.idleMs;
      if (left > 0) {
        this.#sweep = this.#clock.setTimeout(() => this.#forgetIdle(), left);
        return;
      }
      this.#forget(session);
    }
  }

  #forget(session: UdpSession): void {
    session.close();
    this.#sessions.delete(session.client);
  }
}
