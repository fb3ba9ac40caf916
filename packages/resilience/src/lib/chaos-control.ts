// Steers proxies and rules from another process, over HTTP on this machine.
import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { ClosedError } from "@proj/concurrency";
import { checkPort } from "./chaos-address.ts";
import { asData, bodyOf, checkSender, decode, Refusal, statusOf } from "./chaos-control-messages.ts";
import type { Toxic } from "./chaos-toxic.ts";

/** Whatever can be steered: a proxy, the policy made by `chaos`, `httpFaults`, `lookupFaults`. */
export interface ChaosTarget {
  /** By which it is found. */
  readonly name?: string | undefined;
  /** Of a proxy. */
  readonly toxics?: readonly unknown[];
  /** Of anything else. */
  readonly rules?: readonly unknown[];
  /** Of what can be turned off. */
  enabled?: boolean;
  /** Adds a toxic or a rule. */
  add(fault: never): Disposable;
  /** Replaces all toxics or rules. */
  set(faults: readonly never[]): void;
  /** Takes all toxics or rules away. */
  clear(): void;
  /** A snapshot. */
  stats(): Readonly<Record<string, unknown>>;
  /** Resolves when what was asked for has come to pass. */
  ready?(): Promise<void>;
  /** Of a UDP proxy. */
  rebind?(): void;
}

/** What can be set on {@link chaosControl}. */
export interface ChaosControlOptions {
  /** What can be steered, by its `name`. More can be added later. */
  readonly targets?: readonly ChaosTarget[] | undefined;
  /** On 127.0.0.1. Default: 0, a free one. */
  readonly port?: number | undefined;
}

/** The server started by {@link chaosControl}. */
export interface ChaosControl extends AsyncDisposable {
  /** On 127.0.0.1. */
  readonly port: number;
  /** As `http://127.0.0.1:8474`. */
  readonly url: string;
  /** From now on this can be steered, too. Disposing the result takes it out again. */
  register(target: ChaosTarget): Disposable;
  /** Stops listening. What is broken stays so. */
  close(): Promise<void>;
}

/**
 * Starts an HTTP server through which another process, such as a test or a command line, can break and heal things.
 *
 * | request | does |
 * | --- | --- |
 * | `GET /targets` | tells all: toxics or rules, and what they have done |
 * | `GET /targets/<name>` | tells one |
 * | `POST /targets/<name>/faults` | adds the toxic or rule in the body, answers 201 and its `id` |
 * | `PUT /targets/<name>/faults` | replaces them all by the list in the body |
 * | `DELETE /targets/<name>/faults/<id>` | takes one away that was added here |
 * | `DELETE /targets/<name>/faults` | takes all away |
 * | `PATCH /targets/<name>` | `{"enabled": false}` turns it off, where that is possible |
 * | `POST /targets/<name>/rebind` | gives the clients of a UDP proxy other ports |
 * | `POST /reset` | heals everything |
 *
 * **Safety**: it listens on 127.0.0.1 alone, and refuses what a page in a browser could send: requests with an `Origin`,
 * with a `Host` that is not this machine's, and bodies that are not `application/json`.
 *
 * @throws RangeError or TypeError for options that make no sense · the system's error if it cannot listen
 * @example
 * ```ts
 * import { chaosControl, tcpProxy } from "@proj/resilience/chaos";
 *
 * await using db = await tcpProxy({ upstream: 5432, name: "db" });
 * await using control = await chaosControl({ targets: [db] });
 * await fetch(`${control.url}/targets/db/faults`, {
 *   method: "POST",
 *   headers: { "content-type": "application/json" },
 *   body: JSON.stringify({ type: "latency", latency: 200, jitter: 50 }),
 * });
 * console.log(db.toxics); // prints: [ { type: 'latency', latency: 200, jitter: 50 } ]
 * ```
 */
export async function chaosControl(options: ChaosControlOptions = {}): Promise<ChaosControl> {
  const { targets = [], port = 0 } = options;
  checkPort("start chaosControl", "port", port, 0);
  const control = new ControlServer();
  for (const target of targets) control.register(target);
  await control.listen(port);
  return control;
}

interface Entry {
  readonly target: ChaosTarget;
  readonly added: Map<string, Disposable>;
  next: number;
}

