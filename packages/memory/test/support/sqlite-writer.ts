// Writes to a disk tier as fast as it can until it is killed, and tells before and after each write what it does.
import { openSync, writeSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { setImmediate } from "node:timers/promises";
import { sqliteTier } from "../../src/sqlite.ts";
import { valueFor } from "./sqlite-values.ts";

const [path = "", log = "", maxBytes = "", first = "", flushEvery = "50"] = process.argv.slice(2);
const tier = sqliteTier({ path, maxBytes: Number(maxBytes), flushEvery: Number(flushEvery), flushAfter: 2 });
const out = openSync(log, "a");
let version = Number(first);
let random = version * 2_654_435_761 + process.pid;

flushCompileCache(); // at its end it will not come to that
console.log("writing");
for (;;) {
  for (let turn = 0; turn < 20; turn++) write();
  await setImmediate();
}

/** One of 300 keys: a fifth is deleted. */
function write(): void {
  random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
  const key = `key ${(random >>> 8) % 300}`;
  const deletes = random % 5 === 0;
  version++;
  writeSync(out, `begin ${deletes ? "delete" : "set"} ${version} ${key}\n`);
  if (deletes) tier.delete([key]);
  else tier.set(key, { bytes: valueFor(key, version), expiresAt: Number.POSITIVE_INFINITY });
  writeSync(out, `done ${version}\n`);
}
