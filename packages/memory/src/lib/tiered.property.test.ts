import { TestClock } from "@proj/concurrency/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { MemoryBus } from "./memory-bus.ts";
import { MemoryTier } from "./memory-tier.ts";
import type { Invalidation, Sealed, Tier } from "./tier.ts";
import { tiered } from "./tiered.ts";

const keys = ["user:1", "user:2", "page:1"];
const tags = ["x", "y"];
const processes = 3;

/** How the way of one process to a tier is. */
type Sickness = "none" | "refuses" | "loses replies" | "is slow" | "is a black hole";

/** The way of one process to a tier: late, in order, and not always whole. */
class FlakyTier implements Tier {
  readonly name = "flaky";
  sickness: Sickness = "none";
  #line: Promise<unknown> = Promise.resolve();

  readonly store: MemoryTier;
  readonly clock: TestClock;
  readonly random: () => number;

  constructor(store: MemoryTier, clock: TestClock, random: () => number) {
    this.store = store;
    this.clock = clock;
    this.random = random;
  }

  get(key: string) {
    return this.#send(() => this.store.get(key));
  }

  getMany(all: readonly string[]) {
    return this.#send(() => this.store.getMany(all));
  }

  set(key: string, value: Sealed) {
    return this.#send(() => this.store.set(key, value));
  }

  delete(all: readonly string[]) {
    return this.#send(() => this.store.delete(all));
  }

  clear(prefix: string) {
    return this.#send(() => this.store.clear(prefix));
  }

  async #send<T>(action: () => T | PromiseLike<T>): Promise<T> {
    const { sickness, clock } = this;
    if (sickness === "refuses") throw new Error("refused");
    const before = this.#line;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#line = promise;
    await before; // one connection: what was sent first arrives first
    const delay = sickness === "is slow" ? 3_000 : this.random() * 20;
    await sleep(clock, delay);
    resolve();
    if (sickness === "is a black hole") return new Promise(() => {});
    const result = await action();
    await sleep(clock, this.random() * 20);
    if (sickness === "loses replies") throw new Error("connection reset");
    return result;
  }
}

function sleep(clock: TestClock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.setTimeout(resolve, ms));
}

/** Publications take their time, in order. */
function slowBus(bus: MemoryBus, clock: TestClock, random: () => number): MemoryBus {
  let line: Promise<unknown> = Promise.resolve();
  bus.fault = (_: Invalidation) => {
    line = line.then(() => sleep(clock, random() * 20));
    return line;
  };
  return bus;
}

const step = fc.record({
  kind: fc.constantFrom(
    ...(["read", "read", "read", "get", "many", "delete", "set", "tag", "expire", "clear"] as const),
    ...(["sicken", "heal", "cut", "mend", "wait", "wait", "forget"] as const),
  ),
  process: fc.nat(processes - 1),
  key: fc.constantFrom(...keys),
  tier: fc.nat(1),
  sickness: fc.constantFrom<Sickness>("refuses", "loses replies", "is slow", "is a black hole"),
  ms: fc.nat(1_500),
});

function randomOf(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    return (state >>> 8) / 2 ** 24;
  };
}

