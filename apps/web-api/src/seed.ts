// Fills the register with the SPDX licence list.
import { createRequire } from "node:module";
import type { DatabaseSync } from "node:sqlite";
import { type Clock, systemClock } from "@proj/concurrency";
import { inTransaction } from "./database.ts";

export interface SeedOptions {
  /** Called now and then with how far it is. Default: nobody is told. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly clock?: Clock | undefined;
}

/**
 * Writes the list into the database unless this version of it is there already, all or nothing. What people wrote stays:
 * their own licences, and the policy and notes of those of the list.
 */
export async function seed(
  database: DatabaseSync,
  { onProgress = () => {}, clock = systemClock }: SeedOptions = {},
): Promise<void> {
  const { version } = createRequire(import.meta.url)("spdx-license-list/package.json") as { version: string };
  const known = database.prepare("SELECT 1 FROM seeds WHERE name = 'spdx' AND version = ?");
  if (known.get(version)) return;
  const { default: list } = await import("spdx-license-list/full.js"); // five megabytes, needed this once
  const licences = Object.entries(list);
  const now = new Date(clock.wall()).toISOString();
  inTransaction(database, () => {
    if (known.get(version)) return; // another process was faster
    const insert = database.prepare(`
      INSERT INTO licences (id, name, url, osiApproved, custom, policy, notes, text, revision, createdAt, updatedAt)
      VALUES (?, ?, ?, ?, 0, 'unset', '', ?, (SELECT value FROM revision), ?, ?)
      ON CONFLICT (id) DO UPDATE
      SET name = excluded.name, url = excluded.url, osiApproved = excluded.osiApproved, text = excluded.text,
        revision = excluded.revision, updatedAt = excluded.updatedAt
      WHERE custom = 0`);
    database.exec("UPDATE revision SET value = value + 1");
    for (const [index, [id, { name, url, osiApproved, licenseText }]] of licences.entries()) {
      insert.run(id, name, url ?? null, osiApproved ? 1 : 0, licenseText.trim(), now, now);
      if ((index + 1) % 50 === 0) onProgress(index + 1, licences.length);
    }
    database.prepare("INSERT OR REPLACE INTO seeds VALUES ('spdx', ?)").run(version);
    onProgress(licences.length, licences.length);
  });
}
