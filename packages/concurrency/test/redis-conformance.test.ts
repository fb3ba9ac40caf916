// Everything in ./redis, through each client, on a real server.
import { startRedis, testWithTools } from "@tooling/testing";
import type { Redis } from "ioredis";
import type { RedisClientType } from "redis";
import { expect, vi } from "vitest";
import { redisLock, redisRateLimiter, redisSemaphore } from "../src/redis.ts";
import { clients } from "./redis-clients.ts";

const test = testWithTools("redis-server");
vi.setConfig({ testTimeout: 60_000 });

/** Far above what a loaded machine needs, so that only a server that is away is taken for one. */
const patient = { timeout: 20_000 };

for (const [name, connect] of Object.entries(clients)) {
  test(`${name} runs the limiter's scripts, also after the server has forgotten them`, async () => {
    await using redis = await startRedis();
    await using connected = await connect(redis.url);
    const { client } = connected;
    const limiter = redisRateLimiter(client, { rate: 3, per: 3_600_000 }, { ...patient, lease: 1 });

    expect(await limiter.peek("ada")).toEqual({
      limit: 3,
      windowMs: 3_600_000,
      remaining: 3,
      resetMs: 0,
      retryAfterMs: 0,
    });
    expect(await limiter.tryTake("ada")).toBe(0);
    await flushScripts(client);
    expect(await limiter.tryTake("ada", 2)).toBe(0);
    const wait = await limiter.tryTake("ada");
    expect(wait).toBeGreaterThan(1_100_000);
    expect(wait).toBeLessThanOrEqual(1_200_000);
    const decision = await limiter.peek("ada", 2);
    expect(decision.remaining).toBe(0);
    expect(decision.resetMs).toBeGreaterThan(3_500_000);
    expect(decision.retryAfterMs).toBeGreaterThan(2_300_000);
    expect(await limiter.tryTake("bob")).toBe(0);

    await limiter.reset("ada");
    expect(await limiter.tryTake("ada", 3)).toBe(0);
    expect(await limiter.tryTake("ada", 4)).toBe(Number.POSITIVE_INFINITY);
  });

  test(`${name} runs the lock's scripts: one holder, its owner alone releases it, and numbers grow`, async () => {
    await using redis = await startRedis();
    await using connected = await connect(redis.url);
    const { client } = connected;
    const lock = redisLock(client, "invoices", { ttl: 60_000 });
    const twin = redisLock(client, "invoices", { ttl: 60_000 });

    const lease = await lock.acquire();
    expect(lease.held).toBe(true);
    expect(lease.context.cancelled).toBe(false);
    expect(await twin.tryAcquire()).toBeUndefined();
    await expect(twin.acquire({ timeout: 60 })).rejects.toMatchObject({ name: "TimeoutError", timeoutMs: 60 });

    await flushScripts(client);
    expect(await lease.release()).toBe(true);
    expect(lease.held).toBe(false);
    const second = await twin.tryAcquire();
    expect(second?.fence).toBeGreaterThan(lease.fence);
    expect(await lease.release()).toBe(true); // the same answer, nothing is done
    expect(await lock.tryAcquire()).toBeUndefined();
    await second?.[Symbol.asyncDispose]();
    expect(await lock.run((_context, { fence }) => fence)).toBeGreaterThan(second?.fence ?? Number.NaN);
  });

  test(`${name} runs the semaphore's scripts: as many leases as permits`, async () => {
    await using redis = await startRedis();
    await using connected = await connect(redis.url);
    const semaphore = redisSemaphore(connected.client, "exports", { permits: 2, ttl: 60_000 });

    const first = await semaphore.tryAcquire();
    const second = await semaphore.tryAcquire();
    expect(await semaphore.tryAcquire()).toBeUndefined();
    const waiting = semaphore.acquire({ timeout: 20_000 });
    await first?.release();
    const third = await waiting;
    expect(new Set([first?.fence, second?.fence, third.fence]).size).toBe(3);
    await Promise.all([second?.release(), third.release()]);
  });
}

test("An object that is no client is refused at once", () => {
  expect(() => redisRateLimiter({} as never, { rate: 1 })).toThrow(
    new TypeError(
      "Cannot create a Redis rate limiter: client must be a client of redis or ioredis, with evalSha or evalsha",
    ),
  );
  expect(() => redisLock(undefined as never, "key")).toThrow(TypeError);
});

/** Both kinds of client can send any command, each in its way. */
async function flushScripts(client: object): Promise<void> {
  if ("call" in client) await (client as Redis).call("SCRIPT", "FLUSH");
  else await (client as RedisClientType).sendCommand(["SCRIPT", "FLUSH"]);
}
