// The bounds that ByteCache promises, in a process with a small heap.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ByteMemoryReport } from "./byte-memory-process.ts";

test("ByteCache stays within its budget through four million sets in a heap of 256 MB, and gives all of it back", () => {
  const program = join(import.meta.dirname, "byte-memory-process.ts");
  const flags = ["--max-old-space-size=256", "--conditions=@proj/source"];
  const report = JSON.parse(
    execFileSync(process.execPath, [...flags, program], { encoding: "utf8" }),
  ) as ByteMemoryReport;

  expect(report.rssPerBudget).toBeLessThanOrEqual(1.35);
  expect(report.gcShare).toBeLessThanOrEqual(0.15);
  expect(report.entries).toBeGreaterThan((128 * 2 ** 20) / (256 + 64)); // no more overhead than that
  expect(report.wrong).toBe(0);
  expect(report.heapLeft).toBeLessThan(1.05);
  expect(report.arrayBuffersLeft).toBeLessThan(2 ** 20);
});
