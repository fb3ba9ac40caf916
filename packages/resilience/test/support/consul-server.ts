// Stands in for a Consul agent: the health endpoint of one service, with blocking queries and their index as Consul has
// them. What it can be told to do wrong, real ones have done.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ConsulInstance {
  readonly id: string;
  readonly port: number;
  readonly address?: string;
  readonly node?: string;
  readonly status?: "passing" | "warning" | "critical";
  readonly weights?: { readonly Passing: number; readonly Warning: number };
  readonly meta?: Readonly<Record<string, string>>;
}

/** A query as it came. */
export interface ConsulQuery {
  readonly index: string | null;
  readonly wait: string | null;
  readonly isStale: boolean;
  readonly token: string | undefined;
}

export class ConsulServer implements AsyncDisposable {
  readonly queries: ConsulQuery[] = [];
  /** Answered instead of 200. */
  status = 200;
  /** Instead of the true one; `null` for no index at all. */
  index: string | null | undefined;
  /** Milliseconds that the answers to stale queries are old. */
  lastContact = 0;
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  readonly #waiting = new Set<() => void>();
  #instances: readonly ConsulInstance[] = [];
  #index = 10;

  static async start(): Promise<ConsulServer> {
    const consul = new ConsulServer();
    consul.#server.listen(0, "127.0.0.1");
    await once(consul.#server, "listening");
    return consul;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Queries that wait for a change. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Registers these instead of those before. The index goes up, or to `index`, as when a snapshot is restored; that, too,
   * ends queries that wait.
   */
  set(instances: readonly ConsulInstance[], index = this.#index + 1): void {
    this.#instances = instances;
    this.#index = index;
    this.wake();
  }

  /** Lets waiting queries return, although nothing has changed: Consul may do so at any time. */
  wake(): void {
    for (const wake of this.#waiting) wake();
  }

  /** Breaks all connections. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.wake();
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://agent");
    const [index, wait] = [searchParams.get("index"), searchParams.get("wait")];
    const isStale = searchParams.has("stale");
    this.queries.push({ index, wait, isStale, token: request.headers["x-consul-token"] as string | undefined });
    // As Consul does: an index of 0 asks for the state, one that is not passed yet waits.
    if (this.status === 200 && Number(index) > 0 && this.#index <= Number(index))
      await this.#change(milliseconds(wait), response);
    if (this.status !== 200) {
      response.writeHead(this.status).end("No cluster leader");
      return;
    }
    const told = this.index === undefined ? `${this.#index}` : this.index;
    if (told !== null) response.setHeader("X-Consul-Index", told);
    response.setHeader("X-Consul-KnownLeader", "true");
    response.setHeader("X-Consul-LastContact", isStale ? `${this.lastContact}` : "0");
    response.setHeader("Content-Type", "application/json");
    const all = pathname === "/v1/health/service/users" ? this.#instances : [];
    const isPassing = searchParams.has("passing");
    response.end(JSON.stringify(all.filter(({ status }) => !isPassing || status !== "critical").map(entryOf)));
  }

  #change(ms: number, response: ServerResponse): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(done, ms + (ms / 16) * Math.random());
      this.#waiting.add(done);
      response.once("close", done);
    });
  }
}

function entryOf({ id, port, address, node = "node-1", status = "passing", weights, meta }: ConsulInstance): object {
  return {
    Node: { Node: node, Address: "10.9.9.9" },
    Service: {
      ID: id,
      Service: "users",
      Address: address ?? "",
      Port: port,
      Weights: weights ?? { Passing: 1, Warning: 1 },
      Meta: meta ?? null,
    },
    Checks: [{ Status: "passing" }, { Status: status }],
  };
}

function milliseconds(wait: string | null): number {
  return wait === null ? 300_000 : Number(/^(\d+)s$/.exec(wait)?.[1] ?? 300) * 1_000;
}
