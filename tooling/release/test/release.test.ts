// The road of a release, walked to the last step before publishing: a changeset raises versions, each package is
// packed, and a project outside the workspace installs the tarballs and runs what the README shows first.
import { execFile } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../../..");
const packages = readdirSync(join(root, "packages"))
  .map((folder) => join(root, "packages", folder))
  .filter((folder) => existsSync(join(folder, "package.json")))
  .map((folder) => ({ folder, ...(readJson(join(folder, "package.json")) as { name: string; version: string }) }));

const temporary = mkdtempSync(join(tmpdir(), "proj-release-"));
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

test("a changeset raises the version of its package, and of its dependents, and writes their changelogs", async () => {
  const workspace = join(temporary, "workspace");
  for (const file of ["package.json", "pnpm-workspace.yaml", "pnpm-lock.yaml", ".changeset/config.json"]) {
    cpSync(join(root, file), join(workspace, file));
  }
  for (const { folder } of packages) {
    cpSync(join(folder, "package.json"), join(workspace, folder.slice(root.length), "package.json"));
  }
  symlinkSync(join(root, "node_modules"), join(workspace, "node_modules"));
  await run("git", ["init", "--quiet", "--initial-branch=main"], workspace);

  await run("pnpm", ["changeset", "add", "--minor", "@proj/concurrency", "-m", "Cancel faster"], workspace);
  await run("pnpm", ["changeset", "version"], workspace);

  const manifest = (name: string) => readJson(join(workspace, "packages", name, "package.json")) as { version: string };
  const before = (name: string) => packages.find((entry) => entry.name === `@proj/${name}`)?.version;
  expect(manifest("concurrency").version).not.toBe(before("concurrency"));
  expect(manifest("http3").version).not.toBe(before("http3"));
  expect(readFileSync(join(workspace, "packages/concurrency/CHANGELOG.md"), "utf8")).toContain("Cancel faster");
}, 120_000);

test("the version task of the repository accepts the changesets that are waiting", async () => {
  const { stdout } = await run("pnpm", ["changeset", "status"], root);
  expect(stdout).toMatch(/bumped|NO packages/);
}, 60_000);

describe("a project outside the workspace", () => {
  const scratch = join(temporary, "scratch");

  beforeAll(async () => {
    await run("turbo", ["run", "build", "--filter=./packages/*"], root);
    const tarballs = [];
    for (const { folder } of packages) {
      const { stdout } = await run("pnpm", ["pack", "--json", "--pack-destination", temporary], folder);
      tarballs.push((JSON.parse(stdout) as { filename: string }).filename);
    }
    mkdirSync(scratch);
    writeFileSync(join(scratch, "package.json"), '{ "private": true, "type": "module" }\n');
    await run(
      "npm",
      ["install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error", ...tarballs],
      scratch,
    );
  }, 300_000);

  for (const { folder, name } of packages) {
    test(`runs the first snippet of the README of ${name}`, async () => {
      const [, snippet] = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(folder, "README.md"), "utf8")) ?? [];
      expect(snippet, "the README has a ts block").toBeDefined();
      const file = join(scratch, `${name.split("/")[1]}.ts`);
      writeFileSync(file, snippet as string);

      const { stdout, stderr } = await run(process.execPath, [file], scratch);
      expect(stdout).not.toBe("");
      expect(stderr).toBe("");
    }, 60_000);
  }
});

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, "utf8"));
}

// Without the condition that points at sources: the installed packages must stand on their own.
function run(file: string, args: readonly string[], cwd: string): Promise<{ stdout: string; stderr: string }> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  return promisify(execFile)(file, args, { cwd, env, maxBuffer: 16 * 1024 * 1024 });
}
