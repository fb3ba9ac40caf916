import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { cacheService } from "./cache-service.ts";
import { MemoryBus } from "./memory-bus.ts";
import { MemoryTier } from "./memory-tier.ts";
import { tiered } from "./tiered.ts";

function make() {
  const clock = new TestClock();
  const tier = new MemoryTier({ clock, name: "redis" });
  const bus = new MemoryBus();
  const cache = tiered<string>({ fresh: 1_000, tiers: [tier], bus, clock, breaker: { failures: 1 } });
  return { cache, service: cacheService(cache), tier, bus };
}

test("a service gets, sets and deletes, one or many", async () => {
  const { service } = make();
  await service.set("a", "A");
  expect(await service.get("a")).toBe("A");
  expect(await service.getMulti(["a", "b"], async () => new Map([["b", "B"]]))).toEqual(
    new Map([
      ["a", "A"],
      ["b", "B"],
    ]),
  );
  await service.delete("a");
  expect(await service.get("a")).toBeUndefined();
  expect(service.stats().loads).toBe(1);
});

test("a pattern is a key, a prefix with a star, or nothing for all", async () => {
  const { service } = make();
  for (const key of ["user:1", "user:2", "page:1", "page:2"]) await service.set(key, key);
  expect(await service.clear("user:*")).toBe(2);
  expect(await service.clear("page:1")).toBe(1);
  expect(await service.clear("page:")).toBe(0);
  await expect(service.clear("*:2")).rejects.toThrow(/a prefix and a star, got "\*:2"/);
  expect(await service.clear()).toBe(1);
});

test("health tells which tiers are left alone, and whether the bus is lost", async () => {
  const { service, tier, bus } = make();
  expect(service.health()).toEqual({ status: "up", away: [] });
  tier.fault = () => Promise.reject(new Error("down"));
  await service.get("a");
  bus.cut();
  expect(service.health()).toEqual({ status: "degraded", away: ["redis", "bus"] });
});
