import { expect, test, vi } from "vitest";
import { size } from "../src/size.ts";
import { linesOf, plant } from "./plant.ts";

vi.setConfig({ testTimeout: 90_000 }); // starts programs, on slow machines too

const built = "packages/concurrency/dist/index.js";

async function found(code: string | undefined): Promise<string[]> {
  using planted = plant({ [built]: code });
  return linesOf(await size(planted.workspace));
}

test("a small entry has nothing to report", async () => {
  // A single import can be late on a busy machine: only the bytes are certain here.
  const lines = await found('import { join } from "node:path";\nexport const double = (n) => join("a", n);\n');
  expect(lines.filter((line) => line.includes("bytes"))).toEqual([]);
});

test("an entry with more code than its budget is reported", async () => {
  const noise = Array.from({ length: 6000 }, (_, n) => `export const v${n} = "${(n * 2654435761).toString(36)}";`);
  expect((await found(noise.join("\n")))[0]).toMatch(
    /package.json:\d+ @proj\/concurrency takes \d+ bytes zipped, its budget is 30000/,
  );
});

test("an entry that takes longer to import than its budget is reported", async () => {
  const lines = await found(
    "const start = process.cpuUsage();\nwhile (process.cpuUsage(start).user < 40_000);\nexport {};\n",
  );
  expect(lines[0]).toMatch(/@proj\/concurrency takes \d+\.\d ms of CPU time to import, its budget is 15 ms/);
});

test("an entry that is not built says how to build it", async () => {
  expect((await found(undefined))[0]).toContain(". is not built: run `pnpm run build` first");
});
