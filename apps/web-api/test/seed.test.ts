import { temporaryFolder } from "@tooling/testing";
import { expect, test } from "vitest";
import { openDatabase } from "../src/database.ts";
import { seed } from "../src/seed.ts";

test("of two processes that start at once, one writes the list", { timeout: 60_000 }, async () => {
  await using folder = await temporaryFolder();
  const databases = [openDatabase(folder.path), openDatabase(folder.path)];
  let written = 0;
  const onProgress = (done: number, total: number): void => {
    if (done === total) written++;
  };

  await Promise.all(databases.map((database) => seed(database, { onProgress })));

  expect(written).toBe(1);
  for (const database of databases) {
    expect(database.prepare("SELECT count(*) AS count, max(revision) AS revision FROM licences").get()).toEqual({
      count: 727,
      revision: 1,
    });
    database.close();
  }
});