class ControlServer implements ChaosControl {
  readonly #entries = new Map<string, Entry>();
  #server: Server | undefined;
  #isClosed = false;
  #port = 0;

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async listen(port: number): Promise<void> {
    const { createServer } = await import("node:http");
    const server = createServer((request, response) => void this.#answer(request, response));
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    this.#server = server;
    this.#port = (server.address() as { readonly port: number }).port; // it listens on a port
  }

  register(target: ChaosTarget): Disposable {
    if (this.#isClosed) throw new ClosedError("chaosControl");
    const { name } = target;
    if (name === undefined || name === "") throw new TypeError("Cannot register with chaosControl: it needs a name");
    if (this.#entries.has(name)) {
      throw new TypeError(`Cannot register with chaosControl: there is another one with the name ${name}`);
    }
    const entry: Entry = { target, added: new Map(), next: 1 };
    this.#entries.set(name, entry);
    return {
      [Symbol.dispose]: () => {
        if (this.#entries.get(name) === entry) this.#entries.delete(name);
      },
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let status: number;
    let text: string;
    try {
      checkSender(request);
      const [code, body] = await this.#route(request);
      [status, text] = [code, JSON.stringify(body)];
    } catch (error) {
      status = statusOf(error);
      text = JSON.stringify({ error: error instanceof Error ? error.message : String(error) });
    }
    response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" }).end(`${text}\n`);
  }

  async #route(request: IncomingMessage): Promise<[status: number, body: unknown]> {
    const [path = ""] = (request.url ?? "").split("?");
    const [first, name, what, id, ...more] = path.split("/").slice(1).map(decode);
    const { method } = request;
    if (first === "reset" && name === undefined && method === "POST") {
      for (const entry of this.#entries.values()) await heal(entry);
      return [200, this.#all()];
    }
    if (first !== "targets" || more.length > 0) throw new Refusal(404, `There is no ${path}`);
    if (name === undefined && method === "GET") return [200, this.#all()];
    const entry = this.#entries.get(name ?? "");
    if (entry === undefined) throw new Refusal(404, `There is no target ${name}`);
    const { target } = entry;
    if (what === undefined && method === "GET") return [200, tell(entry)];
    if (what === undefined && method === "PATCH") {
      const { enabled } = (await bodyOf(request)) as { readonly enabled?: unknown };
      if (typeof enabled !== "boolean" || target.enabled === undefined) {
        throw new Refusal(422, "Only enabled can be set, to true or false, and not on a proxy");
      }
      target.enabled = enabled;
      return [200, tell(entry)];
    }
    if (what === "rebind" && id === undefined && method === "POST" && target.rebind !== undefined) {
      target.rebind();
      return [200, tell(entry)];
    }
    if (what !== "faults") throw new Refusal(404, `There is no ${path}`);
    if (id === undefined && method === "POST") {
      const fault = (await bodyOf(request)) as Toxic;
      const added = target.add(fault as never); // it checks what it gets
      await target.ready?.();
      const number = String(entry.next++);
      entry.added.set(number, added);
      return [201, { id: number, ...tell(entry) }];
    }
    if (id === undefined && method === "PUT") {
      const faults = await bodyOf(request);
      if (!Array.isArray(faults)) throw new Refusal(422, "The body must be a list");
      target.set(faults as never[]); // it checks what it gets
      entry.added.clear();
      await target.ready?.();
      return [200, tell(entry)];
    }
    if (method === "DELETE") {
      if (id === undefined) await heal(entry);
      else {
        const added = entry.added.get(id);
        if (added === undefined) throw new Refusal(404, `There is no fault ${id} that was added here`);
        added[Symbol.dispose]();
        entry.added.delete(id);
        await target.ready?.();
      }
      return [200, tell(entry)];
    }
    throw new Refusal(405, `There is no ${method} for ${path}`);
  }

  #all(): unknown {
    return { targets: [...this.#entries.values()].map(tell) };
  }
}

async function heal({ target, added }: Entry): Promise<void> {
  target.clear();
  added.clear();
  await target.ready?.();
}

function tell({ target }: Entry): Readonly<Record<string, unknown>> {
  const { name, toxics, rules } = target;
  return { name, faults: (toxics ?? rules ?? []).map(asData), stats: target.stats() };
}
