// Running work a few at a time: with nobody in line, with a line, and with a very long one.
import { benchmark } from "@tooling/bench";

type Runner = () => Promise<unknown>;

const task = async (): Promise<number> => 1;

/** By package: makes a function that runs the task under a limit. */
const packages = {
  "@proj/concurrency": async (permits: number): Promise<Runner> => {
    const { Semaphore } = await import("@proj/concurrency");
    const semaphore = new Semaphore(permits, { reentry: "ignore" }); // the default if NODE_ENV is "production"
    return () => semaphore.run(task);
  },
  "p-limit": async (permits: number): Promise<Runner> => {
    const { default: pLimit } = await import("p-limit");
    const limit = pLimit(permits);
    return () => limit(task);
  },
  "async-sema": async (permits: number): Promise<Runner> => {
    const { Sema } = await import("async-sema");
    const sema = new Sema(permits);
    return async () => {
      await sema.acquire();
      try {
        return await task();
      } finally {
        sema.release();
      }
    };
  },
  "async-mutex": async (permits: number): Promise<Runner> => {
    const { Semaphore } = await import("async-mutex");
    const semaphore = new Semaphore(permits);
    return () => semaphore.runExclusive(task);
  },
  "p-queue": async (permits: number): Promise<Runner> => {
    const { default: PQueue } = await import("p-queue");
    const queue = new PQueue({ concurrency: permits });
    return () => queue.add(task);
  },
  // The best road for a caller who is no effect: one fiber per task.
  effect: async (permits: number): Promise<Runner> => {
    const { Effect, Semaphore } = await import("effect");
    const limited = Semaphore.withPermits(Semaphore.makeUnsafe(permits), 1)(Effect.promise(task));
    return () => Effect.runPromise(limited);
  },
};

function cases(permits: number, count: number, names = Object.keys(packages) as (keyof typeof packages)[]) {
  return Object.fromEntries(
    names.map((name) => [
      name,
      async () => {
        const run = await packages[name](permits);
        if (count === 1) return run;
        return async () => (await Promise.all(Array.from({ length: count }, run))).length;
      },
    ]),
  );
}

export const benchmarks = [
  benchmark("One task, nobody in line", {
    ours: "@proj/concurrency",
    goal: { "p-limit": 0.1, "async-sema": 0.77, "async-mutex": 0.05, "p-queue": 0.02 },
    cases: cases(10, 1),
    check: (result) => result,
  }),
  benchmark("2,000 tasks, 10 at a time", {
    ours: "@proj/concurrency",
    operationsPerCall: 2_000,
    goal: { "p-limit": 0.25, "async-sema": 0.77, "async-mutex": 0.067, "p-queue": 0.033 },
    cases: cases(10, 2_000),
    check: (result) => result,
  }),
  benchmark("20,000 tasks, one at a time", {
    ours: "@proj/concurrency",
    operationsPerCall: 20_000,
    goal: { "async-mutex": 0.04 },
    cases: cases(1, 20_000, ["@proj/concurrency", "p-limit", "async-sema", "async-mutex"]),
    check: (result) => result,
  }),
];
