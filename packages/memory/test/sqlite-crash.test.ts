// Disk tiers whose process is killed, whose file is torn, and whose disk is full.
import { copyFile, mkdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { runTool, spawnProcess, temporaryFolder } from "@tooling/testing";
import { expect, test, vi } from "vitest";
import { type SqliteTier, sqliteTier } from "../src/sqlite.ts";
import { valueFor, versionOf } from "./support/sqlite-values.ts";

vi.setConfig({ testTimeout: 60_000 });

const writer = new URL("./support/sqlite-writer.ts", import.meta.url).pathname;
const fromSource = "--conditions=@proj/source";
const keys = Array.from({ length: 300 }, (_, n) => `key ${n}`);
const forever = Number.POSITIVE_INFINITY;

test("After each of 52 SIGKILLs the file opens, and has nothing that is damaged, deleted or replaced", async () => {
  await using folder = await temporaryFolder();
  const counts = await Promise.all([0, 1].map((lane) => killRepeatedly(join(folder.path, `lane ${lane}`), 26, lane)));
  expect(counts.reduce((sum, { found }) => sum + found, 0)).toBeGreaterThan(1_000); // it does keep values
  expect(counts.map(({ resets }) => resets)).toEqual([0, 0]);
});

/** One file, opened by process after process. */
async function killRepeatedly(
  folder: string,
  rounds: number,
  seed: number,
): Promise<{ found: number; resets: number }> {
  await mkdir(folder);
  const [path, log] = [join(folder, "cache.db"), join(folder, "log")];
  const maxBytes = 384 * 1_024; // a few hundred values: it evicts all the time
  const history = new History();
  let [found, resets] = [0, 0];
  for (let round = 0; round < rounds; round++) {
    await writeFile(log, "");
    const env = { NODE_COMPILE_CACHE: join(folder, "compiled") }; // starts in a third of the time
    await using child = spawnProcess(
      process.execPath,
      [fromSource, writer, path, log, `${maxBytes}`, `${(round + 1) * 1_000_000}`],
      { env },
    );
    await child.waitForLine(/^writing$/);
    await delay(((round * 13 + seed * 7) % 40) + 1);
    await child.kill();
    history.read(await readFile(log, "utf8"));

    expect((await stat(path)).size).toBeLessThanOrEqual(maxBytes);
    const tier = sqliteTier({ path, maxBytes });
    for (const key of keys) {
      const value = tier.get(key) as { bytes: Uint8Array } | undefined;
      if (value === undefined) continue;
      found++;
      history.check(key, versionOf(key, value.bytes));
    }
    expect(tier.stats()).toMatchObject({ damaged: 0 });
    expect(tier.stats().bytes).toBeLessThanOrEqual(maxBytes);
    resets += tier.stats().resets;
    await tier.close();
  }
  return { found, resets };
}

/** What a writer said that it did: the versions that a key may have now. */
class History {
  readonly #last = new Map<string, number>();
  readonly #sets = new Set<number>();

  read(log: string): void {
    const begun = new Map<number, string>();
    for (const line of log.split("\n")) {
      const [, deed, version, key] = /^begin (\w+) (\d+) (.+)$/.exec(line) ?? [];
      if (key !== undefined) {
        begun.set(Number(version), key);
        if (deed === "set") this.#sets.add(Number(version));
      }
      const done = Number(/^done (\d+)$/.exec(line)?.[1]);
      const known = begun.get(done);
      if (known !== undefined) this.#last.set(known, done);
    }
  }

  /** Not older than the last write that was acknowledged, and not one that was never begun. */
  check(key: string, version: number): void {
    if (!this.#sets.has(version)) throw new Error(`${key} has version ${version}, which nobody has set`);
    const last = this.#last.get(key) ?? 0;
    if (version < last) throw new Error(`${key} has version ${version}, but ${last} was acknowledged`);
  }
}

test("Two processes that write to one file and are killed in turn leave it whole", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "cache.db");
  for (let round = 0; round < 3; round++) {
    await Promise.all(
      [0, 1].map(async (which) => {
        const args = [fromSource, writer, path, join(folder.path, `log ${which}`), "1000000", `${round}000000`, "5"];
        await using child = spawnProcess(process.execPath, args);
        await child.waitForLine(/^writing$/);
        await delay(30 + 30 * which);
        await child.kill();
      }),
    );
    await using tier = sqliteTier({ path, maxBytes: 1_000_000 });
    const values = keys.map((key) => tier.get(key) as { bytes: Uint8Array } | undefined);
    for (const [index, value] of values.entries()) if (value) versionOf(keys[index] as string, value.bytes);
    expect(values.filter((value) => value !== undefined).length).toBeGreaterThan(20);
    expect(tier.stats()).toMatchObject({ damaged: 0, resets: 0 });
  }
});

