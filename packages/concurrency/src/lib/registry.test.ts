import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { batcher, channel, limit, Mutex, pool, RwLock, Semaphore, Supervisor, scope } from "../index.ts";
import { components, register, type WaitEvent, waitChannel } from "../inspect.ts";
import { TestClock } from "../testing.ts";
import { workers } from "../workers.ts";

test("components that have a name list themselves, with what they do now", async () => {
  const semaphore = new Semaphore(3, { name: "database" });
  const mutex = new Mutex({ name: "account" });
  const lock = new RwLock({ name: "table" });
  const two = limit(2, { name: "uploads" });
  const jobs = channel<number>(5, { name: "jobs" });
  await using connections = pool({ create: async () => ({}), name: "connections" });
  const supervisor = new Supervisor({ http: { start: async () => {} } }, { name: "app" });
  const users = batcher(async (ids: readonly number[]) => [...ids], { name: "users", maxSize: 20 });
  await using threads = workers<object>(new URL("data:text/javascript,"), { name: "threads" });
  using _permit = await semaphore.acquire({ weight: 2 });
  using _guard = await lock.acquireWrite();
  await jobs.send(1);
  const names = new Set(["database", "account", "table", "uploads", "jobs", "connections", "app", "users", "threads"]);
  const reports = components().filter(({ name }) => names.has(name));
  expect(reports).toMatchObject([
    { kind: "semaphore", name: "database", stats: { permits: 3, held: 2, waiting: 0 } },
    { kind: "mutex", name: "account", stats: { permits: 1, held: 0, waiting: 0 } },
    { kind: "rw-lock", name: "table", stats: { readers: 0, writing: true, waiting: 0 } },
    { kind: "limit", name: "uploads", stats: { permits: 2, held: 0, waiting: 0 } },
    { kind: "channel", name: "jobs", stats: { capacity: 5, size: 1, closed: false } },
    { kind: "pool", name: "connections", stats: { size: 0, waiting: 0 } },
    { kind: "supervisor", name: "app", stats: { ready: false, services: { http: "idle" } } },
    { kind: "batcher", name: "users", stats: { waiting: 0, inFlight: 0, size: 20 } },
    { kind: "workers", name: "threads", stats: { threads: threads.stats.threads, queued: 0 } },
  ]);
  expect([users.waiting, mutex.locked, two.running, supervisor.ready, connections.name]).toEqual([
    0,
    false,
    0,
    false,
    "connections",
  ]);
});

test("components without a name are not listed, nor is what others are made of", async () => {
  const before = components().length;
  const all = [new Semaphore(1), new Mutex(), new RwLock(), limit(1), channel(1), new Supervisor({})];
  await scope((s) => s.spawn(() => all.length), { limit: 1, name: "short" });
  expect(components()).toHaveLength(before);
});

test("register() lists a component until it is disposed, and one that fails to tell with its error", () => {
  const failure = new Error("broken");
  const component = {};
  const listing = register("cache", "users", component, () => {
    throw failure;
  });
  expect(components("cache")).toEqual([{ kind: "cache", name: "users", stats: {}, error: failure }]);
  listing[Symbol.dispose]();
  listing[Symbol.dispose]();
  expect(components("cache")).toEqual([]);
});

test("a listed component can be collected", async () => {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void; // the flag puts it there
  for (let index = 0; index < 100; index++) new Semaphore(1, { name: "forgotten" });
  for (let round = 0; round < 10 && components().some(({ name }) => name === "forgotten"); round++) {
    await new Promise((resolve) => setImmediate(resolve));
    gc();
  }
  expect(components().filter(({ name }) => name === "forgotten")).toEqual([]);
});

test("whoever listens hears of each wait, and nobody else pays for it", async () => {
  const clock = new TestClock();
  const semaphore = new Semaphore(1, { name: "database", clock });
  const events: WaitEvent[] = [];
  const listener = (event: unknown): void => void events.push(event as WaitEvent); // of this channel
  const held = await semaphore.acquire();
  subscribe(waitChannel, listener);
  try {
    const served = semaphore.acquire();
    const late = semaphore.acquire({ timeout: 20 }).catch(() => {});
    await clock.advance(20);
    held.release();
    (await served).release();
    await late;
  } finally {
    unsubscribe(waitChannel, listener);
  }
  using _unseen = await semaphore.acquire();
  expect(events).toEqual([
    { kind: "wait-started", component: "semaphore", name: "database" },
    { kind: "wait-started", component: "semaphore", name: "database" },
    { kind: "wait-ended", component: "semaphore", name: "database", waitedMs: 20, served: false },
    { kind: "wait-ended", component: "semaphore", name: "database", waitedMs: 20, served: true },
  ]);
});