test("when all is well again, nobody gets a value that is older than the newest acknowledged write", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.nat(), fc.boolean(), async (steps, seed, serves) => {
      const clock = new TestClock();
      const random = randomOf(seed);
      const stores = [new MemoryTier({ clock }), new MemoryTier({ clock })] as const;
      const first = new MemoryBus();
      const all = Array.from({ length: processes }, (_, index) => {
        // The first tier is that of the process alone for the last one: a disk of its own machine.
        const own = index === processes - 1 ? new MemoryTier({ clock }) : stores[0];
        const tiers = [new FlakyTier(own, clock, random), new FlakyTier(stores[1], clock, random)] as const;
        const bus = slowBus(index === 0 ? first : first.connect(), clock, random);
        const options = { fresh: 1e9, staleFor: serves ? 1e6 : 0, softTimeout: 200, breaker: { failures: 2 } };
        return { cache: tiered<number>({ ...options, tiers, bus, clock, random }), tiers, bus };
      });
      /** The truth, and the newest write of each key that was acknowledged. */
      const rows = new Map(keys.map((key) => [key, 1]));
      const acknowledged = new Map(keys.map((key) => [key, 1]));
      const writing = new Set<string>();
      const load = (key: string) => async () => {
        await sleep(clock, random() * 30);
        const row = rows.get(key) as number;
        await sleep(clock, random() * 100);
        return row;
      };
      const running: Promise<unknown>[] = [];
      const write = (touched: readonly string[], make: (versions: ReadonlyMap<string, number>) => Promise<unknown>) => {
        if (touched.some((key) => writing.has(key))) return; // of two at the same time, nobody can say which is newer
        for (const key of touched) {
          writing.add(key);
          rows.set(key, (rows.get(key) as number) + 1);
        }
        const versions = new Map(touched.map((key) => [key, rows.get(key) as number]));
        const done = make(versions).then(() => {
          for (const key of touched) {
            writing.delete(key);
            acknowledged.set(key, versions.get(key) as number);
          }
        });
        running.push(done);
      };
      const tagged = (key: string) => (key.endsWith("1") ? ["x"] : ["y"]);

      for (const { kind, process, key, tier, sickness, ms } of steps) {
        const { cache, tiers, bus } = all[process] as (typeof all)[number];
        const link = tiers[tier] as FlakyTier;
        if (kind === "read") {
          running.push(
            Promise.resolve(
              cache.getOrLoad(key, (context) => {
                context.tag(...tagged(key));
                return load(key)();
              }),
            ),
          );
        } else if (kind === "get") running.push(Promise.resolve(cache.get(key)));
        else if (kind === "many") {
          running.push(
            cache.getMulti(keys, async (missing, context) => {
              context.tag(...tags);
              return new Map(await Promise.all(missing.map(async (one) => [one, await load(one)()] as const)));
            }),
          );
        } else if (kind === "delete") write([key], () => cache.delete(key));
        else if (kind === "expire" && !serves) write([key], () => cache.expire(key));
        else if (kind === "set") {
          write([key], (versions) => cache.set(key, versions.get(key) as number, { tags: tagged(key) }));
        } else if (kind === "tag") {
          const [tag = ""] = tagged(key);
          write(
            keys.filter((one) => tagged(one).includes(tag)),
            () => cache.invalidateTag(tag),
          );
        } else if (kind === "clear") {
          write(
            keys.filter((one) => one.startsWith("user:")),
            () => cache.clear("user:"),
          );
        } else if (kind === "sicken") link.sickness = sickness;
        else if (kind === "heal") link.sickness = "none";
        else if (kind === "cut") bus.cut();
        else if (kind === "mend") bus.mend();
        else if (kind === "forget") await cache.clear(/./);
        await clock.advance(kind === "wait" ? ms : ms % 40);
      }

      for (const { tiers, bus } of all) {
        for (const link of tiers) link.sickness = "none";
        bus.mend();
      }
      await clock.advance(120_000); // for the longest pause of a breaker
      await Promise.all(running);
      await clock.advance(10_000);
      for (const pass of ["memory", "tiers"]) {
        for (const [index, { cache }] of all.entries()) {
          if (pass === "tiers") await cache.clear(/./);
          for (const key of keys) {
            const reading = Promise.resolve(cache.getOrLoad(key, load(key)));
            await clock.advance(1_000);
            expect(await reading, `${key} of process ${index}, from ${pass}`).toBeGreaterThanOrEqual(
              acknowledged.get(key) as number,
            );
          }
        }
      }
      for (const { cache } of all) {
        const stats = cache.stats();
        expect(stats).toMatchObject({ flights: 0, bus: { isLost: false, pending: 0 } });
        expect(stats.tiers.map(({ pending }) => pending)).toEqual([0, 0]); // one that nobody asks may still be left alone
        const closing = cache.close();
        await clock.advance(1_000);
        await closing;
      }
      expect(clock.timers).toBeLessThanOrEqual(1);
    }),
    {
      numRuns: Number(process.env["PROPERTY_RUNS"] ?? 60),
      ...(process.env["SEED"] ? { seed: Number(process.env["SEED"]) } : {}),
    },
  );
}, 600_000);
