// The clients that everything in ./redis is tested with, connected to a real server.
import type { RedisClient } from "@proj/concurrency/redis";
import { Redis } from "ioredis";
import { createClient } from "redis";

export interface TestClient extends AsyncDisposable {
  readonly client: RedisClient;
}

/** With the defaults of node-redis, which queues commands while it is disconnected. */
export async function connectNodeRedis(url: string): Promise<TestClient> {
  const client = createClient({ url, socket: { reconnectStrategy: 50 } });
  client.on("error", () => {}); // a server that is killed on purpose
  await client.connect();
  return { client, [Symbol.asyncDispose]: async () => client.destroy() };
}

/** With the defaults of ioredis, which queues commands while it is disconnected. */
export async function connectIoRedis(url: string): Promise<TestClient> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => 50 });
  client.on("error", () => {});
  await client.connect();
  return { client, [Symbol.asyncDispose]: async () => client.disconnect() };
}

export const redisClients: Record<string, (url: string) => Promise<TestClient>> = {
  "node-redis": connectNodeRedis,
  ioredis: connectIoRedis,
};
