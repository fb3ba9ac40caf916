import type { RedisClient } from "@proj/concurrency/redis";
import type { Redis } from "ioredis";
import type { RedisClientType } from "redis";
import { expectTypeOf, test } from "vitest";
import { type IdempotencyStore, idempotencyGuard, memoryIdempotency } from "../index.ts";
import type { redisIdempotency } from "../redis.ts";
import { sqliteIdempotency } from "../sqlite.ts";

const guard = idempotencyGuard();

test("a guard gives what the task gives", () => {
  expectTypeOf(guard.run("key", () => 1)).toEqualTypeOf<Promise<number>>();
  expectTypeOf(guard.run("key", async (_context, { fence }) => `${fence}`)).toEqualTypeOf<Promise<string>>();
});

test("all stores fit the port, and all clients the store in Redis", () => {
  expectTypeOf(memoryIdempotency()).toExtend<IdempotencyStore>();
  expectTypeOf(sqliteIdempotency(":memory:")).toExtend<IdempotencyStore>();
  expectTypeOf<Parameters<typeof redisIdempotency>[0]>().toEqualTypeOf<RedisClient>();
  expectTypeOf<Redis>().toExtend<RedisClient>();
  expectTypeOf<RedisClientType>().toExtend<RedisClient>();
});

test("misuse is refused", () => {
  // @ts-expect-error: a key is text
  void guard.run(1, () => 1);
  // @ts-expect-error: a fingerprint is text; hash the body
  void guard.run("key", () => 1, { fingerprint: Buffer.from("body") });
  // @ts-expect-error: a crash is never ignored
  idempotencyGuard({ onCrash: "ignore" });
  // @ts-expect-error: a store has four methods
  idempotencyGuard({ store: { begin: () => ({ state: "begun", fence: 1 }) } });
});
