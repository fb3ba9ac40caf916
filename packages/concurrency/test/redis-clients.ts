// The clients that everything in ./redis is tested with, connected to a real server.
import { Redis } from "ioredis";
import { createClient, createClientPool } from "redis";
import type { RedisClient } from "../src/redis.ts";

export interface TestClient extends AsyncDisposable {
  readonly client: RedisClient;
}

export type Connect = (url: string) => Promise<TestClient>;

/** With the defaults of node-redis, which queues commands while it is disconnected. */
export async function connectNodeRedis(url: string): Promise<TestClient> {
  const client = createClient({ url, socket: { reconnectStrategy: 50 } });
  client.on("error", () => {}); // a server that is killed on purpose
  await client.connect();
  return { client, [Symbol.asyncDispose]: async () => client.destroy() };
}

export async function connectNodeRedisPool(url: string): Promise<TestClient> {
  const pool = createClientPool({ url, socket: { reconnectStrategy: 50 } }, { minimum: 1, maximum: 2 });
  pool.on("error", () => {});
  await pool.connect();
  return { client: pool, [Symbol.asyncDispose]: async () => pool.destroy() };
}

/** With the defaults of ioredis, which queues commands while it is disconnected. */
export async function connectIoRedis(url: string): Promise<TestClient> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => 50 });
  client.on("error", () => {});
  await client.connect();
  return { client, [Symbol.asyncDispose]: async () => client.disconnect() };
}

export const clients: Record<string, Connect> = {
  "node-redis": connectNodeRedis,
  "a pool of node-redis": connectNodeRedisPool,
  ioredis: connectIoRedis,
};
