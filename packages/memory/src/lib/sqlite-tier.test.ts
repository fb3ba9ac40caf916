import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { existsSync } from "node:fs";
import { copyFile, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Clock, ClosedError } from "@proj/concurrency";
import { components } from "@proj/concurrency/inspect";
import { TestClock } from "@proj/concurrency/testing";
import { temporaryFolder } from "@tooling/testing";
import { describe, expect, test } from "vitest";
import { tierConformance } from "./conformance-tier.ts";
import { type MemoryEvent, memoryChannel } from "./events.ts";
import { sqliteTier } from "./sqlite-tier.ts";
import type { SqliteTier, SqliteTierOptions } from "./sqlite-tier-options.ts";
import type { Sealed } from "./tier.ts";

describe("sqliteTier", () => {
  const suite = tierConformance(async () => {
    const under = await make({ maxBytes: 64 * 2 ** 20 });
    return { ...under, now: () => under.clock.wall(), pass: (ms: number) => under.clock.advance(ms) };
  });
  for (const { name, run } of suite) test(name, run);
});

test("get() of a SQLite tier returns the value itself, no promise", async () => {
  await using under = await make();
  under.tier.set("key", sealed("value"));
  expect(textOf(under.tier.get("key") as Sealed)).toBe("value");
  under.tier.flush();
  expect(textOf(under.tier.get("key") as Sealed)).toBe("value");
  expect(under.tier.get("other")).toBeUndefined();
});

test("New entries are written together when they are many, or when some time has passed", async () => {
  await using under = await make({ flushEvery: 3, flushAfter: 20 });
  under.tier.set("a", sealed("A"));
  under.tier.set("b", sealed("B"));
  expect(under.rows()).toBe(0);
  expect(textOf(await under.tier.get("a"))).toBe("A");
  under.tier.set("c", sealed("C"));
  expect(under.rows()).toBe(3);
  under.tier.set("d", sealed("D"));
  await under.clock.advance(19);
  expect(under.rows()).toBe(3);
  await under.clock.advance(1);
  expect(under.rows()).toBe(4);
  expect(under.tier.stats()).toMatchObject({ written: 4, pending: 0 });
});

test("What replaces or deletes an entry of the file is in the file when the call returns", async () => {
  await using under = await make();
  under.tier.set("a", sealed("old"));
  under.tier.set("b", sealed("old"));
  under.tier.flush();
  under.tier.set("a", sealed("new"));
  under.tier.delete(["b"]);
  expect(under.value("a")).toBe("new");
  expect(under.value("b")).toBeUndefined();
  under.tier.set("a", { bytes: Buffer.from("over"), expiresAt: under.clock.wall() });
  expect(under.value("a")).toBeUndefined();
});

test("close() writes what is pending, and the next one to open the file finds it", async () => {
  await using under = await make();
  under.tier.set("key", sealed("value"));
  await under.tier.close();
  expect(() => under.tier.get("key")).toThrow(ClosedError);
  expect(() => under.tier.set("key", sealed("value"))).toThrow(ClosedError);
  await expect(under.tier.clear("")).rejects.toThrow(ClosedError);
  expect(existsSync(`${under.path}-wal`)).toBe(false);
  await using again = sqliteTier({ path: under.path, maxBytes: 2 ** 20 });
  expect(textOf(await again.get("key"))).toBe("value");
});

test("A SQLite tier makes room by deleting the oldest entries that were not read lately", async () => {
  await using under = await make({ maxBytes: 512 * 1_024 });
  const { tier, clock } = under;
  const value = "x".repeat(1_000);
  for (let n = 0; n < 2_000; n++) {
    tier.set(`key ${n}`, sealed(value));
    if (n > 0 && n % 20 === 0) expect(tier.get("key 0"), `after ${n}`).toBeDefined();
    if (n % 50 === 0) await clock.advance(50);
    expect((await stat(under.path)).size).toBeLessThanOrEqual(512 * 1_024);
  }
  await clock.advance(50);
  const { bytes, evicted } = tier.stats();
  expect(bytes).toBeLessThanOrEqual(512 * 1_024 * 0.95);
  expect(bytes).toBeGreaterThan(512 * 1_024 * 0.8);
  expect(evicted).toBeGreaterThan(1_500);
  expect(tier.get("key 1999")).toBeDefined();
  expect(tier.get("key 1")).toBeUndefined();
});

