// Lets one process of all that share a Redis load a value.
import { randomUUID } from "node:crypto";
import { checkDuration, describe } from "@proj/concurrency/options";
import { checkRedisClient, command, type RedisClient } from "./redis-client.ts";
import type { LoadLease } from "./tier.ts";

/** What can be set on a {@link redisLease}. */
export interface RedisLeaseOptions {
  /** Of `redis` or `ioredis`, connected. It stays the caller's. */
  readonly client: RedisClient;
  /** In front of all keys; not one that a `redisTier` or a bus has. Default: `"lease:"`. */
  readonly prefix?: string | undefined;
}

/**
 * A {@link LoadLease} in Redis: `SET` with `NX` and `PX`, released by whoever holds it alone. It keeps loads from being
 * made more often than needed; it is no lock: a holder that stands still longer than its lease goes on loading when it
 * wakes. For that, see `redisLock` of `@proj/concurrency/redis`.
 *
 * @throws TypeError for what is no client, and for one of a cluster
 * @example
 * <!-- check: types-only, needs a Redis -->
 * ```ts
 * import { redisLease } from "@proj/memory/redis";
 * import { Redis } from "ioredis";
 *
 * const leases = redisLease({ client: new Redis(), prefix: "users-lease:" });
 * const lease = await leases.tryAcquire("ada", 5_000);
 * if (lease !== undefined) {
 *   // load and store
 *   await lease.release();
 * }
 * ```
 */
export function redisLease({ client, prefix = "lease:" }: RedisLeaseOptions): LoadLease {
  const action = "create a Redis lease";
  checkRedisClient(action, "client", client);
  if (typeof prefix !== "string") {
    throw new TypeError(`Cannot ${action}: prefix must be a string, got ${describe(prefix)}`);
  }
  return {
    async tryAcquire(key, ttl) {
      checkDuration("acquire a lease", "ttl", ttl);
      const [name, holder] = [prefix + key, randomUUID()];
      const milliseconds = String(Math.min(Math.max(1, Math.ceil(ttl)), 2 ** 52));
      const reply = await command(client, ["SET", name, holder, "NX", "PX", milliseconds]);
      if (reply === null) return undefined;
      return {
        async release() {
          await command(client, ["EVAL", releaseIfMine, "1", name, holder]);
        },
      };
    },
  };
}

const releaseIfMine = `return redis.call("GET", KEYS[1]) == ARGV[1] and redis.call("DEL", KEYS[1]) or 0`;
