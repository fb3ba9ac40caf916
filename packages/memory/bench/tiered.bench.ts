// Caches in tiers beside bentocache, cacheable and cache-manager: an object of 1 KB, memory above a Redis next door.
import { benchmark } from "@tooling/bench";
import { startRedis } from "@tooling/testing";

const user = {
  id: 1,
  name: "Ada King",
  roles: Array.from({ length: 20 }, (_, index) => ({
    id: index,
    name: `role number ${index}`,
    active: index % 2 === 0,
  })),
};
type User = typeof user;

const minute = 60_000;
const entries = 1_000;
const keyAt = (index: number): string => `user:${index % entries}`;
const hundred = Array.from({ length: 100 }, (_, index) => keyAt(index));
const load = async (): Promise<User> => user;

/** What is measured of each library. */
interface Library {
  getOrLoad(key: string): unknown;
  getMany(keys: readonly string[]): Promise<number>;
  /** Makes memory forget, so that the next read goes to Redis. */
  forget(): unknown;
}

async function redisUrl(): Promise<string> {
  const server = await startRedis();
  process.once("exit", () => void server[Symbol.asyncDispose]());
  return server.url;
}

const libraries: Readonly<Record<string, () => Promise<Library>>> = {
  "@proj/memory": async () => {
    const { createClient } = await import("redis");
    const { tiered } = await import("@proj/memory");
    const { redisTier } = await import("@proj/memory/redis");
    const client = createClient({ url: await redisUrl(), RESP: 3 });
    await client.connect();
    const cache = tiered<User>({ tiers: [redisTier({ client })], fresh: minute });
    return {
      getOrLoad: (key) => cache.getOrLoad(key, load),
      getMany: async (keys) => (await cache.getMulti(keys)).size,
      forget: () => cache.clear(/^/),
    };
  },
  bentocache: async () => {
    const { BentoCache, bentostore } = await import("bentocache");
    const { memoryDriver } = await import("bentocache/drivers/memory");
    const { redisDriver } = await import("bentocache/drivers/redis");
    const { Redis } = await import("ioredis");
    const connection = new Redis(await redisUrl());
    const store = bentostore()
      .useL1Layer(memoryDriver({ maxItems: 10_000 }))
      .useL2Layer(redisDriver({ connection: connection as never })); // typed for ioredis 5
    // Its memory cannot be emptied alone: without one it does less for what comes from Redis.
    const below = bentostore().useL2Layer(redisDriver({ connection: connection as never }));
    const bento = new BentoCache({ default: "all", stores: { all: store, below }, ttl: minute });
    let current = bento.use("all");
    return {
      getOrLoad: (key) => current.getOrSet({ key, factory: load }),
      getMany: async (keys) => (await Promise.all(keys.map((key) => current.get({ key })))).filter(Boolean).length,
      forget: () => {
        current = bento.use("below");
      },
    };
  },
  cacheable: async () => {
    const { Cacheable, KeyvCacheableMemory } = await import("cacheable");
    const { default: KeyvRedis } = await import("@keyv/redis");
    const { Keyv } = await import("keyv");
    const primary = new Keyv({ store: new KeyvCacheableMemory({ ttl: minute, lruSize: 10_000 }) });
    const cache = new Cacheable({
      primary,
      secondary: new Keyv({ store: new KeyvRedis(await redisUrl()) }),
      ttl: minute,
    });
    return {
      getOrLoad: (key) => cache.getOrSet(key, load),
      getMany: async (keys) => (await cache.getMany([...keys])).filter(Boolean).length,
      forget: () => primary.clear(),
    };
  },
  "cache-manager": async () => {
    const { createCache } = await import("cache-manager");
    const { KeyvCacheableMemory } = await import("cacheable");
    const { default: KeyvRedis } = await import("@keyv/redis");
    const { Keyv } = await import("keyv");
    const primary = new Keyv({ store: new KeyvCacheableMemory({ ttl: minute, lruSize: 10_000 }) });
    const cache = createCache({ stores: [primary, new Keyv({ store: new KeyvRedis(await redisUrl()) })], ttl: minute });
    return {
      getOrLoad: (key) => cache.wrap(key, load),
      getMany: async (keys) => (await cache.mget<User>([...keys])).filter(Boolean).length,
      forget: () => primary.clear(),
    };
  },
};

function casesOf(make: (library: Library) => () => unknown) {
  return Object.fromEntries(
    Object.keys(libraries).map((name) => [
      name,
      async () => {
        const library = await (libraries[name] as () => Promise<Library>)();
        for (const key of hundred) await library.getOrLoad(key);
        return make(library);
      },
    ]),
  );
}

export const benchmarks = [
  benchmark("A hit in memory, awaited", {
    ours: "@proj/memory",
    operationsPerCall: 1_000,
    goal: { bentocache: 0.1, cacheable: 0.04 },
    cases: casesOf(({ getOrLoad }) => async () => {
      let found = 0;
      for (let index = 0; index < 1_000; index++) {
        const value = (await getOrLoad(keyAt(index % 100))) as User;
        found += value.id;
      }
      return found;
    }),
    check: (result) => result,
  }),
  benchmark("100 values, missing in memory and there in Redis, one after the other", {
    ours: "@proj/memory",
    operationsPerCall: 100,
    goal: { bentocache: 0.59, cacheable: 0.5 },
    cases: casesOf(({ getOrLoad, forget }) => async () => {
      await forget();
      let found = 0;
      for (const key of hundred) found += ((await getOrLoad(key)) as User).id;
      return found;
    }),
    check: (result) => result,
  }),
  benchmark("100 values in one call, missing in memory and there in Redis", {
    ours: "@proj/memory",
    goal: { "cache-manager": 0.125 },
    cases: casesOf(({ getMany, forget }) => async () => {
      await forget();
      return getMany(hundred);
    }),
    check: (result) => result,
  }),
  benchmark("200 callers of a key that is nowhere, for each caller", {
    ours: "@proj/memory",
    operationsPerCall: 200,
    cases: casesOf(({ getOrLoad }) => {
      let round = 0;
      return async () => {
        const key = `cold:${round++}`;
        const all = await Promise.all(Array.from({ length: 200 }, () => getOrLoad(key)));
        return all.length;
      };
    }),
    check: (result) => result,
  }),
];