test("A burst that outruns eviction still leaves the file within its bound", async () => {
  await using under = await make({ maxBytes: 512 * 1_024 }); // its clock stands still: nothing is done in between
  for (let n = 0; n < 300; n++) under.tier.set(`key ${n}`, sealed("x".repeat(10_000)));
  under.tier.flush();
  expect((await stat(under.path)).size).toBeLessThanOrEqual(512 * 1_024);
  expect(under.tier.get("key 299")).toBeDefined();
});

test("A file that is larger than it may be shrinks, a step at a time", async () => {
  await using under = await make({ maxBytes: 8 * 2 ** 20 });
  for (let n = 0; n < 3_000; n++) under.tier.set(`key ${n}`, sealed("x".repeat(1_500)));
  await under.tier.close();
  expect((await stat(under.path)).size).toBeGreaterThan(4 * 2 ** 20);
  const clock = new TestClock();
  const tier = sqliteTier({ path: under.path, maxBytes: 2 ** 20, clock });
  await clock.advance(5_000);
  expect(tier.stats().bytes).toBeLessThanOrEqual(2 ** 20);
  expect(tier.get("key 2999")).toBeDefined();
  await tier.close();
  expect((await stat(under.path)).size).toBeLessThanOrEqual(2 ** 20);
});

test("A value that is too large is refused, and takes the older one with it", async () => {
  await using under = await make({ maxBytes: 512 * 1_024 });
  under.tier.set("key", sealed("old"));
  under.tier.flush();
  under.tier.set("key", sealed("x".repeat(65_536)));
  expect(under.tier.get("key")).toBeUndefined();
  expect(under.tier.stats()).toMatchObject({ refused: 1 });
});

test("Entries whose time is over are swept in slices", async () => {
  await using under = await make({ sweepEvery: 1_000 });
  const expiresAt = under.clock.wall() + 500;
  for (let n = 0; n < 1_500; n++) under.tier.set(`key ${n}`, { bytes: Buffer.from("value"), expiresAt });
  under.tier.set("stays", sealed("value"));
  under.tier.flush();
  await under.clock.advance(999);
  expect(under.tier.get("key 0")).toBeUndefined();
  expect(under.rows()).toBe(1_501);
  await under.clock.advance(1);
  const left = under.rows();
  expect(left).toBeGreaterThan(900);
  await under.clock.advance(100);
  expect(under.rows()).toBe(1);
  expect(under.tier.stats()).toMatchObject({ expired: 1_500 });
});

test("A clock that is set back neither ends nor revives what it should not", async () => {
  await using under = await make();
  const { clock, tier } = under;
  const start = clock.wall();
  tier.set("key", { bytes: Buffer.from("value"), expiresAt: start + 1_000 });
  tier.flush();
  under.shift(-3_600_000);
  expect(textOf(await tier.get("key"))).toBe("value");
  tier.set("new", { bytes: Buffer.from("value"), expiresAt: start - 3_600_000 + 1_000 });
  await clock.advance(1_000);
  expect(tier.get("new")).toBeUndefined();
  under.shift(3_600_000);
  expect(tier.get("key")).toBeUndefined();
  await clock.advance(2_000);
  expect(under.rows()).toBe(0);
});

