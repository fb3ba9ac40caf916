// What hedging does to the tail, on virtual time and with a fixed seed.
import { sleep } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { compose } from "./compose.ts";
import { hedge } from "./hedge.ts";
import type { Policy } from "./policy.ts";
import { quantile } from "./quantile.ts";

interface Outcome {
  readonly p50: number;
  readonly p99: number;
  /** Attempts per call. */
  readonly load: number;
}

/** Calls that come one every 5 ms, to a dependency whose attempts take around 20 ms, and each 25th a second at random. */
async function simulate(...policies: Policy[]): Promise<Outcome> {
  const clock = new TestClock();
  const random = randomFrom(42);
  const stack = compose({ clock, idempotent: true }, ...policies);
  const calls = 4_000;
  const latencies: number[] = [];
  let attempts = 0;
  const pending: Promise<void>[] = [];
  for (let call = 0; call < calls; call++) {
    const startedAt = clock.now();
    const done = stack(() => {
      attempts++;
      return sleep(random() < 0.04 ? 200 + 800 * random() : 10 + 20 * random() * random(), { clock });
    });
    pending.push(done.then(() => void latencies.push(clock.now() - startedAt)));
    await clock.advance(5);
  }
  await clock.advance(10_000);
  await Promise.all(pending);
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.ceil(share * calls) - 1] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), load: attempts / calls };
}

test("Hedging at P95 with the default ratio cuts P99 by more than 40% for less than 5% more load", async () => {
  const plain = await simulate();
  const hedged = await simulate(hedge({ after: quantile(0.95) }));
  expect(hedged.load).toBeLessThanOrEqual(1.05);
  expect(hedged.p99).toBeLessThan(plain.p99 * 0.6);
  expect(hedged.p50).toBeLessThan(plain.p50 * 1.1);
});

/** Numbers from 0 up to 1 that look random, always the same (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
