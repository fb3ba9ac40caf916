import { existsSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "./temporary-folder.ts";

test("a temporary folder is empty at first and gone with all it holds at last", async () => {
  let path: string;
  {
    await using folder = await temporaryFolder();
    path = folder.path;
    expect(await readdir(path)).toEqual([]);
    await mkdir(join(path, "deep", "down"), { recursive: true });
    await writeFile(join(path, "deep", "down", "file"), "text");
  }
  expect(existsSync(path)).toBe(false);
});

test("each call makes another one", async () => {
  await using first = await temporaryFolder();
  await using second = await temporaryFolder();
  expect(first.path).not.toBe(second.path);
});
