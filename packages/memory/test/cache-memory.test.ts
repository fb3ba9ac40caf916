// Caches that are filled far beyond their budget, in processes that may not use more than 256 MiB of heap.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

interface Report {
  readonly sets: number;
  readonly entries: number;
  readonly bytes: number;
  readonly rssRatio: number;
  readonly rssRatioCollected: number;
  readonly liveRatio: number;
  readonly heapRatioAfterClear: number;
}

const budget = 128 * 2 ** 20;

async function fill(kind: "objects" | "bytes", sets: number): Promise<Report> {
  const script = join(import.meta.dirname, "support/cache-memory.ts");
  // A small young generation: what it takes has nothing to do with the cache.
  const limits = ["--max-old-space-size=256", "--max-semi-space-size=4"];
  const args = ["--conditions=@proj/source", "--expose-gc", ...limits, script, kind, String(sets)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as Report;
}

test("a Cache of objects takes the memory that its default weigher says, and gives it back", async () => {
  const report = await fill("objects", 700_000);
  expect(report.bytes).toBeLessThanOrEqual(budget);
  expect(report.entries).toBeGreaterThan(200_000);
  expect(report.liveRatio).toBeGreaterThan(0.7);
  expect(report.liveRatio).toBeLessThan(1.1);
  expect(report.rssRatioCollected).toBeLessThan(1.6);
  expect(report.rssRatio).toBeLessThan(2); // with what the collector has not come to yet
  expect(report.heapRatioAfterClear).toBeLessThan(1.05);
}, 180_000);

test("a ByteCache takes at most 1.35 of its budget, and gives it back", async () => {
  const report = await fill("bytes", 1_000_000);
  expect(report.bytes).toBeLessThanOrEqual(budget);
  expect(report.entries).toBeGreaterThan(200_000);
  expect(report.rssRatio).toBeLessThan(1.35);
  expect(report.heapRatioAfterClear).toBeLessThan(1.05);
}, 180_000);
