import { TestClock } from "@proj/concurrency/testing";
import { describe, test } from "vitest";
import { busConformance } from "./conformance-bus.ts";
import { leaseConformance } from "./conformance-lease.ts";
import { tierConformance } from "./conformance-tier.ts";
import { MemoryBus } from "./memory-bus.ts";
import { MemoryLease } from "./memory-lease.ts";
import { MemoryTier } from "./memory-tier.ts";

describe("MemoryTier", () => {
  const suite = tierConformance(() => {
    const clock = new TestClock();
    return { tier: new MemoryTier({ clock }), now: () => clock.wall(), pass: (ms) => clock.advance(ms) };
  });
  for (const { name, run } of suite) test(name, run);
});

describe("MemoryBus", () => {
  const suite = busConformance(() => {
    const here = new MemoryBus();
    const there = here.connect();
    return { here, there, pass: () => {}, cut: () => there.cut(), mend: () => there.mend() };
  });
  for (const { name, run } of suite) test(name, run);
});

describe("MemoryLease", () => {
  const suite = leaseConformance(() => {
    const clock = new TestClock();
    const lease = new MemoryLease({ clock });
    return { here: lease, there: lease, pass: (ms) => clock.advance(ms) };
  });
  for (const { name, run } of suite) test(name, run);
});
