// What it costs to borrow a resource: when one is idle, and when a thousand callers wait for ten.
import { benchmark } from "@tooling/bench";

const callers = 1_000;
const turns = 100;
let id = 0;
const create = async () => ({ id: ++id });
const destroy = async () => {};

export const benchmarks = [
  // A hundred in a row: the caller's own async function is not what is to be measured.
  benchmark("Acquire and release, idle", {
    ours: "pool",
    operationsPerCall: turns,
    goal: { "generic-pool": 0.033, tarn: 0.017 },
    cases: {
      pool: async () => {
        const { pool } = await import("@proj/concurrency");
        const resources = pool({ create, destroy, max: 10 });
        return async () => {
          let sum = 0;
          for (let turn = 0; turn < turns; turn++) {
            const lease = await resources.acquire();
            sum += lease.resource.id;
            lease.release();
          }
          return sum > 0;
        };
      },
      "pool, tryAcquire": async () => {
        const { pool } = await import("@proj/concurrency");
        const resources = pool({ create, destroy, max: 10 });
        (await resources.acquire()).release();
        return () => {
          let sum = 0;
          for (let turn = 0; turn < turns; turn++) {
            const lease = resources.tryAcquire();
            sum += lease?.resource.id ?? 0;
            lease?.release();
          }
          return sum > 0;
        };
      },
      "generic-pool": async () => {
        const { default: genericPool } = await import("generic-pool");
        const resources = genericPool.createPool<{ id: number }>({ create, destroy }, { max: 10 });
        return async () => {
          let sum = 0;
          for (let turn = 0; turn < turns; turn++) {
            const resource = await resources.acquire();
            sum += resource.id;
            await resources.release(resource);
          }
          return sum > 0;
        };
      },
      tarn: async () => {
        const { Pool } = await import("tarn");
        const resources = new Pool<{ id: number }>({ create, destroy, min: 0, max: 10 });
        return async () => {
          let sum = 0;
          for (let turn = 0; turn < turns; turn++) {
            const resource = await resources.acquire().promise;
            sum += resource.id;
            resources.release(resource);
          }
          return sum > 0;
        };
      },
    },
    check: (isThere) => isThere,
  }),
  benchmark("Acquire and release, 1,000 callers for 10 resources", {
    ours: "pool",
    goal: { "generic-pool": 0.59, tarn: 0.22 },
    operationsPerCall: callers,
    cases: {
      pool: async () => {
        const { pool } = await import("@proj/concurrency");
        const resources = pool({ create, destroy, max: 10 });
        return async () => {
          let served = 0;
          const use = async () => {
            const lease = await resources.acquire();
            await Promise.resolve();
            served++;
            lease.release();
          };
          await Promise.all(Array.from({ length: callers }, use));
          return served;
        };
      },
      "generic-pool": async () => {
        const { default: genericPool } = await import("generic-pool");
        const resources = genericPool.createPool<{ id: number }>({ create, destroy }, { max: 10 });
        return async () => {
          let served = 0;
          const use = async () => {
            const resource = await resources.acquire();
            await Promise.resolve();
            served++;
            await resources.release(resource);
          };
          await Promise.all(Array.from({ length: callers }, use));
          return served;
        };
      },
      tarn: async () => {
        const { Pool } = await import("tarn");
        const resources = new Pool<{ id: number }>({ create, destroy, min: 0, max: 10 });
        return async () => {
          let served = 0;
          const use = async () => {
            const resource = await resources.acquire().promise;
            await Promise.resolve();
            served++;
            resources.release(resource);
          };
          await Promise.all(Array.from({ length: callers }, use));
          return served;
        };
      },
    },
    check: (served) => served,
  }),
];
