import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { TestClock } from "@proj/concurrency/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type MemoryMonitorOptions, memoryMonitor, type PressureEvent } from "./memory-monitor.ts";
import { type MemoryReading, processProbe } from "./memory-reading.ts";

/** A process of 1,000 bytes, whose cache frees what it lets go of when the collector runs. */
function setUp(options: MemoryMonitorOptions = {}) {
  const clock = new TestClock();
  const state = { heapUsed: 0, rss: 0, collections: 0, gcShare: 0 };
  const events: PressureEvent[] = [];
  const cuts: number[] = [];
  const monitor = memoryMonitor({
    every: 100,
    clock,
    onEvent: (event) => events.push(event),
    probe: {
      read: () => ({ ...state, heapLimit: 1_000, rssLimit: 1_000 }),
      [Symbol.dispose]: () => {},
    },
    ...options,
  });
  const cache = {
    shrink(fraction: number): number {
      cuts.push(fraction);
      return fraction * 100;
    },
  };
  return { clock, state, events, cuts, cache, monitor };
}

test("memoryMonitor() makes caches a tenth smaller at soft, once until the collector has run", async () => {
  const { clock, state, cuts, cache, monitor } = setUp();
  monitor.register(cache);
  state.heapUsed = 790;
  await clock.advance(1_000);
  expect(cuts).toEqual([]);

  state.heapUsed = 810;
  await clock.advance(500);
  expect(monitor.level).toBe("soft");
  expect(cuts).toEqual([0.1]);

  state.collections++;
  await clock.advance(100);
  expect(cuts).toEqual([0.1, 0.1]);
});

test("memoryMonitor() makes caches half as large at each look at hard, whatever uses the memory", async () => {
  const { clock, state, cuts, cache, monitor } = setUp();
  monitor.register(cache);
  state.rss = 950;
  await clock.advance(300);
  expect(monitor.level).toBe("hard");
  expect(cuts).toEqual([0.5, 0.5, 0.5]);
});

test("memoryMonitor() makes caches smaller when the collector runs in vain, if the heap is not nearly empty", async () => {
  const { clock, state, cuts, cache, monitor } = setUp({ gcShare: 0.4 });
  monitor.register(cache);
  Object.assign(state, { gcShare: 0.5, heapUsed: 600, rss: 750 });
  await clock.advance(300);
  expect(monitor.level).toBe("normal"); // it is not the heap that is full

  state.heapUsed = 710;
  await clock.advance(300);
  expect([monitor.level, cuts]).toEqual(["soft", [0.1]]);

  Object.assign(state, { gcShare: 0.1, collections: 1 });
  await clock.advance(300);
  expect([monitor.level, cuts]).toEqual(["soft", [0.1]]);
  Object.assign(state, { heapUsed: 690, rss: 0 });
  await clock.advance(100);
  expect(monitor.level).toBe("normal");
});

test("memoryMonitor() acts again after ten looks, if the collector does not run", async () => {
  const { clock, state, cuts, cache, monitor } = setUp();
  monitor.register(cache);
  state.heapUsed = 810;
  await clock.advance(1_000);
  expect(cuts).toEqual([0.1]);
  await clock.advance(100);
  expect(cuts).toEqual([0.1, 0.1]);
});

test("memoryMonitor() with every: Infinity looks only when told to", async () => {
  const { clock, state, cuts, cache, monitor } = setUp({ every: Number.POSITIVE_INFINITY });
  monitor.register(cache);
  state.heapUsed = 950;
  await clock.advance(100_000);
  expect(cuts).toEqual([]);
  expect(monitor.check()).toBe("hard");
});

test("memoryMonitor() watches the heap of the worker that it is in", async () => {
  const worker = new Worker(
    `(async () => {
      const { memoryMonitor } = await import(${JSON.stringify(import.meta.resolve("./memory-monitor.ts"))});
      const monitor = memoryMonitor({ every: Infinity, soft: 0.5, gcShare: 1 });
      const held = [];
      monitor.register({ shrink: () => held.splice(0).length });
      const limit = monitor.reading.heapLimit;
      for (let round = 0; round < 200 && monitor.check() === "normal"; round++) {
        for (let n = 0; n < 5_000; n++) held.push({ n, text: "text " + n });
        await new Promise((resolve) => setTimeout(resolve, 1)); // the collector's reports come between jobs
      }
      const { level, reading } = monitor;
      monitor.collect({ allowGc: true });
      require("node:worker_threads").parentPort.postMessage({ limit, level, reading, after: monitor.reading });
      monitor[Symbol.dispose]();
    })();`,
    { eval: true, resourceLimits: { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 4 } },
  );
  // Both from the start: on a busy machine they may come in one turn.
  const [[message], [code]] = await Promise.all([once(worker, "message"), once(worker, "exit")]);
  expect(code).toBe(0);
  const { limit, level, reading, after } = message as {
    limit: number;
    level: string;
    reading: MemoryReading;
    after: MemoryReading;
  };
  expect(limit).toBeLessThan(100 * 2 ** 20); // not that of the main thread
  expect(level).toBe("soft");
  expect(reading.heapUsed).toBeGreaterThan(limit * 0.5);
  expect(reading.gcShare).toBeGreaterThanOrEqual(0);
  expect(after.heapUsed).toBeLessThan(limit * 0.3);
});

