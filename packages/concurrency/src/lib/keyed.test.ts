import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { Context, Keyed, Mutex, type OwnedContext, type Permit, QueueFullError, RwLock, Semaphore } from "../index.ts";
import { cancelSweep } from "../testing.ts";

async function ticks(count: number): Promise<void> {
  for (let tick = 0; tick < count; tick++) await Promise.resolve();
}

test("Keyed keeps one lock for each key in use, and drops it with its last user", async () => {
  const made: string[] = [];
  const locks = new Keyed((key: string) => {
    made.push(key);
    return new Mutex({ name: key });
  });
  const permit = await locks.for("a").acquire();
  const waiting = locks.for("a").run(() => "a is free");
  await locks.for("b").run(() => expect(locks.size).toBe(2));
  expect([made, locks.size, locks.has("a"), locks.has("b")]).toEqual([["a", "b"], 1, true, false]);
  permit.release();
  permit.release();
  expect(await waiting).toBe("a is free");
  expect([locks.size, made]).toEqual([0, ["a", "b"]]);
});

test("Keyed.tryAcquire() that fails leaves nothing behind", async () => {
  const locks = new Keyed(() => new Semaphore(1));
  using permit = locks.for(1).tryAcquire();
  expect(permit?.weight).toBe(1);
  expect(locks.for(1).tryAcquire()).toBe(undefined);
  expect(locks.size).toBe(1);
  permit?.release();
  expect(locks.size).toBe(0);
});

test("Keyed refuses one key too many, but not one more user of the same key", async () => {
  const locks = new Keyed(() => new Semaphore(2), { max: 1, name: "hosts" });
  using _first = await locks.for("a").acquire();
  using _second = await locks.for("a").acquire();
  await expect(locks.for("b").run(() => "never")).rejects.toBeInstanceOf(QueueFullError);
  await expect(locks.use("b", () => "never")).rejects.toThrow(
    "Cannot wait for hosts: its queue is full with 1 waiting",
  );
  expect(() => new Keyed(() => 1, { max: 0 })).toThrow("max must be an integer of at least 1 or Infinity, got 0");
  // @ts-expect-error: no factory
  expect(() => new Keyed(5)).toThrow("make must be a function, got 5");
});

test("Keyed.use() gives anything that belongs to a key", async () => {
  const tables = new Keyed((name: string) => new RwLock({ name }));
  const reading = tables.use("users", (lock) => lock.read(() => ticks(5).then(() => lock.name)));
  const writing = tables.use("users", (lock) => lock.write(() => lock.readers));
  expect(await Promise.all([reading, writing])).toEqual(["users", 0]);
  expect(tables.size).toBe(0);
});

test("a factory that throws leaves no key behind", async () => {
  const locks = new Keyed((key: string): Mutex => {
    throw new Error(`no ${key}`);
  });
  await expect(locks.for("a").run(() => 1)).rejects.toThrow("no a");
  expect(locks.size).toBe(0);
});

test("[effect#6910] keyed locks cancelled at any step leave no key behind", async () => {
  await cancelSweep(async (signal) => {
    const locks = new Keyed(() => new Mutex());
    const all = [
      locks.for("a").run(() => ticks(2)),
      locks.for("a").run(() => ticks(2), { signal }),
      locks
        .for("a")
        .acquire({ signal })
        .then((permit) => permit.release()),
      locks.for("b").run(() => ticks(2), { signal }),
    ];
    await Promise.allSettled(all);
    expect(locks.size).toBe(0);
  });
});

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("acquire" as const), key: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("try" as const), key: fc.nat(3) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("release" as const), key: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("abort" as const), key: fc.nat(3) }) },
);

test("keyed mutexes agree with one list for each key in any schedule", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const locks = new Keyed(() => new Mutex(), { max: 3 });
      const lines = new Map<number, { id: number; signal: OwnedContext }[]>(); // the first one holds the lock
      const permits = new Map<number, Permit>();
      let nextId = 0;
      for (const { kind, key } of steps) {
        const line = lines.get(key) ?? [];
        const isFull = line.length === 0 && [...lines.values()].filter(({ length }) => length > 0).length === 3;
        lines.set(key, line);
        const id = nextId++;
        if (kind === "acquire") {
          const signal = Context.derive();
          const acquiring = locks.for(key).acquire({ signal });
          if (isFull) await expect(acquiring).rejects.toBeInstanceOf(QueueFullError);
          else {
            line.push({ id, signal });
            acquiring.then(
              (permit) => permits.set(id, permit),
              (reason: unknown) => expect(reason).toBe(`abort ${id}`),
            );
          }
        } else if (kind === "try") {
          if (isFull) {
            expect(() => locks.for(key).tryAcquire()).toThrow(QueueFullError);
          } else {
            const permit = locks.for(key).tryAcquire();
            expect(permit !== undefined).toBe(line.length === 0);
            if (permit !== undefined) {
              permits.set(id, permit);
              line.push({ id, signal: Context.derive() });
            }
          }
        } else if (kind === "release") {
          await ticks(9);
          const holder = line.shift();
          if (holder !== undefined) permits.get(holder.id)?.release();
        } else {
          const last = line.length > 1 ? line.pop() : undefined;
          last?.signal.cancel(`abort ${last.id}`);
        }
        await ticks(9);
        expect(locks.size).toBe([...lines.values()].filter(({ length }) => length > 0).length);
        for (const [holder, ...waiting] of lines.values()) {
          if (holder !== undefined) expect(permits.has(holder.id)).toBe(true);
          for (const { id } of waiting) expect(permits.has(id)).toBe(false);
        }
      }
    }),
    { numRuns: propertyRuns(3_000) },
  );
});
