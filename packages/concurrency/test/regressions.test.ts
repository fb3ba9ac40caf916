// What has hurt users of other packages, and must not hurt ours. In brackets: where it was reported.
import { AsyncLocalStorage } from "node:async_hooks";
import { getEventListeners } from "node:events";
import {
  Context,
  ContextKey,
  Event,
  fixedWindow,
  Keyed,
  leakyBucket,
  limit,
  Mutex,
  pool,
  RateLimitedError,
  RwLock,
  Semaphore,
  scope,
  slidingWindow,
  type Task,
  tokenBucket,
} from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";

test("[cockatiel] [p-queue#200, p-limit#83] whatever queues work, it runs in the AsyncLocalStorage and the context of its caller", async () => {
  const storage = new AsyncLocalStorage<number>();
  const callerKey = new ContextKey<number>("caller");
  const semaphore = new Semaphore(1);
  const one = limit(1);
  const lock = new RwLock();
  const keyed = new Keyed(() => new Mutex());
  const things = pool({ create: async () => ({}), max: 1 });
  const ways: Record<string, (task: Task<unknown>) => Promise<unknown>> = {
    semaphore: (task) => semaphore.run(task),
    limit: (task) => one(() => task(Context.current())),
    lock: (task) => lock.write(task),
    keyed: (task) => keyed.for("key").run(task),
    pool: async (task) => {
      using _lease = await things.acquire();
      return await task(Context.current());
    },
  };
  for (const [way, run] of Object.entries(ways)) {
    const seen = await Promise.all(
      Array.from({ length: 10 }, (_, caller) =>
        storage.run(caller, () => {
          return Context.run(Context.derive({ values: [callerKey.of(caller)] }), () =>
            run(async () => {
              const before = storage.getStore();
              await new Promise((resolve) => setImmediate(resolve));
              return [before, storage.getStore(), Context.current().get(callerKey)].every((who) => who === caller);
            }),
          );
        }),
      ),
    );
    expect({ way, wrong: seen.filter((isRight) => isRight !== true).length }).toEqual({ way, wrong: 0 });
  }
});

test("[rate-limiter-flexible] a limit of ten per second does not let twenty pass within a tenth of a second", async () => {
  const clock = new TestClock();
  const limiters = {
    exact: slidingWindow({ limit: 10, window: 1_000, exact: true, clock }),
    bucket: tokenBucket({ rate: 10, burst: 1, clock }),
    even: leakyBucket({ rate: 10, clock }),
  };
  const admitted: Record<string, number[]> = { exact: [], bucket: [], even: [] };
  for (let now = 0; now < 3_000; now += 5) {
    for (const [name, limiter] of Object.entries(limiters)) {
      while (limiter.tryTake() === 0) admitted[name]?.push(now);
    }
    await clock.advance(5);
  }
  for (const times of Object.values(admitted)) {
    const most = Math.max(...times.map((start) => times.filter((t) => t >= start && t < start + 1_000).length));
    expect(most).toBeLessThanOrEqual(11); // rate * T + burst
    expect(times.length).toBeGreaterThanOrEqual(30);
  }
});

test("[node-rate-limiter-flexible#42] a refusal is an Error, with a code, the time to wait and the stack of the caller", async () => {
  const limiter = fixedWindow({ limit: 1, window: 60_000 });
  limiter.tryTake();
  async function theCaller(): Promise<void> {
    await limiter.take(undefined, 1, { timeout: 10 });
  }
  const error = await theCaller().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RateLimitedError);
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ code: "ERR_RATE_LIMITED", stack: expect.stringContaining("theCaller") });
});

test("[tc39/proposal-async-context#103] whoever waits deep below hears of the end without having been passed a signal", async () => {
  const never = new Event();
  const deep = async (depth: number): Promise<void> => (depth === 0 ? await never.wait() : await deep(depth - 1));
  const context = Context.derive();
  const waiting = Context.run(context, () => deep(20));
  context.cancel("the client has gone");
  await expect(waiting).rejects.toBe("the client has gone");
});

test("[cockatiel#112] a caller that is aborted in the line neither takes a place nor holds up those behind it", async () => {
  const semaphore = new Semaphore(1);
  const mutex = new Mutex();
  const one = limit(1);
  const things = pool({ create: () => ({}), max: 1 });
  const queues: Record<string, (task: () => Promise<unknown>) => Promise<unknown>> = {
    semaphore: (task) => semaphore.run(task),
    mutex: (task) => mutex.run(task),
    limit: (task) => one(task),
    pool: async (task) => {
      using _lease = await things.acquire();
      return await task();
    },
  };
  for (const [name, run] of Object.entries(queues)) {
    const gate = Promise.withResolvers<void>();
    const running = run(() => gate.promise);
    const context = Context.derive();
    const aborted = Context.run(context, () => run(async () => "must not run"));
    const behind = run(async () => "has run");
    context.cancel("left");
    gate.resolve();
    await expect(aborted, name).rejects.toBe("left");
    expect(await behind, name).toBe("has run");
    await running;
  }
});

test("[getkyo/kyo#1826] a permit that is given back in the turn in which its next holder is cancelled goes to the one behind", async () => {
  for (const cancelFirst of [true, false]) {
    const semaphore = new Semaphore(1);
    const held = await semaphore.acquire();
    const context = Context.derive();
    const cancelled = semaphore.run(() => "ran", { signal: context }).catch((cause: unknown) => cause);
    const behind = semaphore.run(() => "behind");
    if (cancelFirst) context.cancel("interrupted");
    held.release();
    if (!cancelFirst) context.cancel("interrupted");
    expect(await cancelled).toBe("interrupted");
    expect(await behind).toBe("behind");
    expect(semaphore.free).toBe(1);
  }
});

test("[effection#750] tasks are plain async functions, with all that the language has", async () => {
  async function* numbers(): AsyncGenerator<number> {
    for (let number = 1; number <= 3; number++) yield number;
  }
  const log: string[] = [];
  const sum = await scope(async (tasks) => {
    const doubled = tasks.spawn(async () => {
      let total = 0;
      for await (const number of numbers()) total += number * 2;
      return total;
    });
    const cleaned = tasks.spawn(async ({ signal }) => {
      try {
        await new Promise((resolve) => setImmediate(resolve));
        return signal.aborted ? 0 : 30;
      } finally {
        log.push("finally");
      }
    });
    return (await Promise.all([doubled, cleaned])).reduce((a, b) => a + b);
  });
  expect([sum, log]).toEqual([42, ["finally"]]);
});

test("[effection#654] a scope costs a task no more than a few microtasks, and ten thousand leave nothing behind", async () => {
  const microtasks = async (work: () => Promise<unknown>): Promise<number> => {
    let [count, isDone] = [0, false];
    const done = work().then(() => {
      isDone = true;
    });
    for (; !isDone; count++) await Promise.resolve();
    await done;
    return count;
  };
  const task = async (): Promise<number> => 1;
  const bare = await microtasks(() => Promise.all([task(), task()]));
  const scoped = await microtasks(() => scope((tasks) => Promise.all([tasks.spawn(task), tasks.spawn(task)])));
  expect(scoped - bare).toBeLessThanOrEqual(10);

  const { signal } = new AbortController();
  const all = await scope(
    (tasks) => Promise.all(Array.from({ length: 10_000 }, (_, i) => tasks.spawn(async () => i))),
    { signal, limit: 100 },
  );
  expect([all.length, all.at(-1), getEventListeners(signal, "abort").length]).toEqual([10_000, 9_999, 0]);
});
