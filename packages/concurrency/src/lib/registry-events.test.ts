import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { expect, test } from "vitest";
import { fixedWindow, leakyBucket, pool, Supervisor, slidingWindow, tokenBucket } from "../index.ts";
import {
  components,
  poolChannel,
  type RefusalEvent,
  refusalChannel,
  type ServiceEvent,
  serviceChannel,
} from "../inspect.ts";
import { redisRateLimiter } from "../redis.ts";
import { TestClock } from "../testing.ts";

async function listening<T>(channel: string, work: () => T | Promise<T>): Promise<unknown[]> {
  const events: unknown[] = [];
  const listener = (event: unknown): void => void events.push(event);
  subscribe(channel, listener);
  try {
    await work();
  } finally {
    unsubscribe(channel, listener);
  }
  return events;
}

test("rate limiters that have a name list themselves, with what they have admitted and refused", async () => {
  const clock = new TestClock();
  const perUser = tokenBucket<string>({ rate: 1, burst: 2, name: "per user", clock });
  const named = [
    slidingWindow({ limit: 1, window: 10, name: "estimate", clock }),
    slidingWindow({ limit: 1, window: 10, exact: true, name: "exact", clock }),
    fixedWindow({ limit: 1, window: 10, name: "quota", clock }),
    leakyBucket({ rate: 100, name: "pace", clock }),
  ];
  tokenBucket({ rate: 1, clock }).tryTake();
  for (const limiter of named) limiter.tryTake();
  perUser.tryTake("ada", 2);
  perUser.tryTake("ada");
  perUser.tryTake("bob");
  const waiting = [perUser.take("ada"), perUser.take("ada")];
  await perUser.take("ada", 1, { timeout: 10 }).catch(() => {});
  await perUser.take("ada", 3).catch(() => {});
  const told = () => components("rate-limiter").find(({ name }) => name === "per user")?.stats;
  expect(told()).toEqual({ algorithm: "token-bucket", keys: 2, admitted: 2, refused: 3, waiting: 2 });
  await clock.advance(2_000);
  await Promise.all(waiting);
  expect(told()).toEqual({ algorithm: "token-bucket", keys: 2, admitted: 4, refused: 3, waiting: 0 });
  const rest = components("rate-limiter").filter(({ name }) => name !== "per user");
  expect(rest.map(({ name, stats }) => [name, stats["algorithm"], stats["admitted"]])).toEqual([
    ["estimate", "sliding-window", 1],
    ["exact", "sliding-window", 1],
    ["quota", "fixed-window", 1],
    ["pace", "leaky-bucket", 1],
  ]);
  expect(named).toHaveLength(4);
  expect(() => fixedWindow({ limit: 1, window: 1, name: 7 as never })).toThrow(
    "Cannot create a fixed window: name must be a string, got 7",
  );
});

test("whoever listens hears of each refusal, once, and what the caller was told", async () => {
  const clock = new TestClock();
  const limiter = tokenBucket<string>({ rate: 10, burst: 1, name: "logins", clock });
  const heard = (await listening(refusalChannel, async () => {
    limiter.tryTake("ada"); // admitted
    limiter.tryTake("ada");
    const waiting = limiter.take("ada");
    await limiter.take("ada", 1, { timeout: 150 }).catch(() => {});
    await limiter.take("ada", 1, { maxQueue: 1 }).catch(() => {});
    await clock.advance(100);
    await waiting;
    await limiter.take("ada", 2).catch(() => {});
  })) as RefusalEvent[];
  const common = { kind: "take-refused", name: "logins", algorithm: "token-bucket", key: "ada" };
  expect(heard).toEqual([
    { ...common, cost: 1, retryAfterMs: 100 },
    { ...common, cost: 1, retryAfterMs: 200 },
    { ...common, cost: 1, retryAfterMs: 200 },
    { ...common, cost: 2, retryAfterMs: Number.POSITIVE_INFINITY },
  ]);
  const nameless = slidingWindow({ limit: 1, window: 10, clock });
  const [event] = await listening(refusalChannel, () => [nameless.tryTake(), nameless.tryTake()]);
  expect(event).toMatchObject({ name: "sliding-window", key: undefined });
});

