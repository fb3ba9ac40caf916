// Stores of idempotent calls that processes share.
import type { IdempotencyStore } from "../src/index.ts";
import { redisIdempotency } from "../src/redis.ts";
import { sqliteIdempotency } from "../src/sqlite.ts";
import { redisClients } from "./redis-clients.ts";

export interface OpenStore extends AsyncDisposable {
  readonly store: IdempotencyStore;
}

/** Of a kind, `"sqlite"` or the name of a Redis client, in a place, a path or a URL. */
export async function openStore(kind: string, place: string): Promise<OpenStore> {
  if (kind === "sqlite") {
    const store = sqliteIdempotency(place, { timeout: 20_000 });
    return { store, [Symbol.asyncDispose]: async () => store.close() };
  }
  const connect = redisClients[kind];
  if (connect === undefined) throw new Error(`Unknown store: ${kind}`);
  const connected = await connect(place);
  // Far above what a loaded machine needs, so that only a server that is away is taken for one.
  const store = redisIdempotency(connected.client, { timeout: 20_000 });
  return { store, [Symbol.asyncDispose]: () => connected[Symbol.asyncDispose]() };
}
