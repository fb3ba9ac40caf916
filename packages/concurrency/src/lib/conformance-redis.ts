// What ./redis expects of a client, checked against a real server.
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { systemClock } from "./clock.ts";
import { type ConformanceCase, conformanceCase } from "./conformance.ts";
import type { RedisClient } from "./redis-client.ts";
import { redisLock, redisSemaphore } from "./redis-lock.ts";
import { redisRateLimiter } from "./redis-rate-limiter.ts";
import { isRefusal, RedisScript } from "./redis-script.ts";

/** A client to check. Disposed of after each check if it is `AsyncDisposable`. */
export interface RedisClientUnderTest extends Partial<AsyncDisposable> {
  /** Connected to a server that answers. Each check uses keys of its own, which expire. */
  readonly client: RedisClient;
  /** Makes the server forget all scripts (`SCRIPT FLUSH`), to check what happens then. Default: that is not checked. */
  forgetScripts?(): Promise<unknown>;
}

/** Far above what a loaded machine needs, so that only a server that is away is taken for one. */
const patience = 20_000;

const hour = 3_600_000;

/**
 * Checks that a {@link RedisClient} does what rate limiters and locks need of it: for a client, a wrapper or a server of
 * your own. `connect` is called for each check.
 *
 * @example
 * <!-- check: types-only, needs a Redis -->
 * ```ts
 * import test from "node:test";
 * import { redisClientConformance } from "@proj/concurrency/testing";
 * import { Redis } from "ioredis";
 *
 * const suite = redisClientConformance(() => {
 *   const client = new Redis("redis://127.0.0.1:6379");
 *   return { client, [Symbol.asyncDispose]: async () => client.disconnect() };
 * });
 * for (const { name, run } of suite) test(name, run);
 * ```
 */
export function redisClientConformance(
  connect: () => RedisClientUnderTest | PromiseLike<RedisClientUnderTest>,
): readonly ConformanceCase[] {
  const check = (name: string, body: (under: RedisClientUnderTest) => unknown): ConformanceCase =>
    conformanceCase(name, connect, body);
  return [
    check("keys and arguments arrive as they are, and numbers come back", async ({ client }) => {
      const script = unknownScript("return { #KEYS, #KEYS[1], #ARGV[1], #ARGV[2], tonumber(ARGV[3]), -1 }");
      const keys = [`{${randomUUID()}}`, `{${randomUUID()}}`];
      const reply = await script.numbers(callOf(client), keys.slice(0, 1), ["ключ с пробелом", "", 2 ** 50]);
      deepEqual(reply, [1, 38, 28, 0, 2 ** 50, -1]); // lengths in bytes
    }),
    check("a script that the server does not know is sent by its text, and known from then on", async ({ client }) => {
      const script = unknownScript("return { 1 + ARGV[1] }");
      deepEqual(await script.numbers(callOf(client), ["key"], [1]), [2]);
      deepEqual(await script.numbers(callOf(client), ["key"], [2]), [3]);
    }),
    check("what a script fails with arrives as an Error that begins with its code", async ({ client }) => {
      const script = unknownScript(`return redis.error_reply("WRONGTYPE made for a check")`);
      await rejects(script.numbers(callOf(client), ["key"], []), (error: unknown) => {
        ok(error instanceof Error && error.message.startsWith("WRONGTYPE "), `got ${error}`);
        return isRefusal(error);
      });
    }),
    check("many at a time get each its own answer, in the order in which they asked", async ({ client }) => {
      const script = unknownScript(`redis.call("PEXPIRE", KEYS[1], 60000)
        return { redis.call("INCR", KEYS[1]), tonumber(ARGV[1]) }`);
      const key = `conformance:${randomUUID()}`;
      await script.numbers(callOf(client), [key], [0]); // known from now on
      await script.numbers(callOf(client), [key], [0]);
      const replies = await Promise.all(
        Array.from({ length: 100 }, (_, index) => script.numbers(callOf(client), [key], [index])),
      );
      deepEqual(
        replies.map(([, index]) => index),
        replies.map((_, index) => index),
      );
      equal(new Set(replies.map(([count]) => count)).size, 100);
    }),
    check("a limiter counts on the server, also after the server has forgotten its scripts", async (under) => {
      const options = { timeout: patience, lease: 1, prefix: `conformance:${randomUUID()}:` };
      const limiter = redisRateLimiter(under.client, { rate: 3, per: hour }, options);
      deepEqual(await limiter.peek("ada"), { limit: 3, windowMs: hour, remaining: 3, resetMs: 0, retryAfterMs: 0 });
      equal(await limiter.tryTake("ada"), 0);
      await under.forgetScripts?.();
      equal(await limiter.tryTake("ada", 2), 0);
      const wait = await limiter.tryTake("ada");
      ok(wait > 1_100_000 && wait <= 1_200_000, `told ${wait} ms of 20 minutes`);
      const decision = await limiter.peek("ada", 2);
      equal(decision.remaining, 0);
      ok(decision.resetMs > 3_500_000 && decision.retryAfterMs > 2_300_000);
      equal(await limiter.tryTake("bob"), 0);
      await limiter.reset("ada");
      equal(await limiter.tryTake("ada", 3), 0);
      equal(await limiter.tryTake("ada", 4), Number.POSITIVE_INFINITY);
    }),
    check("a lock has one holder, its owner alone releases it, and numbers grow", async (under) => {
      const key = randomUUID();
      const [lock, twin] = [1, 2].map(() => redisLock(under.client, key, { ttl: 60_000 })) as [RedisLock, RedisLock];
      const lease = await lock.acquire();
      deepEqual([lease.held, lease.context.cancelled], [true, false]);
      equal(await twin.tryAcquire(), undefined);
      await rejects(twin.acquire({ timeout: 60 }), { name: "TimeoutError", timeoutMs: 60 });
      await under.forgetScripts?.();
      equal(await lease.release(), true);
      equal(lease.held, false);
      const second = await twin.tryAcquire();
      ok(second !== undefined && second.fence > lease.fence, `${second?.fence} after ${lease.fence}`);
      equal(await lease.release(), true); // the same answer, nothing is done
      equal(await lock.tryAcquire(), undefined);
      await second[Symbol.asyncDispose]();
      ok((await lock.run((_context, { fence }) => fence)) > second.fence, "numbers grow");
    }),
    check("a semaphore has as many leases as permits", async ({ client }) => {
      const semaphore = redisSemaphore(client, randomUUID(), { permits: 2, ttl: 60_000 });
      const [first, second] = [await semaphore.tryAcquire(), await semaphore.tryAcquire()];
      equal(await semaphore.tryAcquire(), undefined);
      const waiting = semaphore.acquire({ timeout: patience });
      await first?.release();
      const third = await waiting;
      equal(new Set([first?.fence, second?.fence, third.fence]).size, 3);
      await Promise.all([second?.release(), third.release()]);
    }),
  ];
}

type RedisLock = ReturnType<typeof redisLock>;

function callOf(client: RedisClient): { client: RedisClient; clock: typeof systemClock; timeout: number } {
  return { client, clock: systemClock, timeout: patience };
}

/** One that no server has seen. */
function unknownScript(text: string): RedisScript {
  return new RedisScript(`-- ${randomUUID()}\n${text}`);
}
