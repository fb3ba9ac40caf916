// Locks and semaphores on a real server: who holds them, who waits, and what happens when a holder or Redis is gone.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { spawnProcess, startRedis, temporaryFolder, testWithTools } from "@tooling/testing";
import type { Redis } from "ioredis";
import { expect, vi } from "vitest";
import { Context, TimeoutError } from "../src/index.ts";
import { type IoRedisClient, LockLostError, type RedisLease, redisLock, redisSemaphore } from "../src/redis.ts";
import { cancelSweep, TestClock } from "../src/testing.ts";
import { connectIoRedis, connectNodeRedis } from "./redis-clients.ts";

const test = testWithTools("redis-server");
vi.setConfig({ testTimeout: 60_000 });

/** Long enough that no lease ends by accident on a slow machine. */
const steady = { ttl: 60_000, poll: 5 };

test("Two processes exclude each other, and the fencing numbers grow in the order of their turns", async () => {
  await using redis = await startRedis();
  await using folder = await temporaryFolder();
  const file = join(folder.path, "counter");
  const log = join(folder.path, "log");
  await Promise.all([writeFile(file, "0"), writeFile(log, "")]);
  const program = new URL("./redis-lock-process.ts", import.meta.url).pathname;
  await Promise.all(
    ["node-redis", "ioredis"].map(async (client) => {
      await using child = spawnProcess(process.execPath, [program, "count", client, redis.url, file, log]);
      expect((await child.exited).code, child.output).toBe(0);
    }),
  );
  expect(await readFile(file, "utf8")).toBe("60");
  const turns = (await readFile(log, "utf8"))
    .trim()
    .split("\n")
    .map((line) => line.split(" "));
  expect(turns).toHaveLength(60);
  const fences = turns.map(([fence]) => Number(fence));
  expect(fences).toEqual([...new Set(fences)].sort((a, b) => a - b));
  expect(new Set(turns.map(([, client]) => client)).size).toBe(2);
});

test("A holder that stands still past its lease is refused by its fencing number, and told when it wakes up", async () => {
  await using redis = await startRedis();
  await using connected = await connectNodeRedis(redis.url);
  const program = new URL("./redis-lock-process.ts", import.meta.url).pathname;
  await using sleeper = spawnProcess(process.execPath, [program, "write", "ioredis", redis.url]);
  const [, first] = await sleeper.waitForLine(/^held (\d+)$/);
  let highest = Number(first);
  const accepts = (fence: number): boolean => {
    highest = Math.max(highest, fence);
    return fence === highest;
  };

  // It neither renews its lease nor sees it end: it is stopped, and blocked until it reads a line.
  sleeper.signal("SIGSTOP");
  const lease = await redisLock(connected.client, "resource", steady).acquire();
  expect(accepts(lease.fence)).toBe(true);
  sleeper.signal("SIGCONT");
  sleeper.write("go\n");

  const [, late] = await sleeper.waitForLine(/^writes (\d+)$/);
  expect(late).toBe(first);
  expect(accepts(Number(late))).toBe(false);
  await sleeper.waitForLine(/^rejected ERR_LOCK_LOST$/);
  await sleeper.waitForLine(/^cancelled ERR_LOCK_LOST$/);
  expect(lease.held).toBe(true);
  await lease.release();
});

// The two that wait longest wait together.

test.concurrent("[bottleneck#115] A lock whose holder was killed is free after the time to live", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  const program = new URL("./redis-lock-process.ts", import.meta.url).pathname;
  await using holder = spawnProcess(process.execPath, [program, "hold", "node-redis", redis.url]);
  const [, fence] = await holder.waitForLine(/^held (\d+)$/);
  const lock = redisLock(connected.client, "resource", steady);
  expect(await lock.tryAcquire()).toBeUndefined();
  await holder.kill();
  await using lease = await lock.acquire();
  expect(lease.fence).toBeGreaterThan(Number(fence));
});

