import { expect, test } from "vitest";
import { ObjectPool } from "./object-pool.ts";

const grids = (options: { max?: number; checks?: boolean } = {}) =>
  new ObjectPool({ create: () => ({ cells: [0] }), reset: (grid) => grid.cells.fill(0), ...options });

test("ObjectPool lends the object again that came back last, as reset left it", () => {
  const pool = grids();
  const first = pool.acquire();
  first.cells[0] = 1;
  pool.release(first);
  expect(pool.acquire()).toBe(first);
  expect(first.cells).toEqual([0]);
  expect(pool.stats()).toEqual({ held: 1, idle: 0, reused: 1, made: 1, dropped: 0 });
});

test("ObjectPool keeps no more than max", () => {
  const pool = grids({ max: 1 });
  const [a, b] = [pool.acquire(), pool.acquire()];
  pool.release(a);
  pool.release(b);
  expect(pool.stats()).toMatchObject({ idle: 1, dropped: 1 });
  pool.clear();
  expect(pool.stats().idle).toBe(0);
});

test("ObjectPool refuses what it has not lent, and what is released twice, with checks", () => {
  const pool = grids({ checks: true });
  const object = pool.acquire();
  pool.release(object);
  expect(() => pool.release(object)).toThrow(/has not lent/);
  expect(() => pool.release({ cells: [] })).toThrow(/has not lent/);
});

test("ObjectPool.run() takes the object back when the task is done, also when it fails", async () => {
  const pool = grids();
  expect(pool.run(({ cells }) => cells.length)).toBe(1);
  expect(() =>
    pool.run(() => {
      throw new Error("task");
    }),
  ).toThrow("task");
  const work = Promise.withResolvers<string>();
  const running = pool.run(() => work.promise);
  expect(pool.stats().held).toBe(1);
  work.resolve("done");
  expect(await running).toBe("done");
  await expect(pool.run(async () => Promise.reject(new Error("later")))).rejects.toThrow("later");
  expect(pool.stats()).toMatchObject({ held: 0, idle: 1, made: 1 });
});

test("ObjectPool does not keep an object that could not be reset", () => {
  const pool = new ObjectPool({
    create: () => ({}),
    reset: () => {
      throw new Error("broken");
    },
  });
  expect(() => pool.release(pool.acquire())).toThrow("broken");
  expect(pool.stats()).toMatchObject({ held: 0, idle: 0, dropped: 1 });
});

test("ObjectPool refuses options that are none", () => {
  // @ts-expect-error create is no function
  expect(() => new ObjectPool({ create: 1 })).toThrow(/create must be a function, got 1/);
  expect(() => new ObjectPool({ create: () => ({}), max: -1 })).toThrow(/max must be an integer/);
});

/** Of another library of promises. */
class Later<T> implements PromiseLike<T> {
  readonly #promise: Promise<T>;

  constructor(promise: Promise<T>) {
    this.#promise = promise;
  }

  // biome-ignore lint/suspicious/noThenProperty: it is to be awaited
  get then(): PromiseLike<T>["then"] {
    return this.#promise.then.bind(this.#promise);
  }
}

test("ObjectPool.run() awaits any thenable, and throws what the task has thrown even if reset fails", async () => {
  const pool = grids();
  const settled = Promise.withResolvers<number>();
  const running = pool.run(() => new Later(settled.promise));
  expect(pool.stats().held).toBe(1);
  settled.resolve(5);
  expect(await running).toBe(5);
  expect(pool.stats().held).toBe(0);

  const broken = new ObjectPool({
    create: () => ({}),
    reset: () => {
      throw new Error("reset");
    },
  });
  expect(() =>
    broken.run(() => {
      throw new Error("task");
    }),
  ).toThrow("task");
  await expect(broken.run(() => Promise.reject(new Error("later")))).rejects.toThrow("later");
  await expect(broken.run(() => Promise.resolve(1))).rejects.toThrow("reset");
  expect(broken.stats()).toMatchObject({ held: 0, idle: 0, dropped: 3 });
});

test("ObjectPool.shrink() leaves a share of what is idle to the collector", () => {
  const pool = grids();
  for (const grid of [pool.acquire(), pool.acquire(), pool.acquire()]) pool.release(grid);
  expect(pool.shrink(0)).toBe(0);
  expect(pool.shrink(0.5)).toBe(2);
  expect(pool.stats().idle).toBe(1);
  expect(() => pool.shrink(2)).toThrow(/fraction must be a number from 0 to 1, got 2/);
});