test("clear() hides everything at once, deletes it in slices, and leaves what is set meanwhile", async () => {
  await using under = await make();
  const { tier } = under;
  for (let n = 0; n < 1_200; n++) tier.set(`user:${n}`, sealed("old"));
  tier.set("users", sealed("other"));
  const clearing = Promise.resolve(tier.clear("user:"));
  expect([tier.get("user:0"), tier.get("user:1199")]).toEqual([undefined, undefined]);
  tier.set("user:7", sealed("new"));
  expect(under.rows()).toBeGreaterThan(500);
  expect(await clearing).toBe(1_199);
  expect(textOf(await tier.get("user:7"))).toBe("new");
  expect(textOf(await tier.get("users"))).toBe("other");
  expect(under.rows()).toBe(2);
});

test("Deleting many keys goes in slices, and leaves what is set meanwhile", async () => {
  await using under = await make();
  const keys = Array.from({ length: 1_200 }, (_, n) => `key ${n}`);
  for (const key of keys) under.tier.set(key, sealed("old"));
  const deleting = under.tier.delete(keys);
  under.tier.set("key 1199", sealed("new"));
  await deleting;
  expect(textOf(await under.tier.get("key 1199"))).toBe("new");
  expect(under.rows()).toBe(1);
});

test("A value with another checksum is a miss, is told of, and is deleted", async () => {
  await using under = await make();
  under.tier.set("key", sealed("value"));
  under.tier.set("other", sealed("value"));
  under.tier.flush();
  under.raw((db) => db.exec("UPDATE entry SET value = x'76616c7566' WHERE key = 'key'"));
  under.raw((db) => db.exec("UPDATE entry SET key = 'moved' WHERE key = 'other'"));
  const told = await eventsOf(() =>
    expect([under.tier.get("key"), under.tier.get("moved")]).toEqual([undefined, undefined]),
  );
  expect(told).toEqual([
    { kind: "sqlite-tier-damaged-entry", name: "sqlite", path: under.path, key: "key" },
    { kind: "sqlite-tier-damaged-entry", name: "sqlite", path: under.path, key: "moved" },
  ]);
  expect(under.rows()).toBe(0);
  expect(under.tier.stats()).toMatchObject({ damaged: 2 });
});

test("A file that is no database is set aside, with an event", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "cache.db");
  await writeFile(path, "These are the notes of somebody. ".repeat(200));
  const told = await eventsOf(async () => {
    await using tier = sqliteTier({ path, maxBytes: 2 ** 20 });
    tier.set("key", sealed("value"));
    expect(textOf(await tier.get("key"))).toBe("value");
  });
  expect(told).toMatchObject([{ kind: "sqlite-tier-reset", path, reason: "damaged", setAside: `${path}.damaged` }]);
  expect(await readFile(`${path}.damaged`, "utf8")).toMatch(/^These are the notes/);
});

test("A database of something else is refused and left alone", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "orders.db");
  const orders = new DatabaseSync(path);
  orders.exec("CREATE TABLE orders (id); INSERT INTO orders VALUES (1)");
  orders.close();
  expect(() => sqliteTier({ path, maxBytes: 2 ** 20 })).toThrow(
    `Cannot open ${path}: it is a database of something else`,
  );
  const again = new DatabaseSync(path);
  expect(again.prepare("SELECT count(*) AS n FROM orders").get()).toEqual({ n: 1 });
  again.close();
});

test("A path at which there can be no file is refused", async () => {
  await using folder = await temporaryFolder();
  expect(() => sqliteTier({ path: folder.path, maxBytes: 2 ** 20 })).toThrow(/^Cannot open .+: unable to open/);
});

test("A file that was open when its machine stopped is not trusted", async () => {
  await using under = await make();
  under.tier.set("key", sealed("value"));
  under.tier.flush();
  under.raw((db) => db.exec("UPDATE meta SET value = 'another start' WHERE name = 'boot'"));
  const path = join(under.folder, "copy.db");
  for (const suffix of ["", "-wal"]) await copyFile(under.path + suffix, path + suffix); // as it is now, still open
  const told = await eventsOf(async () => {
    await using tier = sqliteTier({ path, maxBytes: 2 ** 20 });
    expect(tier.get("key")).toBeUndefined();
  });
  expect(told).toMatchObject([{ kind: "sqlite-tier-reset", reason: "machine-stopped", setAside: undefined }]);
});