test.concurrent("A lease is prolonged for as long as its holder needs it", async () => {
  await using redis = await startRedis();
  await using connected = await connectNodeRedis(redis.url);
  const lock = redisLock(connected.client, "key", { ttl: 3_000, poll: 5 });
  const start = Date.now();
  await lock.run(async (context) => {
    while (Date.now() - start < 4_000) {
      expect(await lock.tryAcquire()).toBeUndefined();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(context.cancelled).toBe(false);
  });
  await (await lock.acquire()).release();
});

test("The task of a holder is told within the lease that Redis is gone, and run() rejects with the same error", async () => {
  await using redis = await startRedis();
  await using connected = await connectNodeRedis(redis.url);
  const clock = new TestClock();
  const lock = redisLock(connected.client, "key", { ttl: 900, clock });
  const { promise: started, resolve: start } = Promise.withResolvers<RedisLease>();
  const running = lock.run(
    (context, lease) =>
      new Promise<never>((_resolve, reject) => {
        start(lease);
        context.signal.addEventListener("abort", () => reject(context.signal.reason));
      }),
  );
  const rejected = running.catch((error: unknown) => error);
  const lease = await started;
  await redis.kill();

  await clock.advance(899);
  expect(lease.held).toBe(true);
  expect(lease.context.cancelled).toBe(false);
  await clock.advance(1);
  expect(lease.held).toBe(false);
  expect(lease.context.cause).toBeInstanceOf(LockLostError);
  expect(lease.context.cause).toMatchObject({ code: "ERR_LOCK_LOST", key: "key", fence: lease.fence });
  await clock.advance(300); // giving back what is lost anyway does not take longer than a round trip may
  expect(await rejected).toBe(lease.context.cause);
  expect(await lease.release()).toBe(false);
  expect(clock.timers).toBe(0);
});

test("The result of a task that did not notice the loss of its lease is dropped", async () => {
  await using redis = await startRedis();
  await using connected = await connectNodeRedis(redis.url);
  const clock = new TestClock();
  const lock = redisLock(connected.client, "key", { ttl: 900, clock });
  const running = lock.run(async () => {
    await redis.kill();
    await clock.advance(900);
    return "done without the lock";
  });
  const rejected = running.catch((error: unknown) => error);
  await vi.waitFor(async () => {
    await clock.advance(100);
    expect(clock.timers).toBe(0);
  }, 20_000);
  expect(await rejected).toBeInstanceOf(LockLostError);
});

test("A lease outlives a Redis that is killed and comes back with its data within the time to live", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  const clock = new TestClock();
  const { client, answered } = observed(connected.client as Redis);
  const lease = await redisLock(client, "key", { ...steady, clock }).acquire();
  await redis.kill();
  await redis.restart();
  await (connected.client as Redis).ping(); // connected again
  await clock.advance(20_000);
  await answered(); // the renewal, in real time
  await clock.advance(59_000);
  expect(lease.held).toBe(true);
  expect(await lease.release()).toBe(true);
});

test("A holder whose lease Redis has lost is told at the next renewal, and fencing numbers go on growing", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  const clock = new TestClock();
  const lock = redisLock(connected.client, "key", { ...steady, clock });
  const lease = await lock.acquire();
  await (connected.client as Redis).flushall();
  const next = await lock.acquire();
  expect(next.fence).toBeGreaterThan(lease.fence);
  await clock.advance(20_000);
  await vi.waitFor(() => expect(lease.context.cause).toBeInstanceOf(LockLostError), 20_000);
  expect(next.context.cancelled).toBe(false);
  expect(await lease.release()).toBe(false); // not the lease of another
  expect(await next.release()).toBe(true);
});

test("Those who wait get on when Redis is killed and restarted", async () => {
  await using redis = await startRedis();
  await using connected = await connectNodeRedis(redis.url);
  const lock = redisLock(connected.client, "key", steady);
  const lease = await lock.acquire();
  const waiting = lock.acquire();
  await redis.kill();
  await redis.restart();
  while (!(await lease.release())) throw new Error("The lease should have outlived the restart");
  await using next = await waiting;
  expect(next.fence).toBeGreaterThan(lease.fence);
});

test("Those who wait are served in the order in which they came", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  const lock = redisLock(connected.client, "key", { ...steady, random: () => 0.5 });
  const holder = await lock.acquire();
  const order: number[] = [];
  const all: Promise<unknown>[] = [];
  for (let index = 0; index < 5; index++) {
    all.push(lock.run(() => order.push(index)));
    await (connected.client as Redis).ping(); // its first question has been answered
  }
  await holder.release();
  await Promise.all(all);
  expect(order).toEqual([0, 1, 2, 3, 4]);
});

