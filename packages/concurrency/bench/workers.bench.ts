// Work in one thread beside piscina, in the mode of it that fits each case best.
import { benchmark } from "@tooling/bench";

const ours = "@proj/concurrency";
const tasks = new URL("./workers-tasks.ts", import.meta.url);
const inFlight = 64;

async function openWorkers() {
  const { workers } = await import("@proj/concurrency/workers");
  return workers<typeof import("./workers-tasks.ts")>(tasks, { threads: 1 });
}

async function openPiscina(options: { readonly concurrentTasksPerWorker?: number } = {}) {
  const { Piscina } = await import("piscina");
  return new Piscina({ filename: tasks.href, minThreads: 1, maxThreads: 1, ...options });
}

/** As many calls as are in flight, each with an argument of its own. */
function rounds<T>(argument: (index: number) => T): readonly T[] {
  return Array.from({ length: inFlight }, (_, index) => argument(index));
}

const numbers = rounds((index) => index);
const objects = rounds((index) => ({ id: index, name: "order", lines: [{ sku: "a", count: 2 }] }));

export const benchmarks = [
  benchmark("64 calls in flight, numbers", {
    ours,
    operationsPerCall: inFlight,
    goal: { piscina: 1 / 50 },
    cases: {
      [ours]: async () => {
        const pool = await openWorkers();
        return () => Promise.all(numbers.map((n) => pool.run.increment(n)));
      },
      piscina: async () => {
        const pool = await openPiscina({ concurrentTasksPerWorker: inFlight });
        return () => Promise.all(numbers.map((n) => pool.run(n, { name: "increment" })));
      },
    },
    check: (result) => result,
  }),

  benchmark("64 calls in flight, objects", {
    ours,
    operationsPerCall: inFlight,
    goal: { piscina: 1 / 15 },
    cases: {
      [ours]: async () => {
        const pool = await openWorkers();
        return () => Promise.all(objects.map((object) => pool.run.echo(object)));
      },
      piscina: async () => {
        const pool = await openPiscina({ concurrentTasksPerWorker: inFlight });
        return () => Promise.all(objects.map((object) => pool.run(object, { name: "echo" })));
      },
    },
    check: (result) => result,
  }),

  benchmark("one call after the other", {
    ours,
    goal: { piscina: 1 / 1.3 },
    cases: {
      [ours]: async () => {
        const pool = await openWorkers();
        return () => pool.run.increment(1);
      },
      piscina: async () => {
        const pool = await openPiscina();
        return () => pool.run(1, { name: "increment" });
      },
    },
    check: (result) => result,
  }),

  benchmark("the next call after an abort", {
    ours,
    goal: { piscina: 1 / 50 },
    cases: {
      [ours]: async () => {
        const pool = await openWorkers();
        return afterAbort(
          (begun, signal) => pool.call("spin", [begun], { signal }),
          () => pool.run.increment(1),
        );
      },
      piscina: async () => {
        const pool = await openPiscina();
        return afterAbort(
          (begun, signal) => pool.run(begun, { name: "spin", signal }),
          () => pool.run(1, { name: "increment" }),
        );
      },
    },
    check: (result) => result,
  }),
];

/** Aborts a call that keeps its thread busy, once it has begun, and makes another one. */
function afterAbort(
  spin: (begun: Int32Array, signal: AbortSignal) => Promise<unknown>,
  next: () => Promise<unknown>,
): () => Promise<unknown> {
  return async () => {
    const caller = new AbortController();
    const begun = new Int32Array(new SharedArrayBuffer(4));
    const spinning = spin(begun, caller.signal).catch(() => {});
    await Atomics.waitAsync(begun, 0, 0).value;
    caller.abort();
    await spinning;
    return next();
  };
}
