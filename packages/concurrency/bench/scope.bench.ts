// What structure costs: tasks in a scope beside tasks in Promise.all, and a mutex beside another one.
import { benchmark } from "@tooling/bench";

const tasks = 100;
const task = async (): Promise<number> => 1;

/** Starts all tasks at once. */
async function together(start: () => Promise<number>): Promise<number> {
  const all: Promise<number>[] = [];
  for (let i = 0; i < tasks; i++) all.push(start());
  return (await Promise.all(all)).length;
}

async function ourMutex() {
  const { Mutex } = await import("@proj/concurrency");
  return new Mutex({ reentry: "ignore" }); // the default if NODE_ENV is "production"
}

async function asyncMutex() {
  const { Mutex } = await import("async-mutex");
  return new Mutex();
}

export const benchmarks = [
  benchmark("Spawn and join 100 tasks", {
    ours: "@proj/concurrency",
    operationsPerCall: tasks,
    goal: { "Promise.all": 1.3, effect: 0.033, effection: 0.001 },
    cases: {
      "@proj/concurrency": async () => {
        const { scope } = await import("@proj/concurrency");
        return () =>
          scope((s) => {
            for (let i = 0; i < tasks; i++) void s.spawn(task);
            return tasks;
          });
      },
      "Promise.all": () => () => together(task),
      effect: async () => {
        const { Effect } = await import("effect");
        const all = Effect.all(
          Array.from({ length: tasks }, () => Effect.promise(task)),
          { concurrency: "unbounded" },
        );
        return async () => (await Effect.runPromise(all)).length;
      },
      effection: async () => {
        const { all, call, run, spawn } = await import("effection");
        return () =>
          run(function* () {
            const running = [];
            for (let i = 0; i < tasks; i++) running.push(yield* spawn(() => call(task)));
            return (yield* all(running)).length;
          });
      },
    },
    check: (count) => count,
  }),
  benchmark("Mutex.run, free", {
    ours: "@proj/concurrency",
    goal: { "async-mutex": 0.1 },
    cases: {
      "@proj/concurrency": async () => {
        const mutex = await ourMutex();
        return () => mutex.run(task);
      },
      "async-mutex": async () => {
        const mutex = await asyncMutex();
        return () => mutex.runExclusive(task);
      },
    },
    check: (value) => value,
  }),
  benchmark("Mutex.run, 100 in line", {
    ours: "@proj/concurrency",
    operationsPerCall: tasks,
    goal: { "async-mutex": 0.2 },
    cases: {
      "@proj/concurrency": async () => {
        const mutex = await ourMutex();
        return () => together(() => mutex.run(task));
      },
      "async-mutex": async () => {
        const mutex = await asyncMutex();
        return () => together(() => mutex.runExclusive(task));
      },
    },
    check: (count) => count,
  }),
];
