// Every wait for a time under the fake timers of test runners. In brackets: where it was reported that they did not reach.
import { mock } from "node:test";
import {
  after,
  Barrier,
  background,
  batcher,
  Condition,
  Context,
  Event,
  fixedWindow,
  Latch,
  leakyBucket,
  Mutex,
  pipe,
  pool,
  RwLock,
  Semaphore,
  Supervisor,
  scope,
  select,
  slidingWindow,
  tokenBucket,
} from "@proj/concurrency";
import { PQueue } from "@proj/concurrency/compat";
import FakeTimers from "@sinonjs/fake-timers";
import { afterEach, expect, test, vi } from "vitest";

interface Fake {
  advance(ms: number): unknown;
  restore(): void;
}

const toFake = ["setTimeout", "clearTimeout", "performance", "Date"] as const;

/** Taken at import: it is not faked. */
const { setImmediate } = globalThis;

const fakes: Readonly<Record<string, () => Fake>> = {
  "vitest's fake timers": () => {
    vi.useFakeTimers({ toFake: [...toFake] });
    return { advance: (ms) => vi.advanceTimersByTimeAsync(ms), restore: () => void vi.useRealTimers() };
  },
  "@sinonjs/fake-timers": () => {
    const clock = FakeTimers.install({ toFake: [...toFake] });
    return { advance: (ms) => clock.tickAsync(ms), restore: () => clock.uninstall() };
  },
  "the mock timers of node:test": () => {
    mock.timers.enable({ apis: ["setTimeout", "Date"] }); // they leave performance.now() alone
    const advance = async (ms: number): Promise<void> => {
      for (let left = ms; left > 0; left -= 500) {
        mock.timers.tick(Math.min(500, left));
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    return { advance, restore: () => mock.timers.reset() };
  },
};

const minute = 60_000;
const timeout = minute;
const never = (): Promise<never> => new Promise(() => {});

/** Each waits for a minute in its own way, and then settles. */
const waits: Readonly<Record<string, () => Promise<unknown>>> = {
  "Context.after": () => new Promise((resolve) => Context.after(Context.derive({ timeout }), resolve)),
  "Context.signal": () =>
    new Promise((resolve) => Context.derive({ timeout }).signal.addEventListener("abort", resolve)),
  "Semaphore.acquire": () => new Semaphore(0).acquire({ timeout }),
  "Mutex.run": async () => {
    const mutex = new Mutex();
    const held = await mutex.acquire();
    await mutex.run(() => {}, { timeout }).finally(() => held.release());
  },
  "RwLock.acquireRead": async () => {
    const lock = new RwLock();
    const held = await lock.acquireWrite();
    await lock.acquireRead({ timeout }).finally(() => held.release());
  },
  "Condition.wait": () => {
    const mutex = new Mutex();
    return mutex.run(() => new Condition(mutex).wait({ timeout }));
  },
  "Event.wait": () => new Event().wait({ timeout }),
  "Latch.wait": () => new Latch(1).wait({ timeout }),
  "Barrier.wait": () => new Barrier(2).wait({ timeout }),
  scope: () => scope((tasks) => tasks.spawn(() => new Event().wait()), { timeout }),
  select: () => select({ late: after(minute) }),
  "pipe.batch": () => {
    const stuck = async function* (): AsyncGenerator<number> {
      yield 1;
      await never();
    };
    return pipe(stuck()).batch({ max: 2, wait: minute }).take(1).toArray();
  },
  batcher: () => batcher((keys: readonly number[]) => keys, { maxWait: minute }).load(1),
  "pool.acquire": async () => {
    const things = pool({ create: () => ({}), max: 1 });
    const lease = await things.acquire();
    await things.acquire({ timeout }).finally(() => lease.release());
  },
  "pool.create": () => pool({ create: never, createTimeout: minute }).acquire({ timeout: 2 * minute }),
  Supervisor: () => new Supervisor({ stuck: { start: never } }, { startTimeout: minute, stopTimeout: 1 }).start(),
  background: async () => {
    const service = background(never);
    const supervisor = new Supervisor({ service }, { stopTimeout: minute });
    await supervisor.start();
    await supervisor.stop();
  },
  "PQueue.add": () => new PQueue({ timeout: minute }).add(never),
};

/** By a clock that all of these fakes but node:test's reach: how far it has gone on is what they count by. */
const measured: typeof waits = {
  tokenBucket: async () => {
    const limiter = tokenBucket({ rate: 1, per: minute });
    await limiter.take();
    await limiter.take();
  },
  leakyBucket: async () => {
    const limiter = leakyBucket({ rate: 1, per: minute });
    await limiter.take();
    await limiter.take();
  },
  slidingWindow: async () => {
    const limiter = slidingWindow({ limit: 1, window: minute, exact: true });
    await limiter.take();
    await limiter.take();
  },
  fixedWindow: async () => {
    const limiter = fixedWindow({ limit: 1, window: minute });
    await limiter.take();
    await limiter.take();
  },
};

let fake: Fake | undefined;

afterEach(() => {
  fake?.restore();
  fake = undefined;
});

for (const [name, install] of Object.entries(fakes)) {
  const reached = name === "the mock timers of node:test" ? waits : { ...waits, ...measured };
  test.each(Object.keys(reached))(`${name} reach %s`, async (wait) => {
    fake = install();
    const { advance } = fake;
    let isOver = false;
    const over = (): void => {
      isOver = true;
    };
    reached[wait]?.().then(over, over);
    await advance(minute - 1_000);
    expect(isOver).toBe(false);
    await advance(2_000);
    expect(isOver).toBe(true);
  });
}

test("[fake-timers#521] the signal of a deadline aborts when @sinonjs/fake-timers say so, as AbortSignal.timeout() does not", () => {
  const clock = FakeTimers.install({ toFake: [...toFake] });
  fake = { advance: () => {}, restore: () => clock.uninstall() };
  const { signal } = Context.derive({ timeout: 10_000 });
  signal.addEventListener("abort", () => {}); // somebody waits
  clock.tick(9_999);
  expect(signal.aborted).toBe(false);
  clock.tick(1);
  expect([signal.aborted, signal.reason.name]).toEqual([true, "TimeoutError"]);
});

test("[fake-timers#418] a pause ends when @sinonjs/fake-timers say so, as that of timers/promises did not", async () => {
  fake = fakes["@sinonjs/fake-timers"]?.();
  const pause = select({ over: after(10_000) });
  await fake?.advance(10_000);
  expect((await pause).key).toBe("over");
});

test("[vitest#3088] the signal of a deadline aborts when vitest says so", () => {
  vi.useFakeTimers({ toFake: [...toFake] });
  fake = { advance: () => {}, restore: () => void vi.useRealTimers() };
  const { signal } = Context.derive({ timeout: 100 });
  signal.addEventListener("abort", () => {});
  expect(signal.aborted).toBe(false);
  vi.advanceTimersByTime(200); // at once: nothing has to be awaited
  expect([signal.aborted, signal.reason.name]).toEqual([true, "TimeoutError"]);
});

test("[nodejs/node#60509] the signal of a deadline aborts when node:test says so", () => {
  fake = fakes["the mock timers of node:test"]?.();
  const { signal } = Context.derive({ timeout: 10_000 });
  signal.addEventListener("abort", () => {});
  mock.timers.tick(10_000);
  expect([signal.aborted, signal.reason.name]).toEqual([true, "TimeoutError"]);
});

test("[p-timeout#16] timers that were faked after the import are used, and the real ones again after that", async () => {
  fake = fakes["vitest's fake timers"]?.();
  const faked = new Event().wait({ timeout: minute }).catch((error: Error) => error.name);
  await fake?.advance(minute);
  expect(await faked).toBe("TimeoutError");
  fake?.restore();
  const real = new Event().wait({ timeout: 1 }).catch((error: Error) => error.name);
  const alive = setInterval(() => {}, 1_000); // a deadline does not keep the process alive
  expect(await real).toBe("TimeoutError");
  clearInterval(alive);
});
