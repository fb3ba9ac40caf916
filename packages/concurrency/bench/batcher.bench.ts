// What it costs a caller to share a batch, or a flight, with others.
import { benchmark } from "@tooling/bench";

const callers = 100;
const keys = Array.from({ length: callers }, (_, i) => i);

export const benchmarks = [
  benchmark("Load one key of a batch of 100", {
    ours: "batcher",
    goal: { dataloader: 1 },
    operationsPerCall: callers,
    cases: {
      batcher: async () => {
        const { batcher } = await import("@proj/concurrency");
        const numbers = batcher(async (batch: readonly number[]) => batch.map((key) => key * 2));
        return async () => (await Promise.all(keys.map((key) => numbers.load(key)))).length;
      },
      dataloader: async () => {
        const { default: DataLoader } = await import("dataloader");
        const numbers = new DataLoader(async (batch: readonly number[]) => batch.map((key) => key * 2), {
          cache: false,
        });
        return async () => (await Promise.all(keys.map((key) => numbers.load(key)))).length;
      },
    },
    check: (count) => count,
  }),
  benchmark("Join the flight of one key, 100 callers", {
    ours: "singleflight",
    goal: { "async-cache-dedupe": 0.77 },
    operationsPerCall: callers,
    cases: {
      singleflight: async () => {
        const { singleflight } = await import("@proj/concurrency");
        const flights = singleflight<string, number>();
        const load = async () => {
          await Promise.resolve();
          return 1;
        };
        return async () => (await Promise.all(keys.map(() => flights.run("key", load)))).length;
      },
      "async-cache-dedupe": async () => {
        const { createCache } = await import("async-cache-dedupe");
        const cache = createCache({ ttl: 0, storage: { type: "memory" } }).define("load", async (_key: string) => {
          await Promise.resolve();
          return 1;
        });
        return async () => (await Promise.all(keys.map(() => cache.load("key")))).length;
      },
    },
    check: (count) => count,
  }),
];
