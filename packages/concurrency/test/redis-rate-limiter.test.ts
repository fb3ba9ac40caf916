// The shared limiter on a real server: its law across processes, its round trips, and what it does when Redis is away.
import { type RedisServer, spawnProcess, startRedis, testWithTools } from "@tooling/testing";
import type { Redis } from "ioredis";
import { expect, vi } from "vitest";
import { RateLimitedError } from "../src/index.ts";
import { type RedisRateLimiterEvent, redisRateLimiter } from "../src/redis.ts";
import { TestClock } from "../src/testing.ts";
import { connectIoRedis, connectNodeRedis } from "./redis-clients.ts";

const test = testWithTools("redis-server");
vi.setConfig({ testTimeout: 60_000 });

/** Far above what a loaded machine needs, so that only a server that is away is taken for one. */
const patient = { timeout: 20_000 };

/** Counts the commands that go over a client. */
function counting(client: Redis): { client: Redis; trips: () => number } {
  let trips = 0;
  const send = client.sendCommand.bind(client);
  client.sendCommand = (...args) => {
    trips++;
    return send(...args);
  };
  return { client, trips: () => trips };
}

test("A key in constant use takes one round trip for ten takes at most", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  const { client, trips } = counting(connected.client as Redis);
  const limiter = redisRateLimiter(client, { rate: 1_000, burst: 5_000 }, patient);
  for (let take = 0; take < 3_000; take++) expect(await limiter.tryTake("ada")).toBe(0);
  expect(trips()).toBeLessThanOrEqual(300);
});

test("A key at its limit of 1,000 per second takes one round trip for ten admissions at most", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  const { client, trips } = counting(connected.client as Redis);
  const limiter = redisRateLimiter(client, { rate: 1_000, burst: 100 }, patient);
  await Promise.all(Array.from({ length: 1_000 }, () => limiter.take("ada")));
  expect(trips()).toBeLessThanOrEqual(100);
});

test("Takes that come together share a round trip", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  const { client, trips } = counting(connected.client as Redis);
  const limiter = redisRateLimiter(client, { rate: 10, per: 3_600_000, burst: 50 }, { ...patient, lease: 1 });
  const waits = await Promise.all(Array.from({ length: 60 }, () => limiter.tryTake("ada")));
  expect(waits.filter((wait) => wait === 0)).toHaveLength(50);
  expect(trips()).toBeLessThanOrEqual(4);
});

test("A key over its limit is refused from memory", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  const { client, trips } = counting(connected.client as Redis);
  const limiter = redisRateLimiter(client, { rate: 1, per: 3_600_000 }, patient);
  expect(await limiter.tryTake("ada")).toBe(0);
  for (let take = 0; take < 100; take++) expect(await limiter.tryTake("ada")).toBeGreaterThan(3_000_000);
  expect(trips()).toBeLessThanOrEqual(4);
});

test("A reset reaches the other processes within a second, however long they were told to wait", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  const clock = new TestClock();
  const spec = { rate: 1, per: 3_600_000 };
  const here = redisRateLimiter(connected.client, spec, { ...patient, clock });
  const there = redisRateLimiter(connected.client, spec, { ...patient, clock });
  expect(await here.tryTake("ada")).toBe(0);
  expect(await there.tryTake("ada")).toBeGreaterThan(3_000_000);
  await here.reset("ada");
  expect(await there.tryTake("ada")).toBeGreaterThan(3_000_000);
  await clock.advance(1_000);
  expect(await there.tryTake("ada")).toBe(0);
});

test("A process that sits on leased units admits them later, and no more than them above the law", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  const clock = new TestClock();
  const spec = { rate: 10, per: 3_600_000, burst: 100 };
  const here = redisRateLimiter(connected.client, spec, { ...patient, clock, lease: 20 });
  const there = redisRateLimiter(connected.client, spec, { ...patient, clock, lease: 20 });
  const drain = async (limiter: typeof here): Promise<number> => {
    let count = 0;
    while ((await limiter.tryTake("ada")) === 0) count++;
    return count;
  };
  for (let take = 0; take < 32; take++) await here.tryTake("ada"); // 1 + 2 + 4 + 8 + 16, and the first of 20
  const others = await drain(there);
  const rest = await drain(here);
  expect(rest).toBeLessThanOrEqual(19);
  expect(32 + others + rest).toBe(100);
});

