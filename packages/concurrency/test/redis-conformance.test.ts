// The public suite for Redis clients, on each client that is supported, against a real server.
import { redisClientConformance } from "@proj/concurrency/testing";
import { type RedisServer, startRedis, testWithTools } from "@tooling/testing";
import type { Redis } from "ioredis";
import type { RedisClientType } from "redis";
import { afterAll, expect, vi } from "vitest";
import { systemClock } from "../src/index.ts";
import { RedisScript, redisLock, redisRateLimiter } from "../src/redis.ts";
import { clients } from "./redis-clients.ts";

const test = testWithTools("redis-server");
vi.setConfig({ testTimeout: 60_000 });

let server: Promise<RedisServer> | undefined;

afterAll(async () => {
  await (await server)?.[Symbol.asyncDispose]();
});

for (const [name, connect] of Object.entries(clients)) {
  const suite = redisClientConformance(async () => {
    server ??= startRedis();
    const connected = await connect((await server).url);
    return {
      client: connected.client,
      forgetScripts: () => flushScripts(connected.client),
      [Symbol.asyncDispose]: () => connected[Symbol.asyncDispose](),
    };
  });
  for (const { name: what, run } of suite) test(`${name}: ${what}`, run);
}

for (const [name, connect] of Object.entries(clients)) {
  test(`${name}: a script gives numbers or strings, and nothing but a list`, async () => {
    server ??= startRedis();
    await using connected = await connect((await server).url);
    const call = { client: connected.client, clock: systemClock, timeout: 20_000 };
    const echo = new RedisScript("return { KEYS[1], ARGV[1], 7 }");
    expect(await echo.strings(call, ["key"], ["text"])).toEqual(["key", "text", "7"]);
    expect(await echo.numbers(call, ["1"], [2.5])).toEqual([1, 2.5, 7]);
    const none = new RedisScript("return 'text'");
    await expect(none.strings(call, ["key"], [])).rejects.toThrow(
      new TypeError('Cannot run a script on Redis: it must return a list, got "text"'),
    );
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