test("Who waits and gives up leaves the queue: by signal, by timeout, by the end of the context", async () => {
  await using redis = await startRedis();
  await using connected = await connectNodeRedis(redis.url);
  const lock = redisLock(connected.client, "key", steady);
  const lease = await lock.acquire();
  const reason = new Error("caller left");

  const caller = new AbortController();
  const byAbort = lock.acquire({ signal: caller.signal });
  caller.abort(reason);
  await expect(byAbort).rejects.toBe(reason);
  await expect(lock.acquire({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  await expect(lock.acquire({ timeout: 30 })).rejects.toBeInstanceOf(TimeoutError);
  using context = Context.derive();
  const byContext = Context.run(context, () => lock.acquire());
  context.cancel(reason);
  await expect(byContext).rejects.toBe(reason);

  await lease.release();
  const next = await lock.tryAcquire(); // refused as long as anybody is in line
  expect(next).toBeDefined();
  await next?.release();
});

test("A cancellation at any step of acquire() loses no lease", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  await cancelSweep(
    async (signal, step) => {
      const lock = redisLock(connected.client, `key ${step}`, steady);
      const lease = await lock.acquire({ signal }).catch(() => undefined);
      await lease?.release();
      await using next = await lock.acquire({ timeout: 20_000 });
      expect(next.held).toBe(true);
    },
    { steps: 20 },
  );
});

test("A semaphore never has more holders than permits", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  const semaphore = redisSemaphore(connected.client, "key", { ...steady, permits: 3 });
  let inside = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 20 }, () =>
      semaphore.run(async () => {
        most = Math.max(most, ++inside);
        await (connected.client as Redis).ping();
        inside--;
      }),
    ),
  );
  expect(most).toBeLessThanOrEqual(3);
  expect(inside).toBe(0);
});

test("A task may give the lease back before it ends", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  const clock = new TestClock();
  const lock = redisLock(connected.client, "key", { ttl: 1_000, clock });
  const result = await lock.run(async (_context, lease) => {
    await lease.release();
    await clock.advance(2_000);
    return "done";
  });
  expect(result).toBe("done");
});

test("[bottleneck#205] What Redis refuses rejects at once, with its own code, as Redis 7 and later give it", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  await (connected.client as Redis).set("lock:{key}:holders", "not a sorted set");
  await expect(redisLock(connected.client, "key").acquire()).rejects.toThrow(/WRONGTYPE/);
});

test("The task runs in the context of its lease, which ends with the caller's", async () => {
  await using redis = await startRedis();
  await using connected = await connectIoRedis(redis.url);
  const lock = redisLock(connected.client, "key", steady);
  const reason = new Error("caller left");
  const caller = new AbortController();
  const running = lock.run(
    async (context, lease) => {
      expect(Context.current()).toBe(context);
      expect(lease.context).toBe(context);
      caller.abort(reason);
      context.throwIfCancelled();
    },
    { signal: caller.signal },
  );
  await expect(running).rejects.toBe(reason);
  await (await lock.acquire()).release();
});

test("Misuse is told at once, with the option and the value", async () => {
  const client = { eval: async () => [], evalsha: async () => [] };
  expect(() => redisLock(client, "key", { ttl: 99 })).toThrow(/ttl must be an integer of at least 100, got 99/);
  expect(() => redisLock(client, 1 as never)).toThrow(/key must be a string, got 1/);
  expect(() => redisLock(client, "key", { poll: -1 })).toThrow(/poll must be a positive number, got -1/);
  expect(() => redisSemaphore(client, "key", { permits: 0 })).toThrow(
    /permits must be an integer of at least 1, got 0/,
  );
  await expect(redisLock(client, "key").acquire({ timeout: -1 })).rejects.toThrow(/timeout must be 0 ms or more/);
});

/** Tells when nothing is on its way to Redis or back. */
function observed(client: Redis): { client: IoRedisClient; answered: () => Promise<void> } {
  const pending = new Set<Promise<unknown>>();
  const track = (answer: Promise<unknown>): Promise<unknown> => {
    pending.add(answer);
    return answer.finally(() => pending.delete(answer));
  };
  return {
    client: {
      eval: (...args) => track(client.eval(...args)),
      evalsha: (...args) => track(client.evalsha(...args)),
    },
    async answered() {
      while (pending.size > 0) {
        await Promise.allSettled(pending);
        await new Promise((resolve) => setImmediate(resolve)); // an answer may lead to another question
      }
    },
  };
}