test("A file that was closed before its machine stopped is trusted", async () => {
  await using under = await make();
  under.tier.set("key", sealed("value"));
  await under.tier.close();
  under.raw((db) => db.exec("UPDATE meta SET value = 'another start' WHERE name = 'boot'"));
  await using tier = sqliteTier({ path: under.path, maxBytes: 2 ** 20 });
  expect(textOf(await tier.get("key"))).toBe("value");
});

test("While another process blocks the file, writes throw, and what they were to replace reads as missing", async () => {
  await using under = await make({ busyTimeout: 1 });
  const { clock, tier } = under;
  for (const key of ["a", "b", "c"]) tier.set(key, sealed("old"));
  tier.flush();
  const blocker = new DatabaseSync(under.path);
  blocker.exec("BEGIN IMMEDIATE");
  const told = await eventsOf(() => {
    expect(() => tier.set("a", sealed("new"))).toThrow("database is locked");
    expect(() => tier.delete(["b"])).toThrow("it failed less than 1000 ms ago");
  });
  expect(told).toMatchObject([{ kind: "sqlite-tier-write-failed", name: "sqlite", dropped: 1 }]);
  expect([tier.get("a"), tier.get("b")]).toEqual([undefined, undefined]);
  expect(textOf(await tier.get("c"))).toBe("old");
  expect(() => tier.set("d", sealed("lost"))).toThrow("Cannot write");
  blocker.exec("COMMIT");
  blocker.close();
  await clock.advance(1_000);
  tier.set("e", sealed("new"));
  tier.flush();
  expect(under.value("a")).toBeUndefined();
  expect(under.value("b")).toBeUndefined();
  expect(under.value("c")).toBe("old");
  expect(textOf(await tier.get("e"))).toBe("new");
});

test("When too much could not be written to know what is out of date, all is given up", async () => {
  await using under = await make({ busyTimeout: 0, flushEvery: 1 });
  const { clock, tier } = under;
  for (const key of ["kept", "deleted"]) tier.set(key, sealed("old"));
  const blocker = new DatabaseSync(under.path);
  blocker.exec("BEGIN IMMEDIATE");
  expect(() => tier.delete(["deleted"])).toThrow();
  for (let n = 0; n < 10_002; n++) expect(() => tier.delete([`key ${n}`])).toThrow();
  expect(tier.get("kept")).toBeUndefined();
  blocker.exec("ROLLBACK");
  blocker.close();
  await clock.advance(1_000);
  tier.set("new", sealed("new"));
  expect(tier.get("kept")).toBeUndefined();
  expect(textOf(await tier.get("new"))).toBe("new");
  expect(tier.stats()).toMatchObject({ resets: 1 });
});

test("Two tiers on one file see each other's writes, and follow when one replaces the file", async () => {
  await using under = await make({ flushEvery: 1 });
  const { tier, clock } = under;
  await using other = sqliteTier({ path: under.path, maxBytes: 2 ** 20, flushEvery: 1, clock });
  tier.set("key", sealed("one"));
  expect(textOf(await other.get("key"))).toBe("one");
  other.set("key", sealed("two"));
  expect(textOf(await tier.get("key"))).toBe("two");
  other.delete(["key"]);
  expect(tier.get("key")).toBeUndefined();

  for (let n = 0; n < 100; n++) tier.set(`key ${n}`, sealed("x".repeat(1_000)));
  under.raw((db) => db.exec("PRAGMA wal_checkpoint(TRUNCATE)"));
  await writeFile(under.path, Buffer.alloc(200_000, 7)); // what no process should do
  for (let n = 0; n < 100; n++) expect(tier.get(`key ${n}`)).toBeUndefined();
  tier.set("after", sealed("one"));
  await clock.advance(1_000);
  expect(textOf(await other.get("after"))).toBe("one");
  other.set("after", sealed("two"));
  expect(textOf(await tier.get("after"))).toBe("two");
  expect(tier.stats().resets + other.stats().resets).toBe(1);
});