test("who has waited and comes to wait too long is a refusal as well, who gives up is none", async () => {
  const clock = new TestClock();
  const limiter = tokenBucket({ rate: 10, burst: 4, name: "late", clock });
  limiter.tryTake(undefined, 4);
  const caller = new AbortController();
  const heard = await listening(refusalChannel, async () => {
    const first = limiter.take(undefined, 4);
    const gone = limiter.take(undefined, 1, { signal: caller.signal }).catch(() => {});
    caller.abort();
    await clock.advance(400);
    await Promise.all([first, gone]);
  });
  expect(heard).toEqual([]);
});

test("a limiter in Redis tells of its refusals, and that Redis is away", async () => {
  const broken = { eval: () => Promise.reject(new Error("away")), evalSha: () => Promise.reject(new Error("away")) };
  const limiter = redisRateLimiter(broken, { rate: 1, per: 60_000, burst: 1 }, { name: "shared", onError: "local" });
  const heard = await listening(refusalChannel, async () => {
    await limiter.tryTake("ada");
    await limiter.tryTake("ada");
    await limiter.take("ada", 1, { timeout: 5 }).catch(() => {});
  });
  expect(heard).toMatchObject([
    { name: "shared", algorithm: "redis-token-bucket", key: "ada", cost: 1 },
    { name: "shared", algorithm: "redis-token-bucket", key: "ada", cost: 1 },
  ]);
  const stats = components("rate-limiter").find(({ name }) => name === "shared")?.stats;
  expect(stats).toEqual({
    algorithm: "redis-token-bucket",
    keys: 1,
    admitted: 1,
    refused: 2,
    waiting: 0,
    away: true,
  });
  await limiter.tryTake("ada");
});

test("whoever listens hears of each change of a service, and of which supervisor it is", async () => {
  const heard = (await listening(serviceChannel, async () => {
    await using supervisor = new Supervisor({ store: { start: () => {} } }, { name: "app" });
    await supervisor.start();
  })) as ServiceEvent[];
  expect(heard).toEqual(
    ["starting", "running", "stopping", "stopped"].map((state) => ({
      kind: "service-changed",
      name: "store",
      state,
      supervisor: "app",
    })),
  );
});

test("whoever listens hears of each resource of a pool that is made, fails to be made or is destroyed", async () => {
  const clock = new TestClock();
  const [down, broken] = [new Error("down"), new Error("broken")];
  const pause = (ms: number) => new Promise<void>((resolve) => void clock.setTimeout(resolve, ms));
  let attempts = 0;
  let isBroken = false;
  const connections = pool({
    name: "connections",
    clock,
    createTimeout: 50,
    createBackoff: () => 10,
    async create() {
      const attempt = ++attempts;
      await pause(attempt === 2 ? 70 : 5);
      if (attempt === 1) throw down;
      return attempt;
    },
    destroy() {
      if (isBroken) throw broken;
    },
  });
  const heard = await listening(poolChannel, async () => {
    const waits = Array.from({ length: 3 }, () => connections.acquire({ timeout: 1_000 }).catch(() => undefined));
    await clock.advance(200);
    isBroken = true;
    for (const wait of waits) (await wait)?.discard();
    await connections.close();
  });
  const name = "connections";
  expect(heard).toEqual([
    { kind: "create-failed", name, error: down, tookMs: 5, failures: 1 },
    { kind: "resource-created", name, tookMs: 5, size: 1 },
    { kind: "create-failed", name, error: expect.objectContaining({ code: "ERR_TIMEOUT" }), tookMs: 50, failures: 1 },
    { kind: "resource-created", name, tookMs: 70, size: 2 }, // too late: it goes at once
    { kind: "resource-destroyed", name, size: 1, error: undefined },
    { kind: "resource-destroyed", name, size: 0, error: broken },
  ]);
});
