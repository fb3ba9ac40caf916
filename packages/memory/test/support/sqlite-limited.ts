// A disk tier in a process whose files may not grow beyond some size, or that may not write to the file at all.
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { sqliteTier } from "../../src/sqlite.ts";
import { valueFor, versionOf } from "./sqlite-values.ts";

const [folder = "", what = ""] = process.argv.slice(2);
const path = join(folder, "cache.db");
const options = { path, maxBytes: 4 * 2 ** 20, flushEvery: 5 };
const forever = Number.POSITIVE_INFINITY;

if (what === "full") await fill();
else readOnly();

async function fill(): Promise<void> {
  const tier = sqliteTier(options);
  const written = new Map<string, number>();
  let refused = 0;
  for (let version = 1; version <= 3; version++) {
    for (let n = 0; n < 300; n++) {
      const key = `key ${n}`;
      written.set(key, version); // wanted, whether it comes to be or not
      try {
        tier.set(key, { bytes: valueFor(key, version, 1_000), expiresAt: forever });
      } catch {
        refused++;
      }
    }
  }
  console.log(refused > 0 ? "some were refused" : "none was refused");
  let old = 0;
  for (const [key, version] of written) {
    const found = tier.get(key) as { bytes: Uint8Array } | undefined;
    if (found === undefined) continue;
    const bytes = Buffer.from(found.bytes);
    if (bytes.readUInt32BE(0) < version || !bytes.equals(valueFor(key, bytes.readUInt32BE(0), 1_000))) old++;
  }
  console.log(old === 0 ? "nothing is out of date" : `${old} are out of date`);
  execFileSync("prlimit", ["--pid", String(process.pid), "--fsize=unlimited:unlimited"]); // there is room again
  await delay(1_050);
  const key = "after";
  tier.set(key, { bytes: valueFor(key, 9), expiresAt: forever });
  tier.flush();
  const found = tier.get(key) as { bytes: Uint8Array } | undefined;
  console.log(found !== undefined && versionOf(key, found.bytes) === 9 ? "works again" : "does not work");
  await tier.close();
}

function readOnly(): void {
  const inner = join(folder, "inner");
  mkdirSync(inner);
  const locked = join(inner, "cache.db");
  void sqliteTier({ ...options, path: locked }).close();
  chmodSync(locked, 0o444);
  chmodSync(inner, 0o555);
  chmodSync(folder, 0o755);
  if (process.getuid?.() === 0) process.setuid?.(65_534); // who may do anything is refused nothing
  try {
    sqliteTier({ ...options, path: locked });
    console.log("opened");
  } catch (error) {
    console.log((error as Error).message);
  }
}
