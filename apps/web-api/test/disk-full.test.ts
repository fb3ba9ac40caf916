import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@tooling/testing";
import { expect, test } from "vitest";
import { type OpenApi, openApi } from "./open-api.ts";

const text = "All rights reserved. ".repeat(5_000); // about 100 kB

/** Adds licences until one is refused; gives the ids of those that were not. */
async function fill(api: OpenApi): Promise<string[]> {
  const added: string[] = [];
  for (let index = 0; index < 200; index++) {
    const id = `Full-${index}`;
    const answer = await api.ask("POST", "/licences", { body: { id, name: id, text } });
    if (answer.status === 507) {
      expect(answer.json.detail).toBe("There is no room left to store this. Nothing was changed, and reading goes on");
      return added;
    }
    expect(answer.status).toBe(201);
    added.push(id);
  }
  throw new Error("The disk never became full");
}

async function expectAllThere(api: OpenApi, ids: readonly string[]): Promise<void> {
  for (const id of ids) expect((await api.ask("GET", `/licences/${id}`)).json.text).toBe(text.trim());
  expect((await api.ask("GET", "/licences?limit=1")).json.total).toBe(ids.length);
  expect((await api.ask("GET", "/licences?q=reserved&limit=1")).json.total).toBe(ids.length);
  expect((await api.ask("GET", "/readyz")).status).toBe(200);
  expect(api.database.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  api.database.exec("INSERT INTO search (search) VALUES ('integrity-check')");
}

test("a database that may not grow refuses writes with 507, keeps what it has, and goes on when it may", {
  timeout: 60_000,
}, async () => {
  await using api = await openApi();
  api.database.exec("PRAGMA max_page_count = 300");

  const added = await fill(api);
  await expectAllThere(api, added);

  const change = { headers: { "if-match": "*" }, body: { text: `${text}${text}` } };
  expect((await api.ask("PATCH", "/licences/Full-0", change)).status).toBe(507);
  await expectAllThere(api, added);

  api.database.exec("PRAGMA max_page_count = 100000");
  expect((await api.ask("POST", "/licences", { body: { id: "Later", name: "Later", text } })).status).toBe(201);
});

test("a disk that is really full loses nothing, and writes go on when there is room again", {
  timeout: 60_000,
}, async (context) => {
  await using folder = await temporaryFolder();
  const mounted = mountSmallDisk(folder.path);
  if (!mounted) context.skip("mounting a small file system needs Linux and root");
  try {
    const ballast = join(folder.path, "ballast");
    writeFileSync(ballast, Buffer.alloc(512 * 1024));
    let added: string[];
    {
      await using api = await openApi({ folder: folder.path });
      added = await fill(api);
      expect(added.length).toBeGreaterThan(3);
      await expectAllThere(api, added);

      rmSync(ballast);
      expect((await api.ask("POST", "/licences", { body: { id: "Later", name: "Later", text } })).status).toBe(201);
      added.push("Later");
    }
    await using reopened = await openApi({ folder: folder.path });
    await expectAllThere(reopened, added);
  } finally {
    execFileSync("umount", [folder.path]);
  }
});

function mountSmallDisk(path: string): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", path], { stdio: "ignore" });
    return true;
  } catch {
    return false; // root of a container that may not mount
  }
}
