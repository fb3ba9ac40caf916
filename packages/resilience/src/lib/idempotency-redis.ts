// Records of idempotent calls in Redis, which processes on several machines share.
import { type Clock, systemClock } from "@proj/concurrency";
import { checkPositive, describe } from "@proj/concurrency/options";
import { checkRedisClient, type RedisCall, type RedisClient, type RedisScript } from "@proj/concurrency/redis";
import { abandonScript, beginScript, completeScript, renewScript } from "./idempotency-redis-scripts.ts";
import type { IdempotencyClaim, IdempotencyState, IdempotencyStore } from "./idempotency-store.ts";

/** What can be set on a {@link redisIdempotency}. */
export interface RedisIdempotencyOptions {
  /** Put before each key. Default: `"idempotency:"`. */
  readonly prefix?: string | undefined;
  /** Milliseconds to wait for an answer, before a `TimeoutError`. Default: 1,000. */
  readonly timeout?: number | undefined;
  /** Measures `timeout`; leases are measured by the server's. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/**
 * Keeps records in Redis, one hash for each key, which expires by itself. Leases are measured by the server's clock.
 *
 * A record is as durable as the server makes it: with `appendfsync everysec` a crash of the machine can lose the last
 * second, and a replica that takes over can lack the last writes. A call whose record is lost is run again. Where that
 * must not be, use `appendfsync always` and let what the task writes to check the `fence` of its run. Let the server not
 * evict keys (`maxmemory-policy noeviction`).
 *
 * @throws TypeError or RangeError for options that are none
 * @example
 * <!-- check: types-only, needs a Redis -->
 * ```ts
 * import { idempotencyGuard } from "@proj/resilience";
 * import { redisIdempotency } from "@proj/resilience/redis";
 * import { createClient } from "redis";
 *
 * const client = await createClient({ url: "redis://127.0.0.1:6379" }).on("error", console.error).connect();
 * const guard = idempotencyGuard({ store: redisIdempotency(client), onDuplicate: "reject" });
 * await guard.run("order-1", () => ({ receipt: 4711 }));
 * ```
 */
export function redisIdempotency(client: RedisClient, options: RedisIdempotencyOptions = {}): IdempotencyStore {
  const action = "create a redisIdempotency";
  const { prefix = "idempotency:", timeout = 1_000, clock = systemClock } = options;
  checkRedisClient(action, client);
  if (typeof prefix !== "string") {
    throw new TypeError(`Cannot ${action}: prefix must be a string, got ${describe(prefix)}`);
  }
  return new RedisStore(prefix, { client, clock, timeout: checkPositive(action, "timeout", timeout) });
}

class RedisStore implements IdempotencyStore {
  readonly #prefix: string;
  readonly #call: RedisCall;

  constructor(prefix: string, call: RedisCall) {
    this.#prefix = prefix;
    this.#call = call;
  }

  async begin(key: string, { owner, fingerprint, lease, ttl, takeOver }: IdempotencyClaim): Promise<IdempotencyState> {
    const args = [owner, fingerprint, lease, ttl, takeOver];
    const [state, first = "", second = ""] = await beginScript.strings(this.#call, [this.#prefix + key], args);
    if (state === "begun") return { state, fence: Number(first) };
    if (state === "completed") return { state, outcome: first, fingerprint: second };
    return { state: state === "running" ? state : "crashed", owner: first, fingerprint: second };
  }

  renew(key: string, owner: string, lease: number): Promise<boolean> {
    return this.#step(renewScript, key, [owner, lease]);
  }

  complete(key: string, owner: string, outcome: string, ttl: number): Promise<boolean> {
    return this.#step(completeScript, key, [owner, outcome, ttl]);
  }

  abandon(key: string, owner: string): Promise<boolean> {
    return this.#step(abandonScript, key, [owner]);
  }

  async #step(script: RedisScript, key: string, args: readonly (string | number)[]): Promise<boolean> {
    const [done] = await script.strings(this.#call, [this.#prefix + key], args);
    return done === "1";
  }
}
