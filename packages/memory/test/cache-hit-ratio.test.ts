// What the default policy promises about misses, on traces made here; see bench/hit-ratio.ts for the whole table.
import { describe, expect, test } from "vitest";
import { hitRatio, optimum } from "./support/hit-ratio.ts";
import { heldOutTraces, knownTraces, type Trace } from "./support/traces.ts";

const length = 60_000;

/** The share of lru's misses that another policy saves; negative where it has more. */
function saved(policy: "tlfu" | "clock" | "lfu", { keys }: Trace, capacity: number): number {
  return 1 - (1 - hitRatio(policy, capacity, keys)) / (1 - hitRatio("lru", capacity, keys));
}

function points(traces: readonly Trace[]): { name: string; saves: number }[] {
  return traces.flatMap((trace) =>
    trace.capacities.map((capacity) => ({ name: `${trace.name}, ${capacity}`, saves: saved("tlfu", trace, capacity) })),
  );
}

const mean = (all: readonly { saves: number }[]): number => all.reduce((sum, { saves }) => sum + saves, 0) / all.length;

describe("the traces that the constants were chosen on", () => {
  const all = points(knownTraces(1, length));

  test("tlfu has 5 % fewer misses than lru in the mean, and nowhere 10 % more", () => {
    expect(mean(all)).toBeGreaterThan(0.05);
    for (const { name, saves } of all) expect(saves, name).toBeGreaterThan(-0.1);
  });

  test("tlfu has 4 % fewer misses than lru where few keys are wanted often", () => {
    const skewed = all.filter(({ name }) => name.startsWith("zipf"));
    expect(skewed.length).toBeGreaterThan(6);
    for (const { name, saves } of skewed) expect(saves, name).toBeGreaterThan(0.04);
  });
});

describe("traces that were held out", () => {
  test.for([77, 78])("tlfu has no more misses than lru in the mean, and nowhere 10 % more, with seed %s", (seed) => {
    // A zigzag as long as the cache is made for lru: no policy that does not know it comes near. The README says so.
    const all = points(heldOutTraces(seed, length)).filter(({ name }) => name !== "zigzag, 3000");
    expect(mean(all)).toBeGreaterThan(0);
    for (const { name, saves } of all) expect(saves, name).toBeGreaterThan(-0.1);
  });
});

test("tlfu and clock are never below fifo where keys are wanted for a short time alone", () => {
  for (const trace of knownTraces(3, length).filter(({ name }) => name.startsWith("stream"))) {
    for (const capacity of trace.capacities) {
      const fifo = hitRatio("fifo", capacity, trace.keys);
      for (const policy of ["tlfu", "clock"] as const) {
        expect(hitRatio(policy, capacity, trace.keys), `${policy}, ${trace.name}`).toBeGreaterThan(fifo - 0.01);
      }
    }
  }
});

test("no policy is above the optimum", () => {
  for (const trace of [...knownTraces(4, 20_000), ...heldOutTraces(4, 20_000)]) {
    const capacity = trace.capacities[1] as number;
    const best = optimum(capacity, trace.keys);
    for (const policy of ["tlfu", "lru", "clock", "fifo", "lfu"] as const) {
      expect(hitRatio(policy, capacity, trace.keys), `${policy}, ${trace.name}`).toBeLessThanOrEqual(best);
    }
  }
});
