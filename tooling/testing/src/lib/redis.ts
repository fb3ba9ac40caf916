// A real Redis of one test's own: free port, empty folder, stopped, killed and started again at will.
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "./free-port.ts";
import { type RunningProcess, spawnProcess } from "./spawn-process.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { requireTool } from "./tools.ts";

export interface StartRedisOptions {
  /** Further arguments of redis-server, such as `["--maxmemory", "10mb"]`; they win over the ones given here. */
  readonly args?: readonly string[];
}

export interface RedisServer extends AsyncDisposable {
  readonly port: number;
  /** `redis://127.0.0.1:<port>` */
  readonly url: string;
  /** Where it keeps its files. */
  readonly folder: string;
  /** Ends it in order (SIGTERM). */
  stop(): Promise<void>;
  /** Ends it without warning (SIGKILL). Acknowledged writes are in the append-only file nonetheless. */
  kill(): Promise<void>;
  /** Starts it again on the same port with the same data, stopping it first where it runs. */
  restart(): Promise<void>;
}

/**
 * Starts a Redis with an append-only file on a free loopback port and waits until it answers PING.
 *
 * @example
 * ```ts
 * await using redis = await startRedis();
 * const client = createClient({ url: redis.url });
 * await redis.kill(); // now see how the client takes it
 * await redis.restart();
 * ```
 */
export async function startRedis({ args = [] }: StartRedisOptions = {}): Promise<RedisServer> {
  const command = requireTool("redis-server");
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder()).path;

  const launch = async (port: number): Promise<RunningProcess> => {
    const fixed = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes"];
    const server = spawnProcess(command, [...fixed, ...args]);
    try {
      await server.waitForLine(/Ready to accept connections/);
      await waitForPong(port);
      return server;
    } catch (error) {
      await server.kill();
      throw error;
    }
  };

  // Another process may take the port between our finding it and Redis binding it.
  const { port, server } = await retry(5, isAddressInUse, async () => {
    const port = await freePort();
    return { port, server: await launch(port) };
  });
  let running = server;
  stack.defer(async () => void (await running.kill()));
  const owned = stack.move();

  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    folder,
    async stop() {
      await running.stop();
    },
    async kill() {
      await running.kill();
    },
    async restart() {
      await running.stop();
      running = await retry(20, isAddressInUse, () => launch(port), 100);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function waitForPong(port: number): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const answer = await ping(port);
    // With --requirepass in the arguments an answer is all that can be had.
    if (answer.startsWith("+PONG") || answer.startsWith("-NOAUTH")) return;
    if (attempt === 100)
      throw new Error(`Cannot use Redis on port ${port}: PING was answered ${JSON.stringify(answer)}`);
    await delay(50);
  }
}

async function ping(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  try {
    socket.write("PING\r\n");
    const [answer] = (await once(socket, "data")) as [Buffer];
    return answer.toString();
  } catch (error) {
    return (error as Error).message;
  } finally {
    socket.destroy();
  }
}

function isAddressInUse(error: unknown): boolean {
  return error instanceof Error && /address already in use/i.test(error.message);
}

async function retry<T>(
  attempts: number,
  worthIt: (error: unknown) => boolean,
  task: () => Promise<T>,
  pause = 0,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await task();
    } catch (error) {
      if (attempt === attempts || !worthIt(error)) throw error;
      await delay(pause);
    }
  }
}
