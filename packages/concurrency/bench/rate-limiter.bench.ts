// What it costs to ask a rate limiter whether a key may go on, to be refused, and to wait.
import { benchmark } from "@tooling/bench";

const keys = Array.from({ length: 10_000 }, (_, index) => `user:${index}`);
let turn = 0;
function nextKey(): string {
  return keys[turn++ % keys.length] as string; // within the array by the remainder
}

/** So much that nobody is ever refused. */
const plenty = 1e9;

export const benchmarks = [
  benchmark("Admit one of 10,000 keys", {
    ours: "tokenBucket",
    goal: { "rate-limiter-flexible": 0.16 },
    cases: {
      tokenBucket: async () => {
        const { tokenBucket } = await import("@proj/concurrency");
        const limiter = tokenBucket<string>({ rate: plenty });
        return () => limiter.tryTake(nextKey()) === 0;
      },
      fixedWindow: async () => {
        const { fixedWindow } = await import("@proj/concurrency");
        const limiter = fixedWindow<string>({ limit: plenty, window: 1_000 });
        return () => limiter.tryTake(nextKey()) === 0;
      },
      slidingWindow: async () => {
        const { slidingWindow } = await import("@proj/concurrency");
        const limiter = slidingWindow<string>({ limit: plenty, window: 1_000 });
        return () => limiter.tryTake(nextKey()) === 0;
      },
      "rate-limiter-flexible": async () => {
        const { RateLimiterMemory } = await import("rate-limiter-flexible");
        // An hour: with a second it would spend its time on the timers that end its windows.
        const limiter = new RateLimiterMemory({ points: plenty, duration: 3_600 });
        return () => limiter.consume(nextKey()).then(() => true);
      },
    },
    check: (admitted) => admitted,
  }),
  benchmark("Admit without keys", {
    ours: "tokenBucket",
    cases: {
      tokenBucket: async () => {
        const { tokenBucket } = await import("@proj/concurrency");
        const limiter = tokenBucket({ rate: plenty });
        return () => limiter.tryTake() === 0;
      },
      limiter: async () => {
        const { RateLimiter } = await import("limiter");
        const limiter = new RateLimiter({ tokensPerInterval: plenty, interval: "second" });
        return () => limiter.tryRemoveTokens(1);
      },
    },
    check: (admitted) => admitted,
  }),
  benchmark("Refuse one of 10,000 keys", {
    ours: "tokenBucket",
    goal: { "rate-limiter-flexible": 0.05 },
    cases: {
      tokenBucket: async () => {
        const { tokenBucket } = await import("@proj/concurrency");
        const limiter = tokenBucket<string>({ rate: 1, per: 3_600_000 });
        for (const key of keys) limiter.tryTake(key);
        return () => limiter.tryTake(nextKey()) === 0;
      },
      "rate-limiter-flexible": async () => {
        const { RateLimiterMemory } = await import("rate-limiter-flexible");
        const limiter = new RateLimiterMemory({ points: 1, duration: 3_600 });
        for (const key of keys) await limiter.consume(key);
        return () =>
          limiter.consume(nextKey()).then(
            () => true,
            () => false,
          );
      },
    },
    check: (admitted) => admitted,
  }),
  benchmark("Wait for a turn that has come", {
    ours: "tokenBucket",
    goal: { limiter: 1 },
    cases: {
      tokenBucket: async () => {
        const { tokenBucket } = await import("@proj/concurrency");
        const limiter = tokenBucket({ rate: plenty });
        return () => limiter.take().then(() => true);
      },
      limiter: async () => {
        const { RateLimiter } = await import("limiter");
        const limiter = new RateLimiter({ tokensPerInterval: plenty, interval: "second" });
        return () => limiter.removeTokens(1).then(() => true);
      },
      bottleneck: async () => {
        const { default: Bottleneck } = await import("bottleneck");
        const limiter = new Bottleneck({ reservoir: plenty });
        return () => limiter.schedule(async () => true);
      },
    },
    check: (admitted) => admitted,
  }),
];
