import { temporaryFolder } from "@tooling/testing";
import { expect, test } from "vitest";
import { openDatabase, waitBriefly } from "../src/database.ts";
import { openApi } from "./open-api.ts";

test("while another program holds the database, writes are answered 503 soon, and reading goes on", async () => {
  await using folder = await temporaryFolder();
  await using api = await openApi({ folder: folder.path });
  waitBriefly(api.database);
  const licence = { id: "Mine", name: "Mine", text: "x" };
  await api.ask("POST", "/licences", { body: licence });
  const other = openDatabase(folder.path);
  other.exec("BEGIN IMMEDIATE");

  const refused = await api.ask("PATCH", "/licences/Mine", { headers: { "if-match": "*" }, body: { notes: "new" } });
  const read = await api.ask("GET", "/licences/Mine");
  other.exec("ROLLBACK");
  other.close();
  const accepted = await api.ask("PATCH", "/licences/Mine", { headers: { "if-match": "*" }, body: { notes: "new" } });

  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
  expect([read.status, read.json.notes]).toEqual([200, ""]);
  expect([accepted.status, accepted.json.notes]).toEqual([200, "new"]);
});
