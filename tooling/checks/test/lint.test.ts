// oxlint runs on its own, in `pnpm run lint`; this proves that our settings make it find a forgotten promise.
import { copyFileSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { run } from "../src/process.ts";
import { manifest, plant } from "./plant.ts";

vi.setConfig({ testTimeout: 90_000 }); // starts programs, on slow machines too

const root = join(import.meta.dirname, "../../..");

async function lint(code: string): Promise<string> {
  using planted = plant({
    "packages/concurrency/src/lib/double.ts":
      "export async function double(n: number): Promise<number> {\n  return 2 * n;\n}\n",
    "packages/http3/package.json": manifest("@proj/http3", { dependencies: { "@proj/concurrency": "workspace:^" } }),
    "packages/http3/tsconfig.json": {
      extends: "../../tooling/tsconfig/base.json",
      include: ["src"],
    },
    "packages/http3/src/lib/planted.ts": `import { double } from "@proj/concurrency";\n${code}\n`,
  });
  const folder = planted.workspace.root;
  mkdirSync(join(folder, "tooling/tsconfig"), { recursive: true });
  copyFileSync(join(root, "tooling/tsconfig/base.json"), join(folder, "tooling/tsconfig/base.json"));
  copyFileSync(join(root, ".oxlintrc.json"), join(folder, ".oxlintrc.json"));
  // As pnpm links it: the package sees its dependency under node_modules.
  mkdirSync(join(folder, "packages/http3/node_modules/@proj"), { recursive: true });
  symlinkSync(
    join(folder, "packages/concurrency"),
    join(folder, "packages/http3/node_modules/@proj/concurrency"),
    "dir",
  );
  const { output, code: exitCode } = await run("oxlint", ["--type-aware", "--format", "unix", "packages"], {
    cwd: folder,
  });
  return `${exitCode}\n${output}`;
}

test.each([
  ["a promise that nobody awaits", "double(1);", "no-floating-promises"],
  ["a promise as a condition", "export const even = double(1) ? 1 : 2;", "no-misused-promises"],
  ["an async callback where none is awaited", "[1].forEach(async (n) => { await double(n); });", "no-misused-promises"],
  ["await of what is no promise", "export const two = await 2;", "await-thenable"],
])("%s, from another package, is found", async (_, code, rule) => {
  const output = await lint(code);
  expect(output).toContain(rule);
  expect(output).toMatch(/^1\n/);
});

test("a promise that is awaited passes", async () => {
  expect(await lint("export const two = await double(1);")).toMatch(/^0\n/);
});
