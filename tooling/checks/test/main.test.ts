import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { type Run, run } from "../src/process.ts";
import { type Files, plant } from "./plant.ts";

vi.setConfig({ testTimeout: 90_000 }); // starts programs, on slow machines too

const main = join(import.meta.dirname, "../src/main.ts");

async function check(args: readonly string[], files: Files = {}, folder = "."): Promise<Run> {
  using planted = plant(files);
  return await run(process.execPath, [main, ...args], { cwd: join(planted.workspace.root, folder) });
}

test("each check gets a line with its time, and the last line counts them", async () => {
  const { code, output } = await check(["boundaries", "text"]);
  expect(output).toMatch(/^ok {3}boundaries {2,}\d+\.\d s\nok {3}text {2,}\d+\.\d s\n2 passed, 0 failed\n$/);
  expect(code).toBe(0);
});

test("a failing check lists its problems by place, and the exit code tells", async () => {
  const { code, output } = await check(["text", "boundaries"], {
    "packages/concurrency/src/lib/b.ts": 'import "fs";\nimport "os";\n',
    "packages/concurrency/src/lib/a.ts": 'import "fs";\n',
  });
  const places = output.match(/^ {2}packages\S+/gm);
  expect(places).toEqual(["a.ts:1", "b.ts:1", "b.ts:2"].map((place) => `  packages/concurrency/src/lib/${place}`));
  expect(output).toMatch(/^FAIL boundaries.*3 found$/m);
  expect(output).toMatch(/\n1 passed, 1 failed\n$/);
  expect(code).toBe(1);
});

test("it finds the workspace from a folder inside", async () => {
  expect((await check(["text"], {}, "packages/concurrency/src")).output).toContain("1 passed, 0 failed");
});

test("--help names every check", async () => {
  const { code, output } = await check(["--help"]);
  for (const name of ["boundaries", "docs", "text", "exports", "size", "snippets"])
    expect(output).toContain(`  ${name} `);
  expect(code).toBe(0);
});

test("an unknown check is refused", async () => {
  const { code, output } = await check(["boundries"]);
  expect(output).toContain("Unknown check boundries");
  expect(code).toBe(2);
});
