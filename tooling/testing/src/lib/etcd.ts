// A real etcd of one test's own: free ports, empty folder, killed and started again at will.
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "./free-port.ts";
import { type RunningProcess, spawnProcess } from "./spawn-process.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { requireTool } from "./tools.ts";

export interface EtcdServer extends AsyncDisposable {
  readonly port: number;
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** One call of its JSON gateway, as `ask("/v3/kv/put", { key, value })`, both in base 64; rejects unless it succeeds. */
  ask(path: string, body: object): Promise<unknown>;
  /** Ends it in order (SIGTERM). */
  stop(): Promise<void>;
  /** Ends it without warning (SIGKILL). What it has acknowledged is on the disk nonetheless. */
  kill(): Promise<void>;
  /** Starts it again on the same port with the same data, stopping it first where it runs. */
  restart(): Promise<void>;
}

/**
 * Starts an etcd of one member on free loopback ports and waits until it answers.
 *
 * @example
 * ```ts
 * await using etcd = await startEtcd();
 * await etcd.ask("/v3/kv/put", { key: btoa("city"), value: btoa("Delft") });
 * await etcd.kill(); // now see how the client takes it
 * await etcd.restart();
 * ```
 */
export async function startEtcd(): Promise<EtcdServer> {
  const command = requireTool("etcd");
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder()).path;

  // Another process may take a port between our finding it and etcd binding it.
  const { port, launch, server } = await retry(5, async () => {
    const port = await freePort();
    const peer = `http://127.0.0.1:${await freePort()}`;
    const url = `http://127.0.0.1:${port}`;
    const args = ["--name=test", `--data-dir=${folder}/${port}`, `--initial-cluster=test=${peer}`];
    args.push(`--listen-client-urls=${url}`, `--advertise-client-urls=${url}`);
    args.push(`--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`);
    const launch = async (): Promise<RunningProcess> => {
      const server = spawnProcess(command, args);
      try {
        await server.waitForLine(/ready to serve client requests|serving.* client requests/i);
        await waitForAnswer(url);
        return server;
      } catch (error) {
        await server.kill();
        throw error;
      }
    };
    return { port, launch, server: await launch() };
  });
  let running = server;
  stack.defer(async () => void (await running.kill()));
  const owned = stack.move();
  const url = `http://127.0.0.1:${port}`;

  return {
    port,
    url,
    ask: (path, body) => ask(url, path, body),
    async stop() {
      await running.stop();
    },
    async kill() {
      await running.kill();
    },
    async restart() {
      await running.stop();
      running = await retry(20, launch, 100);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function ask(url: string, path: string, body: object): Promise<unknown> {
  const response = await fetch(url + path, { method: "POST", body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`Cannot ask etcd for ${path}: it answered ${response.status} ${text}`);
  return JSON.parse(text);
}

async function waitForAnswer(url: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await ask(url, "/v3/kv/range", { key: btoa("ready") });
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await delay(50);
    }
  }
}

async function retry<T>(attempts: number, task: () => Promise<T>, pause = 0): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await task();
    } catch (error) {
      const isWorthIt = error instanceof Error && /address already in use/i.test(error.message);
      if (attempt === attempts || !isWorthIt) throw error;
      await delay(pause);
    }
  }
}
