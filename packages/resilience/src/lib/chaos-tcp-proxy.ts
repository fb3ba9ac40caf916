// A TCP proxy that makes the network worse than it is.
import { createServer, isIP, type Server } from "node:net";
import { type Clock, ClosedError, systemClock } from "@proj/concurrency";
import { register } from "@proj/concurrency/inspect";
import { checkCount } from "@proj/concurrency/options";
import { checkPort, formatAddress, parseAddress } from "./chaos-address.ts";
import { type FaultProxy, type FaultProxyOptions, untilPortMayBeFree } from "./chaos-proxy.ts";
import { freshSeed } from "./chaos-random.ts";
import { type ProxyConnection, TcpConnection } from "./chaos-tcp-connection.ts";
import { type TcpToxic, tcpTypes } from "./chaos-toxic.ts";
import { ToxicList } from "./chaos-toxics.ts";

/** What can be set on {@link tcpProxy}. */
export interface TcpProxyOptions extends FaultProxyOptions<TcpToxic> {}

/** What a {@link TcpProxy} has done so far. */
export interface TcpProxyStats {
  /** Whether it accepts connections. */
  readonly listening: boolean;
  /** Open now. */
  readonly connections: number;
  /** Accepted since the start. */
  readonly accepted: number;
  /** Connections for which the server could not be reached. */
  readonly unreachable: number;
  /** How many toxics there are. */
  readonly toxics: number;
}

/** A proxy made by {@link tcpProxy}. */
export interface TcpProxy extends FaultProxy<TcpToxic> {
  readonly protocol: "tcp";
  /** What is open now, oldest first. */
  readonly connections: readonly ProxyConnection[];
  /** A snapshot. */
  stats(): TcpProxyStats & Readonly<Record<string, unknown>>;
}

/**
 * Starts a TCP proxy in front of a server. Without toxics it passes on all bytes, ends and resets; with them it is as
 * slow, lossy, silent or dead as you say, at once and for what is open already.
 *
 * **Memory**: a side that does not read stops the other one; at most `buffer` bytes and one chunk wait in each direction.
 * With a latency that also bounds the throughput: `buffer` bytes per latency. **Seed**: connections and chunks are hit by
 * their number; where TCP cuts its chunks is not ours to say. **Keeps the process alive** until it is closed.
 *
 * @throws RangeError or TypeError for options that make no sense · the system's error if it cannot listen
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { tcpProxy } from "@proj/resilience/chaos";
 *
 * const server = createServer((_, response) => response.end("hello")).listen(0, "127.0.0.1");
 * await new Promise((resolve) => server.once("listening", resolve));
 * {
 *   await using proxy = await tcpProxy({ upstream: (server.address() as { port: number }).port });
 *   const get = () => fetch(`http://${proxy.address}`, { headers: { connection: "close" } }).then((r) => r.text());
 *   console.log(await get()); // prints: hello
 *   using outage = proxy.add({ type: "down" });
 *   console.log(await get().catch((error: Error) => (error.cause as NodeJS.ErrnoException).code)); // prints: ECONNREFUSED
 * }
 * server.close();
 * ```
 */
export async function tcpProxy(options: TcpProxyOptions): Promise<TcpProxy> {
  const proxy = new TcpFaultProxy(options);
  await proxy.start();
  return proxy;
}

class TcpFaultProxy implements TcpProxy {
  readonly protocol = "tcp";
  readonly host: string;
  readonly upstream: string;
  readonly seed: number;
  readonly #name: string | undefined;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #clock: Clock;
  readonly #buffer: number;
  readonly #list: ToxicList<TcpToxic>;
  readonly #connections = new Set<TcpConnection>();
  #server: Server | undefined;
  #port: number;
  #accepted = 0;
  #unreachable = 0;
  #isClosed = false;
  #listening: Promise<void> = Promise.resolve();

  constructor(options: TcpProxyOptions) {
    const action = "start a tcpProxy";
    const { upstream, port = 0, host = "127.0.0.1", name, toxics = [], buffer = 1_048_576 } = options;
    const { seed = freshSeed(), clock = systemClock } = options;
    if (isIP(host) === 0) throw new TypeError(`Cannot ${action}: host must be an IP address, got "${host}"`);
    this.#target = parseAddress(action, "upstream", upstream);
    this.upstream = formatAddress(this.#target.host, this.#target.port);
    this.host = host;
    this.#port = checkPort(action, "port", port, 0);
    this.#name = name;
    this.#buffer = checkCount(action, "buffer", buffer, 1);
    this.seed = checkCount(action, "seed", seed, Number.MIN_SAFE_INTEGER) >>> 0;
    this.#clock = clock;
    this.#list = new ToxicList(tcpTypes, toxics, () => this.#apply());
    if (name !== undefined) register("tcp-proxy", name, this, (self) => self.stats());
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

  get toxics(): readonly TcpToxic[] {
    return this.#list.toxics;
  }

  get connections(): readonly ProxyConnection[] {
    return [...this.#connections];
  }

  stats(): TcpProxyStats & Readonly<Record<string, unknown>> {
    return {
      listening: this.#server?.listening ?? false,
      connections: this.#connections.size,
      accepted: this.#accepted,
      unreachable: this.#unreachable,
      toxics: this.#list.entries.length,
    };
  }

  /** Listens in any case, so that it has a port; then it may be down. */
  async start(): Promise<void> {
    await this.#listen();
    this.#apply();
  }

  add(toxic: TcpToxic): Disposable {
    this.#checkOpen();
    return this.#list.add(toxic);
  }

  set(toxics: readonly TcpToxic[]): void {
    this.#checkOpen();
    this.#list.set(toxics);
  }

  clear(): void {
    this.set([]);
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
    if (this.#server === undefined) {
      this.#listening = this.#listenAgain();
      this.#listening.catch(() => {}); // ready() tells it
    }
    for (const connection of [...this.#connections]) connection.toxics = this.#list.entries;
  }

  #hangUp(): void {
    this.#server?.close(); // frees the port at once
    this.#server = undefined;
    for (const connection of this.#connections) connection.reset();
  }

  async #listenAgain(): Promise<void> {
    while (!this.#isClosed && !this.#list.has("down") && this.#server === undefined) {
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
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
    this.#server = server;
    server.on("listening", () => {
      if (this.#server !== server) server.close(); // it was told to close before there was anything to close
    });
    server.on("connection", (socket) => {
      const connection = new TcpConnection(++this.#accepted, socket, {
        clock: this.#clock,
        seed: this.seed,
        buffer: this.#buffer,
        upstream: this.#target,
        onConnectError: () => this.#unreachable++,
        onClose: (closed) => this.#connections.delete(closed),
      });
      this.#connections.add(connection);
      if (this.#server === server) connection.toxics = this.#list.entries;
      else connection.reset(); // it was accepted in the moment in which the proxy went down
    });
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.once("close", resolve); // it went down before it was up
        server.listen({ port: this.#port, host: this.host }, resolve);
      });
    } catch (error) {
      if (this.#server === server) this.#server = undefined;
      throw error;
    }
    server.on("error", () => {}); // a client that it had no descriptor for, say, is one that nobody serves
    const address = server.address();
    if (typeof address === "object" && address !== null) this.#port = address.port;
  }
}