test("Two processes together admit no more than rate * T + burst", async () => {
  await using redis = await startRedis();
  const spec = { rate: 300, burst: 60 };
  const start = Date.now();
  const admitted = await Promise.all(
    ["node-redis", "ioredis"].map(async (client) => {
      const program = new URL("./redis-limiter-process.ts", import.meta.url).pathname;
      await using child = spawnProcess(process.execPath, [program, client, redis.url, JSON.stringify(spec)]);
      const [, count] = await child.waitForLine(/^admitted (\d+)$/);
      return Number(count);
    }),
  );
  const sum = admitted.reduce((a, b) => a + b);
  expect(sum).toBeLessThanOrEqual((spec.rate * (Date.now() - start)) / 1_000 + spec.burst);
  expect(sum).toBeGreaterThan(spec.burst);
  for (const count of admitted) expect(count).toBeGreaterThan(0);
});

test("take() waits in turn, and rejects at once when the turn would come too late", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  const limiter = redisRateLimiter(connected.client, { rate: 50, burst: 1 }, patient);
  const order: number[] = [];
  await Promise.all([0, 1, 2, 3].map((index) => limiter.take("ada").then(() => order.push(index))));
  expect(order).toEqual([0, 1, 2, 3]);

  const slow = redisRateLimiter(connected.client, { rate: 1, per: 3_600_000 }, { ...patient, prefix: "slow:" });
  await slow.take("ada");
  const error = await slow.take("ada", 1, { timeout: 60_000 }).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(RateLimitedError);
  expect(error).toMatchObject({ code: "ERR_RATE_LIMITED" });
  const reason = new Error("caller left");
  const caller = new AbortController();
  const waiting = slow.take("ada", 1, { signal: caller.signal });
  caller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
});

/** A limiter in virtual time on a server that has stopped answering, but not hung up. */
async function onFrozenServer(
  redis: RedisServer,
  onError: "local" | "allow" | "deny",
  use: (limiter: ReturnType<typeof redisRateLimiter>, clock: TestClock, thaw: () => void) => Promise<void>,
): Promise<void> {
  await using connected = await connectNodeRedis(redis.url);
  const pid = await processOf(redis);
  const clock = new TestClock();
  const limiter = redisRateLimiter(
    connected.client,
    { rate: 2, per: 3_600_000 },
    { timeout: 100, lease: 1, onError, clock, prefix: `${onError}:` },
  );
  await limiter.tryTake("warm");
  process.kill(pid, "SIGSTOP");
  await use(limiter, clock, () => process.kill(pid, "SIGCONT"));
}

async function processOf(redis: RedisServer): Promise<number> {
  await using connected = await connectIoRedis(redis.url);
  const info = await (connected.client as Redis).info("server");
  return Number(/process_id:(\d+)/.exec(info)?.[1]);
}

test("[node-rate-limiter-flexible#335] Without an answer in time the option decides: a local bucket, all, or nobody; then at once", async () => {
  await using redis = await startRedis();
  for (const [onError, expected] of [
    ["local", [0, 0, 1_800_000]],
    ["allow", [0, 0, 0]],
    ["deny", [500, 500, 500]],
  ] as const) {
    await onFrozenServer(redis, onError, async (limiter, clock, thaw) => {
      const start = clock.now();
      const first = limiter.tryTake("ada");
      await clock.advance(100);
      expect([await first, await limiter.tryTake("ada"), await limiter.tryTake("ada")].map(toHalfSeconds)).toEqual(
        expected.map(toHalfSeconds),
      );
      expect(clock.now() - start).toBe(100);
      thaw();
    });
  }
});

function toHalfSeconds(ms: number): number {
  return Math.ceil(ms / 500);
}

test("A slow server is asked again after a pause, and decides again when it answers", async () => {
  await using redis = await startRedis();
  await onFrozenServer(redis, "deny", async (limiter, clock, thaw) => {
    const waiting = limiter.take("ada");
    await clock.advance(100);
    thaw();
    await clock.advance(450); // now it asks; the answer comes in real time
    await waiting;
    expect(await limiter.tryTake("bob", 2)).toBe(0);
    expect(await limiter.tryTake("bob")).toBeGreaterThan(500);
  });
});

test("[bottleneck#112] Killing and restarting Redis in the middle rejects nobody, and the count goes on where it was", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  const events: RedisRateLimiterEvent["kind"][] = [];
  const limiter = redisRateLimiter(
    connected.client,
    { rate: 5, per: 3_600_000 },
    {
      timeout: 200,
      lease: 1,
      onEvent: ({ kind }) => {
        events.push(kind);
        throw new Error("a watcher that fails disturbs nobody");
      },
    },
  );
  while ((await limiter.tryTake("ada", 4)) !== 0); // also on a machine so slow that the first answer comes too late
  await redis.kill();
  expect(await limiter.tryTake("bob")).toBe(0); // by the local bucket
  expect(events.at(-1)).toBe("redis-lost");
  await redis.restart();
  while (events.at(-1) !== "redis-back") await limiter.tryTake(`probe ${Math.random()}`).then(pause);
  const { remaining } = await limiter.peek("ada");
  expect(remaining).toBeLessThanOrEqual(1);
});

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}