/** Ways to damage a file, from one changed bit to nothing left. */
const damages: Record<string, (bytes: Buffer, random: () => number) => Buffer> = {
  "one bit": (bytes, random) => {
    const at = Math.floor(random() * bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    return bytes;
  },
  "twenty bytes": (bytes, random) => {
    for (let n = 0; n < 20; n++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    return bytes;
  },
  "a page of zeros": (bytes, random) => {
    const at = 4_096 * Math.floor((random() * bytes.length) / 4_096);
    return bytes.fill(0, at, at + 4_096);
  },
  "half a page of an older write": (bytes, random) => {
    const [from, to] = [random(), random()].map((part) => 4_096 * Math.floor((part * bytes.length) / 4_096));
    bytes.copy(bytes, to, from, (from ?? 0) + 2_048);
    return bytes;
  },
  "a page in the place of another": (bytes, random) => {
    const [from, to] = [random(), random()].map((part) => 4_096 * Math.floor((part * bytes.length) / 4_096));
    bytes.copy(bytes, to, from, (from ?? 0) + 4_096);
    return bytes;
  },
  "the end cut off": (bytes, random) => bytes.subarray(0, Math.floor(random() * bytes.length)),
  "the first page alone": (bytes) => bytes.subarray(0, 4_096),
  nothing: () => Buffer.alloc(0),
  noise: (bytes, random) => bytes.map(() => random() * 256) as Buffer,
};

for (const [what, damage] of Object.entries(damages)) {
  test(`A file with ${what} opens, returns nothing that was not written, and works from then on`, async () => {
    await using folder = await temporaryFolder();
    const whole = await makeFiles(folder.path);
    for (let round = 0; round < 8; round++) {
      const random = randomOf(round * 1_000 + what.length);
      const path = join(folder.path, `${round}.db`);
      const hurtsLog = round % 4 === 3;
      for (const suffix of ["", "-wal"]) {
        const bytes = Buffer.from(suffix === "" ? whole.file : whole.log);
        const isHurt = (suffix === "-wal") === hurtsLog;
        await writeFile(path + suffix, isHurt ? damage(bytes, random) : bytes);
      }
      await using tier = sqliteTier({ path, maxBytes: 2 ** 20 });
      checkAll(tier);
      for (const key of keys) tier.set(key, { bytes: valueFor(key, 2), expiresAt: forever });
      tier.flush();
      checkAll(tier);
      expect(await tier.clear("key 1")).toBeGreaterThanOrEqual(0);
      tier.set("key 0", { bytes: valueFor("key 0", 3), expiresAt: forever });
      const found = tier.get("key 0") as { bytes: Uint8Array };
      expect(versionOf("key 0", found.bytes)).toBe(3);
    }
  });
}

test("A file that is torn while it is open is replaced", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "cache.db");
  await using tier = sqliteTier({ path, maxBytes: 2 ** 20 });
  for (let version = 1; version < 12; version++) {
    for (const key of keys) tier.set(key, { bytes: valueFor(key, version), expiresAt: forever });
    tier.flush();
    if (version % 3 === 0) await truncate(path, 4_096 * version);
    if (version % 3 === 1) await writeFile(`${path}-wal`, Buffer.alloc(20_000, version));
    checkAll(tier);
  }
  expect(tier.stats().resets).toBeGreaterThan(0);
});

/** With limits of the kernel, and users who may not do everything. */
const linuxTest = test.skipIf(process.platform !== "linux");

linuxTest("On a full disk a tier goes on with what it has, without what it could not replace", async () => {
  await using folder = await temporaryFolder();
  const { stdout } = await runLimited(folder.path, "full");
  expect(stdout.trim().split("\n")).toEqual(["some were refused", "nothing is out of date", "works again"]);
});

linuxTest("A file that may not be written to is refused with the reason", async () => {
  await using folder = await temporaryFolder();
  const { stdout } = await runLimited(folder.path, "read-only");
  expect(stdout).toMatch(
    /^Cannot open .*cache\.db: (unable to open database file|attempt to write a readonly database)$/m,
  );
});

/** A program that may write files of 300 kB at most, or none where it did not create them. */
async function runLimited(folder: string, what: string): Promise<{ stdout: string }> {
  const program = new URL("./support/sqlite-limited.ts", import.meta.url).pathname;
  const script = 'ulimit -S -f 600; exec "$0" "$@"'; // in units of 512 bytes
  return await runTool("sh", ["-c", script, process.execPath, fromSource, program, folder, what]);
}

/** A file, and the log of what has been written since. */
async function makeFiles(folder: string): Promise<{ file: Buffer; log: Buffer }> {
  const path = join(folder, "whole.db");
  await using tier = sqliteTier({ path, maxBytes: 2 ** 20 });
  for (const version of [0, 1])
    for (const key of keys) tier.set(key, { bytes: valueFor(key, version, 200), expiresAt: forever });
  tier.flush();
  for (const suffix of ["", "-wal"]) await copyFile(path + suffix, `${path}.copy${suffix}`);
  return { file: await readFile(`${path}.copy`), log: await readFile(`${path}.copy-wal`) };
}

function checkAll(tier: SqliteTier): void {
  for (const key of keys) {
    const value = tier.get(key) as { bytes: Uint8Array } | undefined;
    if (value === undefined) continue;
    const bytes = Buffer.from(value.bytes);
    expect(bytes.equals(valueFor(key, bytes.readUInt32BE(0), bytes.length)), key).toBe(true);
  }
}

function randomOf(seed: number): () => number {
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
