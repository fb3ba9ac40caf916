import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runTool } from "./run-tool.ts";
import { temporaryFolder } from "./temporary-folder.ts";

// A run of vitest on a machine that lacks a tool: the list of tools has one that no machine has.
async function runWithout(required: string): Promise<{ code: number | null; report: string }> {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const source = (name: string): string => JSON.stringify(join(root, "src", "lib", name));
  await using folder = await temporaryFolder();
  const file = join(folder.path, "sample.test.ts");
  const missing = `vi.mock(${source("tools.ts")}, async (original) => ({ ...(await original()), findTool: () => undefined }));`;
  await writeFile(
    file,
    `import { expect, vi } from "vitest";
     import { testWithTools } from ${source("test-with-tools.ts")};
     ${missing}
     testWithTools("redis-server")("needs a tool", () => expect.unreachable("it ran"));`,
  );
  const vitest = join(dirname(fileURLToPath(import.meta.resolve("vitest"))), "..", "vitest.mjs");
  const args = [vitest, "run", "--root", folder.path, "--reporter=verbose", "--config", join(folder.path, "none.ts")];
  await writeFile(join(folder.path, "none.ts"), "export default {}");
  const { code, stdout, stderr } = await runTool(process.execPath, args, {
    cwd: root,
    env: { PROJ_REQUIRE_TOOLS: required, NO_COLOR: "1", VITEST: undefined },
    timeout: 60_000,
  });
  return { code, report: stdout + stderr };
}

test("without the tool a test is skipped and says which package to install", { timeout: 60_000 }, async () => {
  const { code, report } = await runWithout("");
  expect(report).toContain("apt-get install redis-server");
  expect(report).toMatch(/1 skipped/);
  expect(code).toBe(0);
});

test("where tools are required it fails instead", { timeout: 60_000 }, async () => {
  const { code, report } = await runWithout("1");
  expect(report).toContain("apt-get install redis-server");
  expect(report).toMatch(/1 failed/);
  expect(code).toBe(1);
});
