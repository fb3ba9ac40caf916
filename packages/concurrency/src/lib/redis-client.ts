// The little that is needed of a Redis client, and the two shapes in which clients have it.

/** A client of the `redis` package (node-redis), version 4 or later: a single one, a pool, or one of a cluster. */
export interface NodeRedisClient {
  /** Runs a script by its text: `EVAL`. */
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  /** Runs a script by its hash: `EVALSHA`. */
  evalSha(sha1: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
}

/** A client of the `ioredis` package, version 5 or later: a single one or one of a cluster. */
export interface IoRedisClient {
  /** Runs a script by its text: `EVAL`. */
  eval(script: string, numberOfKeys: number, ...keysAndArguments: string[]): Promise<unknown>;
  /** Runs a script by its hash: `EVALSHA`. */
  evalsha(sha1: string, numberOfKeys: number, ...keysAndArguments: string[]): Promise<unknown>;
}

/**
 * A connected Redis client, of whichever of the two packages. It stays the caller's: it is never closed here, and its
 * `error` events are for the caller to listen to. Redis 6 or later.
 */
export type RedisClient = NodeRedisClient | IoRedisClient;

/**
 * Checks what a caller passes as a client. `action` opens the message.
 *
 * @throws TypeError if it is none
 * @example
 * ```ts
 * import { checkRedisClient } from "@proj/concurrency/redis";
 *
 * try {
 *   checkRedisClient("count visits", {} as never);
 * } catch (error) {
 *   console.log(String(error).split(": ")[1]); // prints: Cannot count visits
 * }
 * ```
 */
export function checkRedisClient(action: string, client: RedisClient): void {
  // A Map of the methods would miss those a client inherits or makes on the fly.
  const { evalSha, evalsha } = (client ?? {}) as { evalSha?: unknown; evalsha?: unknown };
  if (typeof evalSha === "function" || typeof evalsha === "function") return;
  throw new TypeError(`Cannot ${action}: client must be a client of redis or ioredis, with evalSha or evalsha`);
}

/** Runs a script that the server knows by the hash of its text. */
export function evalSha(client: RedisClient, sha1: string, keys: string[], args: string[]): Promise<unknown> {
  return "evalSha" in client
    ? client.evalSha(sha1, { keys, arguments: args })
    : client.evalsha(sha1, keys.length, ...keys, ...args);
}

/** Runs a script, and makes it known to the server. */
export function evalText(client: RedisClient, text: string, keys: string[], args: string[]): Promise<unknown> {
  return "evalSha" in client
    ? client.eval(text, { keys, arguments: args })
    : client.eval(text, keys.length, ...keys, ...args);
}
