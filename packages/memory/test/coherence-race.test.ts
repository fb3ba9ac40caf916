// What the network can do to the order of answers and messages, done on purpose.
import { setTimeout as delay } from "node:timers/promises";
import { startRedis, testWithTools } from "@tooling/testing";
import { expect, vi } from "vitest";
import { type TieredCache, tiered } from "../src/index.ts";
import type { Bus } from "../src/lib/tier.ts";
import { pubsubBus, type RedisClient, redisTier, trackingBus } from "../src/redis.ts";
import { connectIoRedis, connectTracking } from "./support/redis-clients.ts";
import { type ReorderingProxy, reorderingProxy } from "./support/reordering-proxy.ts";

const test = testWithTools("redis-server");
vi.setConfig({ testTimeout: 30_000 });

const fresh = 3_600_000;

interface Two extends AsyncDisposable {
  /** Its link goes through the proxy. */
  readonly here: TieredCache<string>;
  readonly there: TieredCache<string>;
  readonly proxy: ReorderingProxy;
}

const kinds: Record<string, (url: string, stack: AsyncDisposableStack) => Promise<readonly [RedisClient, Bus]>> = {
  tracking: async (url, stack) => {
    const { client } = stack.use(await connectTracking(url));
    return [client, trackingBus({ client, heartbeat: Number.POSITIVE_INFINITY })];
  },
  pubsub: async (url, stack) => {
    const { client } = stack.use(await connectIoRedis(url));
    const { client: subscriber } = stack.use(await connectIoRedis(url));
    return [client, pubsubBus({ client, subscriber, heartbeat: Number.POSITIVE_INFINITY })];
  },
};

for (const [kind, connect] of Object.entries(kinds)) {
  const makeTwo = async (): Promise<Two> => {
    await using stack = new AsyncDisposableStack();
    const redis = stack.use(await startRedis());
    const proxy = stack.use(await reorderingProxy(redis.port));
    const open = async (url: string) => {
      const [client, bus] = await connect(url, stack);
      return stack.use(tiered<string>({ fresh, tiers: [redisTier({ client })], bus, softTimeout: 5_000 }));
    };
    const [here, there] = [await open(proxy.url), await open(redis.url)];
    await vi.waitFor(() => expect([here, there].map((cache) => cache.stats().bus?.isLost)).toEqual([false, false]));
    const own = stack.move();
    return { here, there, proxy, [Symbol.asyncDispose]: () => own.disposeAsync() };
  };

  test(`${kind}: an answer that the message of a newer write has overtaken is not kept`, async () => {
    await using two = await makeTwo();
    const { here, there, proxy } = two;
    await there.set("key", "old");
    await delay(20);
    proxy.hold("answers", "old");
    const reading = here.get("key");
    await proxy.held();
    await there.set("key", "new");
    await delay(50); // the message is there, the answer is not
    proxy.release();
    expect(["old", "new"]).toContain(await reading); // of who asked before, either will do
    expect(await here.get("key")).toBe("new");
    expect(await here.get("key")).toBe("new");
  });

  test(`${kind}: a load that a newer write has overtaken is kept nowhere`, async () => {
    await using two = await makeTwo();
    const { here, there } = two;
    const started = Promise.withResolvers<void>();
    const loaded = Promise.withResolvers<string>();
    const loading = here.getOrLoad("key", () => {
      started.resolve();
      return loaded.promise;
    });
    await started.promise;
    await there.delete("key");
    loaded.resolve("old");
    expect(await loading).toBe("old");
    await delay(50);
    expect([await here.get("key"), await there.get("key")]).toEqual([undefined, undefined]);
  });

  test(`${kind}: a load that a newer write has overtaken unheard is not kept where others find it`, async () => {
    await using two = await makeTwo();
    const { here, there, proxy } = two;
    const started = Promise.withResolvers<void>();
    const loaded = Promise.withResolvers<string>();
    const loading = here.getOrLoad("key", () => {
      started.resolve();
      return loaded.promise;
    });
    await started.promise;
    proxy.hold("pushes", "key");
    await there.delete("key");
    await proxy.held();
    loaded.resolve("old");
    expect(await loading).toBe("old");
    await delay(50);
    expect(await there.get("key")).toBeUndefined(); // Redis has refused it
    proxy.release();
    await vi.waitFor(async () => expect(await here.get("key")).toBeUndefined(), { timeout: 1_000, interval: 5 });
  });

  test(`${kind}: a message that an answer has overtaken still counts`, async () => {
    await using two = await makeTwo();
    const { here, there, proxy } = two;
    await there.set("key", "old");
    await delay(20);
    expect(await here.get("key")).toBe("old");
    proxy.hold("pushes", "key");
    await there.set("key", "new");
    await proxy.held();
    await here.get("other"); // an answer to something asked after the write
    proxy.release();
    await vi.waitFor(async () => expect(await here.get("key")).toBe("new"), { timeout: 1_000, interval: 5 });
  });
}