test("memoryMonitor() is under pressure until the share is below calm", async () => {
  const { clock, state, events, cuts, cache, monitor } = setUp();
  monitor.register(cache);
  for (const heapUsed of [850, 750, 790, 720, 690, 750, 850]) {
    state.heapUsed = heapUsed;
    await clock.advance(100);
  }
  expect(events.filter(({ kind }) => kind === "pressure-changed")).toMatchObject([
    { from: "normal", to: "soft", ratio: 0.85 },
    { from: "soft", to: "normal", ratio: 0.69 },
    { from: "normal", to: "soft" },
  ]);
  expect(cuts).toHaveLength(2); // not between soft and calm
});

test("memoryMonitor() spares higher priorities below hard", async () => {
  const { clock, state, events, cache, monitor } = setUp();
  monitor.register(cache, { name: "cheap", priority: -1 });
  monitor.register(cache, { name: "precious", priority: 1 });
  const shrunk = () => events.flatMap((event) => (event.kind === "cache-shrunk" ? [event.name] : []));
  state.heapUsed = 850;
  await clock.advance(100);
  expect(shrunk()).toEqual(["cheap"]);
  state.heapUsed = 950;
  await clock.advance(100);
  expect(shrunk()).toEqual(["cheap", "cheap", "precious"]);
});

test("memoryMonitor() makes the others smaller when one of them fails to", () => {
  const { state, events, cuts, cache, monitor } = setUp();
  monitor.register({ shrink: () => expect.fail("broken") }, { name: "broken" });
  monitor.register(cache);
  state.heapUsed = 950;
  expect(monitor.check()).toBe("hard");
  expect(cuts).toEqual([0.5]);
  expect(events).toContainEqual(expect.objectContaining({ kind: "shrink-failed", name: "broken" }));
});

test("memoryMonitor() forgets a registration, and everything once it is disposed of", async () => {
  const { clock, state, cuts, cache, monitor } = setUp();
  const registration = monitor.register(cache);
  registration[Symbol.dispose]();
  state.heapUsed = 950;
  await clock.advance(100);
  expect(cuts).toEqual([]);

  monitor[Symbol.dispose]();
  expect(clock.timers).toBe(0);
});

test("MemoryMonitor.collect() makes everything smaller and runs the collector only if it may", () => {
  const { cuts, cache, monitor } = setUp({ probe: processProbe() });
  monitor.register(cache);
  monitor.collect({ fraction: 0.3 });
  const garbage = new WeakRef(Array.from({ length: 10 }, () => ({})));
  monitor.collect({ allowGc: true });
  expect(cuts).toEqual([0.3, 0.5]);
  expect(garbage).toBeDefined();
  expect(monitor.reading.heapUsed).toBeLessThan(monitor.reading.heapLimit);
  expect(monitor.reading.rss).toBeLessThan(monitor.reading.rssLimit);
  monitor[Symbol.dispose]();
});

test.each<[MemoryMonitorOptions, RegExp]>([
  [{ soft: 0.9, hard: 0.8 }, /soft at most hard, got 0.8, 0.9 and 0.8/],
  [{ soft: 2 }, /soft must be a number from 0 to 1, got 2/],
  [{ every: 0 }, /every must be above 0 ms, got 0/],
  [{ gcShare: 2 }, /gcShare must be a number from 0 to 1, got 2/],
  [{ every: -1 }, /every must be 0 ms or more, got -1/],
])("memoryMonitor() refuses %j", (options, message) => {
  expect(() => memoryMonitor(options)).toThrow(message);
});

test("memoryMonitor() cuts until a process with a live cache is below soft, and then leaves the cache alone", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 50, maxLength: 200 }), (growths) => {
      let cached = 0;
      let garbage = 0;
      let collections = 0;
      const monitor = memoryMonitor({
        clock: new TestClock(),
        probe: {
          read: () => ({
            heapUsed: 400 + cached + garbage,
            heapLimit: 1_000,
            rss: 0,
            rssLimit: 1,
            gcShare: 0,
            collections,
          }),
          [Symbol.dispose]: () => {},
        },
      });
      monitor.register({
        shrink(fraction) {
          garbage += cached * fraction;
          cached *= 1 - fraction;
          return 0;
        },
      });
      for (const growth of growths) {
        cached += growth;
        const before = cached;
        const level = monitor.check();
        if (level === "normal") expect(cached).toBe(before);
        if (400 + cached + garbage > 850) {
          garbage = 0; // the collector runs when little is left
          collections++;
        }
        expect(400 + cached).toBeLessThan(1_000);
      }
    }),
    { numRuns: 100 },
  );
});
