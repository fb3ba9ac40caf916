// The little that is needed of a Redis client, and the two shapes in which clients have it.
import { describe } from "@proj/concurrency/options";

/**
 * A client of the `redis` package (node-redis), version 5 or later: a single one, no cluster, and no pool, whose
 * connections would change the order of writes.
 */
export interface NodeRedisClient {
  /** Sends one command as it is. */
  sendCommand(args: (string | Buffer)[], options?: { readonly typeMapping?: object }): Promise<unknown>;
  /** Whether commands are answered now. */
  readonly isReady?: boolean;
}

/** A client of the `ioredis` package, version 5 or later: a single one, no cluster. */
export interface IoRedisClient {
  /** Sends one command and gets bytes. */
  callBuffer(command: string, ...args: (string | Buffer | number)[]): Promise<unknown>;
  /** `"ready"` while commands are answered. */
  readonly status: string;
}

/**
 * A connected Redis client, of whichever of the two packages. It stays the caller's: it is never closed here, and its
 * `error` events are for the caller to listen to. Redis 6.2 or later.
 */
export type RedisClient = NodeRedisClient | IoRedisClient;

/** Checks what a caller passes as a client. */
export function checkRedisClient<Client extends RedisClient>(action: string, option: string, client: Client): Client {
  const { sendCommand, callBuffer, isCluster, slots } = (client ?? {}) as unknown as Record<string, unknown>;
  if (isCluster === true || (typeof sendCommand === "function" && slots !== undefined)) {
    throw new TypeError(`Cannot ${action}: ${option} must be a client of one server, got one of a cluster`);
  }
  if (typeof sendCommand === "function" || typeof callBuffer === "function") return client;
  throw new TypeError(`Cannot ${action}: ${option} must be a client of redis or ioredis, got ${describe(client)}`);
}

/**
 * Sends a command whose texts come back as buffers. Rejects at once when the client is not connected: what it would keep
 * until it is could overwrite what others have written meanwhile.
 */
export function command(client: RedisClient, args: (string | Buffer)[]): Promise<unknown> {
  if ("callBuffer" in client) {
    return client.status === "ready"
      ? client.callBuffer(args[0] as string, ...args.slice(1))
      : notConnected(args[0] as string, client.status);
  }
  return client.isReady === false ? notConnected(args[0] as string, "offline") : client.sendCommand(args, asBuffers);
}

/** Texts, the "$" of the protocol, as buffers. */
const asBuffers = { typeMapping: { 36: Buffer } };

function notConnected(name: string, state: string): Promise<never> {
  return Promise.reject(new Error(`Cannot send ${name} to Redis: the client is not connected, it is ${state}`));
}
