// The public suites for tiers, buses and leases, on each client that is supported, against a real server.
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type RedisServer, startRedis, testWithTools } from "@tooling/testing";
import { createClient } from "redis";
import { afterAll, describe, vi } from "vitest";
import { redisLease, redisTier } from "../src/redis.ts";
import { busConformance, leaseConformance, tierConformance } from "../src/testing.ts";
import { buses, clients } from "./support/redis-clients.ts";

const test = testWithTools("redis-server");
vi.setConfig({ testTimeout: 30_000 });

let server: Promise<RedisServer> | undefined;

afterAll(async () => {
  await (await server)?.[Symbol.asyncDispose]();
});

/** One server for all checks, each with keys of its own. */
async function url(): Promise<string> {
  server ??= startRedis();
  return (await server).url;
}

for (const [name, connect] of Object.entries(clients)) {
  describe(`redisTier with ${name}`, () => {
    const suite = tierConformance(async () => {
      const { client, [Symbol.asyncDispose]: dispose } = await connect(await url());
      const tier = redisTier({ client, prefix: `[${randomUUID()}]*` });
      return { tier, now: Date.now, pass: (ms: number) => delay(ms), [Symbol.asyncDispose]: dispose };
    });
    for (const { name: what, run } of suite) test(what, run);
  });

  describe(`redisLease with ${name}`, () => {
    const suite = leaseConformance(async () => {
      const { client, [Symbol.asyncDispose]: dispose } = await connect(await url());
      const prefix = `${randomUUID()}:`;
      const [here, there] = [redisLease({ client, prefix }), redisLease({ client, prefix })];
      return { here, there, pass: (ms: number) => delay(ms), [Symbol.asyncDispose]: dispose };
    });
    for (const { name: what, run } of suite) test(what, run);
  });
}

for (const [name, connect] of Object.entries(buses)) {
  describe(name, () => {
    const suite = busConformance(async () => {
      await using stack = new AsyncDisposableStack();
      const { bus: here } = stack.use(await connect(await url()));
      const { bus: there } = stack.use(await connect(await url()));
      const own = stack.move();
      return {
        here,
        there,
        pass: (ms: number) => delay(ms),
        cut: async () => killAll(await url()),
        [Symbol.asyncDispose]: () => own.disposeAsync(),
      };
    });
    for (const { name: what, run } of suite) test(what, run);
  });
}

/** Closes all connections of clients but the one that does it. They come back by themselves. */
async function killAll(address: string): Promise<void> {
  const killer = createClient({ url: address });
  await killer.connect();
  for (const type of ["normal", "pubsub"]) await killer.sendCommand(["CLIENT", "KILL", "TYPE", type, "SKIPME", "yes"]);
  await delay(100); // for those of the same process to be back
  killer.destroy();
}
