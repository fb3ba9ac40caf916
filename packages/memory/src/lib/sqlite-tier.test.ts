import { join } from "node:path";
import { TestClock } from "@proj/concurrency/testing";
import { temporaryFolder } from "@tooling/testing";
import { describe, test } from "vitest";
import { tierConformance } from "./conformance-tier.ts";
import { sqliteTier } from "./sqlite-tier.ts";

describe("sqliteTier", () => {
  const suite = tierConformance(async () => {
    const folder = await temporaryFolder();
    const clock = new TestClock();
    const tier = sqliteTier({ path: join(folder.path, "cache.db"), maxBytes: 64 * 2 ** 20, clock });
    return {
      tier,
      now: () => clock.wall(),
      pass: (ms: number) => clock.advance(ms),
      [Symbol.asyncDispose]: async () => {
        await tier.close();
        await folder[Symbol.asyncDispose]();
      },
    };
  });
  for (const { name, run } of suite) test(name, run);
});
