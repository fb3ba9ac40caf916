// The clients that everything in ./redis is tested with, connected to a real server.
import { Redis } from "ioredis";
import { createClient } from "redis";
import type { Bus } from "../../src/lib/tier.ts";
import { pubsubBus, type RedisClient, trackingBus } from "../../src/redis.ts";

export interface TestClient<Client = RedisClient> extends AsyncDisposable {
  readonly client: Client;
}

export type Connect = (url: string) => Promise<TestClient>;

/** One that can be told of changes. */
export async function connectTracking(url: string) {
  const client = createClient({ url, RESP: 3, emitInvalidate: true, socket: { reconnectStrategy: 20 } });
  client.on("error", () => {}); // a server that is killed on purpose
  await client.connect();
  return { client, [Symbol.asyncDispose]: async () => client.destroy() };
}

export async function connectIoRedis(url: string) {
  const client = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => 20,
    maxRetriesPerRequest: 0,
    autoResubscribe: false,
  });
  client.on("error", () => {});
  await client.connect();
  return { client, [Symbol.asyncDispose]: async () => client.disconnect() };
}

export const clients: Record<string, Connect> = {
  "node-redis": connectTracking,
  ioredis: connectIoRedis,
};

export interface TestBus extends AsyncDisposable {
  readonly bus: Bus;
}

export const buses: Record<string, (url: string) => Promise<TestBus>> = {
  "trackingBus with node-redis": async (url) => {
    await using stack = new AsyncDisposableStack();
    const { client } = stack.use(await connectTracking(url));
    return await owned(stack, trackingBus({ client, publishKeys: true, heartbeat: 100 }));
  },
  "pubsubBus with node-redis": async (url) => {
    await using stack = new AsyncDisposableStack();
    const [{ client }, { client: subscriber }] = [
      stack.use(await connectTracking(url)),
      stack.use(await connectTracking(url)),
    ];
    return await owned(stack, pubsubBus({ client, subscriber, heartbeat: 100 }));
  },
  "pubsubBus with ioredis": async (url) => {
    await using stack = new AsyncDisposableStack();
    const [{ client }, { client: subscriber }] = [
      stack.use(await connectIoRedis(url)),
      stack.use(await connectIoRedis(url)),
    ];
    return await owned(stack, pubsubBus({ client, subscriber, heartbeat: 100 }));
  },
};

/** Resolves when the bus listens, and lets it listen for as long as it lives. */
async function owned(stack: AsyncDisposableStack, bus: Bus): Promise<TestBus> {
  await listening(bus, stack);
  const all = stack.move();
  return { bus, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

export async function listening(bus: Bus, stack: AsyncDisposableStack): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  stack.use(bus.subscribe({ invalidated: () => {}, lost: () => {}, restored: resolve }));
  await promise;
}
