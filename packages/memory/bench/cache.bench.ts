// Caches beside their peers: what a hit costs, a miss that loads, a new entry, and a hit with a key made for the call.
import { benchmark } from "@tooling/bench";
import { seeded, zipf } from "../test/support/traces.ts";

/** What all of them can do. */
interface AnyCache {
  get(key: string): object | undefined;
  set(key: string, value: object): unknown;
}

type Maker = (max: number) => Promise<AnyCache>;

const ours = "@proj/memory (tlfu)";
const lru = "lru-cache 11.5";
const formerLru = "lru-cache 11.2.2";

function own(policy: "tlfu" | "clock" | "lru"): Maker {
  return async (max) => new (await import("@proj/memory")).Cache<string, object>({ max, policy });
}

const makers: Readonly<Record<string, Maker>> = {
  [ours]: own("tlfu"),
  "@proj/memory (clock)": own("clock"),
  "@proj/memory (lru)": own("lru"),
  [lru]: async (max) => new (await import("lru-cache")).LRUCache<string, object>({ max }),
  [formerLru]: async (max) => new (await import("lru-cache-11.2")).LRUCache<string, object>({ max }),
  "quick-lru": async (max) => new (await import("quick-lru")).default<string, object>({ maxSize: max }),
  "tiny-lru": async (max) => (await import("tiny-lru")).lru<object>(max) as AnyCache,
  "@neophi/sieve-cache": async (max) => new (await import("@neophi/sieve-cache")).SieveCache<string, object>(max),
  "mnemonist LRUMap": async (max) => new (await import("mnemonist")).LRUMap<string, object>(max),
  "@cacheable/memory": async (max) =>
    new (await import("@cacheable/memory")).CacheableMemory({ lruSize: max }) as AnyCache,
};

const value = { id: 1 };
const calls = 1_000;

/** Made once per process: keys in the order of a Zipf distribution, as many as a power of two. */
function keysInUse(count: number, resident: number): string[] {
  const rank = zipf(resident, 0.9, seeded(1));
  const keys = Array.from({ length: resident }, (_, index) => `user:${index}`);
  return Array.from({ length: count }, () => keys[rank()] as string);
}

function cases(prepare: (cache: AnyCache) => () => unknown, max: number, only = Object.keys(makers)) {
  return Object.fromEntries(only.map((name) => [name, async () => prepare(await (makers[name] as Maker)(max))]));
}

export const benchmarks = [
  benchmark("A hit among 50,000 entries", {
    ours,
    goal: { [lru]: 0.286, [formerLru]: 0.91 },
    operationsPerCall: calls,
    cases: cases((cache) => {
      for (let key = 0; key < 50_000; key++) cache.set(`user:${key}`, value);
      const keys = keysInUse(65_536, 50_000);
      for (const key of keys) if (cache.get(key) === undefined) cache.set(key, value); // the very strings
      let at = 0;
      return () => {
        let found = 0;
        for (let call = 0; call < calls; call++) if (cache.get(keys[at++ & 65_535] as string) !== undefined) found++;
        return found;
      };
    }, 50_000),
    check: (found) => Number(found) > 900,
  }),
  benchmark("Get, or set what is missing: 100,000 keys, room for 10,000", {
    ours,
    operationsPerCall: calls,
    cases: cases((cache) => {
      const keys = keysInUse(262_144, 100_000);
      let at = 0;
      return () => {
        for (let call = 0; call < calls; call++) {
          const key = keys[at++ & 262_143] as string;
          if (cache.get(key) === undefined) cache.set(key, value);
        }
        return calls;
      };
    }, 10_000),
    check: (result) => result,
  }),
  benchmark("Set a key that is always new, in a full cache of 100,000", {
    ours,
    goal: { [lru]: 1.11 },
    operationsPerCall: calls,
    cases: cases((cache) => {
      let next = 0;
      const set = (): number => {
        for (let call = 0; call < calls; call++) cache.set(`user:${next++}`, value);
        return calls;
      };
      while (next < 150_000) set();
      return set;
    }, 100_000),
    check: (result) => result,
  }),
  benchmark("A hit with a key that is made for the call, among 50,000 entries", {
    ours,
    operationsPerCall: calls,
    cases: cases((cache) => {
      for (let key = 0; key < 50_000; key++) cache.set(`user:${key}`, value);
      let at = 0;
      return () => {
        let found = 0;
        for (let call = 0; call < calls; call++) {
          at = (at + 7_919) % 50_000;
          if (cache.get(`user:${at}`) !== undefined) found++;
        }
        return found;
      };
    }, 50_000),
    check: (found) => Number(found) > 900,
  }),
];
