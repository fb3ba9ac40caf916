import { DatabaseSync } from "node:sqlite";
import { QueueFullError } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { memoryIdempotency } from "../index.ts";
import { sqliteIdempotency } from "../sqlite.ts";
import { idempotencyStoreConformance } from "../testing.ts";
import type { IdempotencyClaim, IdempotencyStore } from "./idempotency-store.ts";

const memory = idempotencyStoreConformance(() => {
  const clock = new TestClock();
  return { store: memoryIdempotency({ clock }), pass: (ms) => clock.advance(ms) };
});
for (const { name, run } of memory) test(`memory: ${name}`, run);

const sqlite = idempotencyStoreConformance(() => {
  const clock = new TestClock();
  const database = new DatabaseSync(":memory:");
  return {
    store: sqliteIdempotency(database, { clock }),
    other: sqliteIdempotency(database, { clock }),
    pass: (ms) => clock.advance(ms),
    close: () => database.close(),
  };
});
for (const { name, run } of sqlite) test(`sqlite: ${name}`, run);

const stores: Record<string, (max: number, clock: TestClock) => IdempotencyStore> = {
  memory: (max, clock) => memoryIdempotency({ max, clock }),
  sqlite: (max, clock) => sqliteIdempotency(":memory:", { max, clock }),
};

for (const [name, make] of Object.entries(stores)) {
  test(`${name}: a full store forgets the outcomes that were kept first, never a run that goes on`, async () => {
    const store = make(3, new TestClock());
    await store.begin("goes on", claim("a"));
    for (const key of ["b", "c", "d"]) {
      expect((await store.begin(key, claim(key))).state).toBe("begun");
      await store.complete(key, key, "done", 1_000);
    }
    expect((await store.begin("goes on", claim("x"))).state).toBe("running");
    expect((await store.begin("d", claim("x"))).state).toBe("completed");
    expect((await store.begin("b", claim("x"))).state).toBe("begun");
  });

  test(`${name}: a store that is full of runs that go on refuses one more`, async () => {
    const store = make(2, new TestClock());
    await store.begin("a", claim("a"));
    await store.begin("b", claim("b"));
    await expect(async () => store.begin("c", claim("c"))).rejects.toThrow(QueueFullError);
    await store.abandon("a", "a");
    expect((await store.begin("c", claim("c"))).state).toBe("begun");
  });

  test(`${name}: what has expired makes room`, async () => {
    const clock = new TestClock();
    const store = make(2, clock);
    await store.begin("a", claim("a"));
    await store.complete("a", "a", "done", 1_000);
    await store.begin("b", { ...claim("b"), lease: 100, ttl: 900 });
    await clock.advance(1_001);
    expect((await store.begin("c", claim("c"))).state).toBe("begun");
    expect((await store.begin("d", claim("d"))).state).toBe("begun");
  });
}

test("A SQLite store drops what has expired as new keys come, and counts what is left", async () => {
  const clock = new TestClock();
  using store = sqliteIdempotency(":memory:", { clock });
  for (let i = 0; i < 250; i++) {
    store.begin(`key ${i}`, claim("a"));
    store.complete(`key ${i}`, "a", "done", 1_000);
  }
  expect(store.count()).toBe(250);
  await clock.advance(1_000);
  store.begin("x", claim("a"));
  expect(store.count()).toBe(151);
  store.begin("y", claim("a"));
  store.begin("z", claim("a"));
  expect(store.count()).toBe(3);
});

test("A SQLite store leaves open what it did not open", () => {
  const database = new DatabaseSync(":memory:");
  const store = sqliteIdempotency(database, { table: "calls" });
  store.begin("a", claim("a"));
  store.close();
  expect(database.prepare("SELECT key, owner FROM calls").all()).toEqual([{ key: "a", owner: "a" }]);
  database.close();
});

test("Stores say what is wrong with their options", () => {
  expect(() => memoryIdempotency({ max: 0 })).toThrow(
    "Cannot create a memoryIdempotency: max must be an integer of at least 1, got 0",
  );
  expect(() => sqliteIdempotency(":memory:", { table: "a; b" })).toThrow(
    'Cannot create a sqliteIdempotency: table must be a name, got "a; b"',
  );
});

function claim(owner: string): IdempotencyClaim {
  return { owner, fingerprint: "", lease: 1_000_000, ttl: 1_000_000, takeOver: "" };
}