test("A SQLite tier with a name is listed", async () => {
  await using under = await make({ name: "thumbnails" });
  under.tier.set("key", sealed("value"));
  under.tier.get("key");
  under.tier.get("other");
  const [found] = components("sqlite-tier").filter(({ name }) => name === "thumbnails");
  expect(found?.stats).toMatchObject({ hits: 1, misses: 1, pending: 1 });
});

test("Options that are none are refused", () => {
  const path = "cache.db";
  expect(() => sqliteTier({ path: ":memory:", maxBytes: 2 ** 20 })).toThrow(
    new TypeError('Cannot create a SQLite tier: path must be that of a file, got ":memory:"'),
  );
  expect(() => sqliteTier({ path, maxBytes: 1_000 })).toThrow(
    new RangeError("Cannot create a SQLite tier: maxBytes must be an integer of at least 262144, got 1000"),
  );
  expect(() => sqliteTier({ path, maxBytes: 2 ** 20, lowWatermark: 2 })).toThrow(RangeError);
  expect(() => sqliteTier({ path, maxBytes: 2 ** 20, flushEvery: 0 })).toThrow(RangeError);
  expect(() => sqliteTier({ path, maxBytes: 2 ** 20, flushAfter: -1 })).toThrow(RangeError);
});

interface Under extends AsyncDisposable {
  readonly tier: SqliteTier;
  readonly clock: TestClock;
  /** Sets the clock of the machine by so much. */
  shift(ms: number): void;
  readonly folder: string;
  readonly path: string;
  /** What another process finds in the file. */
  rows(): number;
  value(key: string): string | undefined;
  raw<T>(use: (db: DatabaseSync) => T): T;
}

async function make(options: Partial<SqliteTierOptions> = {}): Promise<Under> {
  const folder = await temporaryFolder();
  const clock = new TestClock();
  let shifted = 0;
  const path = join(folder.path, "cache.db");
  const { now, setTimeout } = { now: () => clock.now(), setTimeout: clock.setTimeout.bind(clock) };
  const machine: Clock = { now, setTimeout, wall: () => clock.wall() + shifted };
  const tier = sqliteTier({ path, maxBytes: 2 ** 20, clock: machine, ...options });
  const raw = <T>(use: (db: DatabaseSync) => T): T => {
    const db = new DatabaseSync(path);
    try {
      return use(db);
    } finally {
      db.close();
    }
  };
  return {
    tier,
    clock,
    shift: (ms) => {
      shifted += ms;
    },
    folder: folder.path,
    path,
    raw,
    rows: () => raw((db) => Number(db.prepare("SELECT count(*) AS n FROM entry").get()?.["n"])),
    value: (key) =>
      raw((db) => {
        const row = db.prepare("SELECT value FROM entry WHERE key = ?").get(key);
        return row && Buffer.from(row["value"] as Uint8Array).toString();
      }),
    [Symbol.asyncDispose]: async () => {
      await tier.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function eventsOf(action: () => unknown): Promise<MemoryEvent[]> {
  const told: MemoryEvent[] = [];
  const listen = (event: unknown): void => void told.push(event as MemoryEvent);
  subscribe(memoryChannel, listen);
  try {
    await action();
  } finally {
    unsubscribe(memoryChannel, listen);
  }
  return told;
}

function sealed(text: string): Sealed {
  return { bytes: Buffer.from(text), expiresAt: Number.POSITIVE_INFINITY };
}

function textOf(value: Sealed | undefined): string | undefined {
  return value && Buffer.from(value.bytes).toString();
}
