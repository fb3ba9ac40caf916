import { channel } from "node:diagnostics_channel";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { memoryChannel } from "./events.ts";
import { MemoryTier } from "./memory-tier.ts";
import { tiered } from "./tiered.ts";

const softTimeout = 100;

/** What may be wrong with a tier, and how long a call of it takes then at most. */
const sicknesses = {
  "that refuses": { fault: () => Promise.reject(new Error("ECONNREFUSED")), wait: 0 },
  "that throws": {
    fault: () => {
      throw new Error("not open");
    },
    wait: 0,
  },
  "that is a black hole": { fault: () => new Promise(() => {}), wait: softTimeout },
  "that takes 5 s": {
    fault: (clock: TestClock) => new Promise<void>((resolve) => void clock.setTimeout(resolve, 5_000)),
    wait: softTimeout,
  },
} as const;

function make() {
  const clock = new TestClock();
  const tier = new MemoryTier({ clock });
  const breaker = { failures: 3, openFor: 1_000 };
  const cache = tiered<string>({ fresh: 600_000, tiers: [tier], softTimeout, breaker, clock, random: () => 1 });
  return { clock, tier, cache };
}

for (const [name, { fault, wait }] of Object.entries(sicknesses)) {
  test(`with a tier ${name}, hits are as before and misses wait no longer than softTimeout`, async () => {
    const { clock, tier, cache } = make();
    await cache.set("hot", "value");
    tier.fault = () => fault(clock);
    for (let miss = 0; miss < 3; miss++) {
      const loading = Promise.resolve(cache.getOrLoad(`key ${miss}`, async () => "loaded"));
      let isDone = false;
      void loading.then(() => {
        isDone = true;
      });
      await clock.advance(wait);
      expect(isDone).toBe(true);
      expect(cache.get("hot")).toBe("value"); // not a promise
    }
    expect(cache.stats().tiers[0]).toMatchObject({ state: "open", openings: 1 });
    const { calls } = tier;
    for (let miss = 3; miss < 100; miss++) await cache.getOrLoad(`key ${miss}`, async () => "loaded"); // waits for nothing
    expect(tier.calls).toBe(calls);
    expect(cache.stats().tiers[0]?.skipped).toBeGreaterThanOrEqual(97);
  });

  test(`a tier ${name} is left alone once, tried from time to time, and used again when it is well`, async () => {
    const { clock, tier, cache } = make();
    const events: string[] = [];
    const hear = (message: unknown) => {
      const { kind } = message as { readonly kind: string };
      if (kind.startsWith("breaker")) events.push(kind);
    };
    channel(memoryChannel).subscribe(hear);
    tier.fault = () => fault(clock);
    const miss = async (key: string) => {
      const loading = Promise.resolve(cache.getOrLoad(key, async () => "loaded"));
      await clock.advance(wait);
      await loading;
    };
    for (let count = 0; count < 3; count++) await miss(`key ${count}`);
    const { calls } = tier;
    for (let seconds = 0; seconds < 20; seconds++) {
      await miss(`second ${seconds}`);
      await clock.advance(1_000);
    }
    expect(tier.calls - calls).toBeLessThan(7); // after 1, 2, 4 and 8 s
    tier.fault = undefined;
    await clock.advance(30_000);
    await miss("key");
    channel(memoryChannel).unsubscribe(hear);
    expect(cache.stats().tiers[0]).toMatchObject({ state: "closed", openings: 1 });
    expect(events).toEqual(["breaker-opened", "breaker-closed"]);
    await clock.advance(5_000);
    const closing = cache.close();
    await clock.advance(softTimeout);
    await closing;
    expect(clock.timers).toBeLessThanOrEqual(1);
  });

  test(`writes and close() do not wait for a tier ${name} longer than softTimeout`, async () => {
    const { clock, tier, cache } = make();
    tier.fault = () => fault(clock);
    const writing = Promise.all([cache.set("a", "A"), cache.delete("b"), cache.invalidateTag("t")]);
    expect(cache.get("a")).toBe("A");
    await clock.advance(wait);
    await writing;
    const closing = cache.close();
    await clock.advance(wait * 2);
    await closing;
  });
}

test("with two tiers, one that is sick does not keep the other from being used", async () => {
  const clock = new TestClock();
  const tiers = [new MemoryTier({ clock }), new MemoryTier({ clock })] as const;
  const cache = tiered<string>({ fresh: 60_000, tiers, softTimeout, clock });
  await cache.set("a", "A");
  await cache.clear(/./);
  tiers[0].fault = () => Promise.reject(new Error("down"));
  expect(await cache.get("a")).toBe("A");
});

test("what a tier does too late does not come back", async () => {
  const { clock, tier, cache } = make();
  let delay = 5_000;
  tier.fault = () => new Promise<void>((resolve) => void clock.setTimeout(resolve, delay));
  const slow = cache.set("a", "old");
  await clock.advance(softTimeout); // given up, but still on its way
  await slow;
  delay = 0;
  const quick = cache.set("a", "new");
  await clock.advance(2_000);
  await quick;
  await clock.advance(5_000); // now it has arrived
  await cache.clear(/./);
  const reading = Promise.resolve(cache.get("a"));
  await clock.advance(10);
  expect(["new", undefined]).toContain(await reading);
});
