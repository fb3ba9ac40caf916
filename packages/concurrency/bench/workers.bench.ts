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

const perCaller = 16;

/** So many callers at a time, each of whom waits for its result before the next call. */
function callers(call: (caller: number) => Promise<unknown>): () => Promise<unknown> {
  const one = async (caller: number) => {
    let last: unknown;
    for (let i = 0; i < perCaller; i++) last = await call(caller);
    return last;
  };
  return () => Promise.all(Array.from({ length: inFlight }, (_, caller) => one(caller)));
}

const orders = Array.from({ length: inFlight }, (_, id) => ({ id, name: "order" }));

export const benchmarks = [
  benchmark("64 callers, numbers", {
    ours,
    operationsPerCall: inFlight * perCaller,
    goal: { piscina: 1 / 50 },
    cases: {
      [ours]: async () => {
        const pool = await openWorkers();
        return callers((id) => pool.run.increment(id));
      },
      piscina: async () => {
        const pool = await openPiscina({ concurrentTasksPerWorker: inFlight });
        return callers((id) => pool.run(id, { name: "increment" }));
      },
    },
    check: (result) => result,
  }),

  benchmark("64 callers, strings", {
    ours,
    operationsPerCall: inFlight * perCaller,
    goal: { piscina: 1 / 15 },
    cases: {
      [ours]: async () => {
        const pool = await openWorkers();
        return callers((id) => pool.run.echo(`order ${id}`));
      },
      piscina: async () => {
        const pool = await openPiscina({ concurrentTasksPerWorker: inFlight });
        return callers((id) => pool.run(`order ${id}`, { name: "echo" }));
      },
    },
    check: (result) => result,
  }),

  benchmark("64 callers, objects", {
    ours,
    operationsPerCall: inFlight * perCaller,
    goal: { piscina: 1 / 15 },
    cases: {
      [ours]: async () => {
        const pool = await openWorkers();
        return callers((id) => pool.run.echo(orders[id]));
      },
      piscina: async () => {
        const pool = await openPiscina({ concurrentTasksPerWorker: inFlight });
        return callers((id) => pool.run(orders[id], { name: "echo" }));
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
