import { existsSync } from "node:fs";
import { join } from "node:path";
import { createCertificates, temporaryFolder } from "@tooling/testing";
import { expect, test } from "vitest";
import { databaseFile, openDatabase } from "../src/database.ts";
import { type Ask, loadHttp1, loadHttp2 } from "./load-clients.ts";
import { spawnApp, startApp } from "./start-app.ts";

const rounds = 8;

test("kill -9 in the middle of writes never corrupts the database and loses no acknowledged write", {
  timeout: 240_000,
}, async () => {
  await using folder = await temporaryFolder();
  const { ca } = await createCertificates();
  const acknowledged = new Set<string>();
  let count = 0;

  for (let round = 0; round < rounds; round++) {
    await using app = await startApp({ folder: folder.path });
    const { promise: enough, resolve } = Promise.withResolvers<void>();
    const target = acknowledged.size + 20 + round * 7;
    const unexpected: string[] = [];
    const options = {
      port: app.port,
      ca,
      next: (): Ask => {
        const body = {
          id: `Crash-${count++}`,
          name: "Crash",
          text: "Written when the power went. ".repeat((count % 400) + 1),
        };
        return { method: "POST", path: "/licences", body: JSON.stringify(body) };
      },
      answered({ body = "" }: Ask, status: number) {
        if (status !== 201) unexpected.push(`status ${status}`);
        acknowledged.add((JSON.parse(body) as { id: string }).id);
        if (acknowledged.size >= target) resolve();
      },
    };
    const clients = [loadHttp1(options, 3), loadHttp2(options, 3)];
    await enough;

    await app.process.kill(); // SIGKILL, with six writes under way

    await Promise.all(clients.map(({ done }) => done));
    expect(unexpected).toEqual([]);
    expectSound(folder.path, [...acknowledged]);
  }
  expect(acknowledged.size).toBeGreaterThan(rounds * 20);
});

test("kill -9 in the middle of the first start leaves nothing half done", { timeout: 120_000 }, async () => {
  for (const moment of [0, 40, 120]) {
    await using folder = await temporaryFolder();
    const first = await spawnApp(["--port", "0", "--data", folder.path]);
    await untilExists(folder.path);
    for (let turn = 0; turn < moment; turn++) await new Promise((resolve) => setImmediate(resolve));
    await first.kill();

    await using app = await startApp({ folder: folder.path });
    await app.process.stop();
    const database = openDatabase(folder.path);
    expect(database.prepare("SELECT count(*) AS count FROM licences").get()).toEqual({ count: 727 });
    database.close();
    expectSound(folder.path, ["MIT"]);
  }
});

function expectSound(folder: string, ids: readonly string[]): void {
  const database = openDatabase(folder);
  try {
    expect(database.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
    database.exec("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)"); // compares with the licences
    const find = database.prepare("SELECT 1 FROM licences WHERE id = ?");
    expect(ids.filter((id) => find.get(id) === undefined)).toEqual([]);
  } finally {
    database.close();
  }
}

async function untilExists(folder: string): Promise<void> {
  while (!existsSync(join(folder, databaseFile))) await new Promise((resolve) => setImmediate(resolve));
}
