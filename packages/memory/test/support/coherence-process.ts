// One of several processes that share a cache in tiers: does what it is told, a line at a time, and answers each.
import { flushCompileCache } from "node:module";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { tiered } from "../../src/index.ts";
import { pubsubBus, redisLease, redisTier, trackingBus } from "../../src/redis.ts";
import { connectIoRedis, connectTracking } from "./redis-clients.ts";

/** What a process is told. */
export interface Order {
  readonly id: number;
  readonly what: "write" | "stop" | "state" | "read" | "stampede" | "lag";
  readonly keys?: readonly string[];
  readonly hang?: boolean;
}

const [kind = "", url = "", originUrl = "", name = "", leaseTtl = "0"] = process.argv.slice(2);
const { client: origin } = await connectIoRedis(originUrl); // what the cache is in front of
const cache = await open();
const lag = monitorEventLoopDelay({ resolution: 1 });
lag.enable();
let writing: Promise<void> | undefined;
let stops = false;
const turns = new Map<string, Promise<void>>();

for await (const line of startReading()) {
  const order = JSON.parse(line) as Order;
  void answer(order).then((result) => console.log(`answer ${order.id} ${JSON.stringify(result ?? null)}`));
}

function startReading(): AsyncIterable<string> {
  flushCompileCache(); // at its end it will not come to that
  console.log("ready");
  return createInterface({ input: process.stdin });
}

async function open() {
  const lease = { ttl: Number(leaseTtl) };
  const options = {
    fresh: 60_000,
    softTimeout: 200,
    retryAfter: 50,
    breaker: { openFor: 100, openForAtMost: 200 },
  };
  if (kind === "tracking") {
    const { client } = await connectTracking(url);
    return tiered<number>({
      ...options,
      tiers: [redisTier({ client, prefix: "c:" })],
      bus: trackingBus({ client, prefix: "c:", heartbeat: 150 }),
      lease: lease.ttl > 0 && { ...lease, store: redisLease({ client }) },
    });
  }
  const [{ client }, { client: subscriber }] = [await connectIoRedis(url), await connectIoRedis(url)];
  return tiered<number>({
    ...options,
    tiers: [redisTier({ client, prefix: "c:" })],
    bus: pubsubBus({ client, subscriber, heartbeat: 150 }),
    lease: lease.ttl > 0 && { ...lease, store: redisLease({ client }) },
  });
}

async function answer({ what, keys = [], hang = false }: Order): Promise<unknown> {
  if (what === "write") {
    stops = false;
    writing = write(keys);
    return undefined;
  }
  if (what === "stop") {
    stops = true;
    return await writing;
  }
  if (what === "lag") {
    const { max } = lag;
    lag.reset();
    return max / 1e6;
  }
  if (what === "state") {
    const { bus, tiers } = cache.stats();
    return {
      isUp:
        bus?.isLost === false &&
        bus.pending === 0 &&
        tiers.every((tier) => tier.state === "closed" && tier.pending === 0),
    };
  }
  if (what === "read") {
    return Object.fromEntries(
      await Promise.all(keys.map(async (key) => [key, await cache.getOrLoad(key, () => load(key))])),
    );
  }
  return await stampede(keys[0] ?? "", hang);
}

async function load(key: string): Promise<number> {
  const version = Number((await origin.get(key)) ?? 0);
  await delay(Math.random() * 10); // long enough for a write to come in between
  return version;
}

/** Writes to the origin and makes the cache forget, or know; reads everything in between. */
async function write(keys: readonly string[]): Promise<void> {
  const pick = () => keys[Math.floor(Math.random() * keys.length)] as string;
  const lane = async (): Promise<void> => {
    while (!stops) {
      const key = pick();
      if (Math.random() < 0.6) await cache.getOrLoad(key, () => load(key));
      else await change(key);
      await delay(Math.random() * 4);
    }
  };
  await Promise.all([lane(), lane(), lane()]);
}

/** A value is set by its owner alone: of several, nobody would know whose is the last. Others are deleted by all. */
async function change(key: string): Promise<void> {
  const [owner] = key.split(":");
  if (owner !== name && owner !== "all") return;
  await oneAtATime(key, async () => {
    const version = await origin.incr(key);
    if (owner === name && Math.random() < 0.6) await cache.set(key, version);
    else if (Math.random() < 0.1) await cache.clear(key);
    else await cache.delete(key);
  });
}

async function oneAtATime(key: string, task: () => Promise<void>): Promise<void> {
  const turn = (turns.get(key) ?? Promise.resolve()).then(task);
  turns.set(key, turn);
  await turn;
}

/** A hundred callers at once. */
async function stampede(key: string, hang: boolean): Promise<unknown> {
  const loads: number[] = [];
  const one = async () =>
    await cache.getOrLoad(key, async () => {
      loads.push(performance.timeOrigin + performance.now());
      console.log("loading");
      if (hang) await new Promise(() => {});
      await delay(50);
      return await origin.incr(`loads:${key}`);
    });
  const values = await Promise.all(Array.from({ length: 100 }, one));
  return { values: [...new Set(values)], loads };
}
