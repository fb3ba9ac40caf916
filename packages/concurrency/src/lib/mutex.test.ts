import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { Context, Mutex, ReentryError, TimeoutError } from "../index.ts";
import { cancelSweep, TestClock } from "../testing.ts";

test("Mutex lets one in at a time, in order of arrival", async () => {
  const mutex = new Mutex();
  const log: string[] = [];
  await Promise.all(
    ["a", "b", "c"].map((name) =>
      mutex.run(async () => {
        log.push(`${name} in`);
        await Promise.resolve();
        log.push(`${name} out`);
      }),
    ),
  );
  expect(log).toEqual(["a in", "a out", "b in", "b out", "c in", "c out"]);
  expect([mutex.locked, mutex.waiting]).toEqual([false, 0]);
});

test("Mutex.tryAcquire() takes it if it is free, and a second release frees nobody else's", async () => {
  const mutex = new Mutex();
  const first = mutex.tryAcquire();
  expect(mutex.tryAcquire()).toBe(undefined);
  first?.release();
  const second = mutex.tryAcquire();
  first?.release();
  first?.[Symbol.dispose]();
  expect(mutex.locked).toBe(true);
  second?.release();
  expect(mutex.locked).toBe(false);
});

test("a caller that waits for a mutex leaves in the turn in which its signal, context or timeout ends", async () => {
  const clock = new TestClock();
  const mutex = new Mutex({ name: "account", clock });
  using _guard = await mutex.acquire();
  const caller = new AbortController();
  const context = Context.derive();
  const waits = [
    mutex.acquire({ signal: caller.signal }),
    mutex.run(() => "never", { signal: context }),
    mutex.acquire({ timeout: 50 }),
  ].map((wait) => wait.then(String, (error: unknown) => error));
  expect(mutex.waiting).toBe(3);
  caller.abort("left");
  context.cancel("ended");
  expect(mutex.waiting).toBe(1);
  await clock.advance(50);
  expect(await Promise.all(waits)).toEqual(["left", "ended", expect.any(TimeoutError)]);
  expect([getEventListeners(caller.signal, "abort").length, clock.timers]).toEqual([0, 0]);
});

test("[p-limit#91] a task that waits for the mutex it holds is told so by name", async () => {
  const mutex = new Mutex({ name: "account", reentry: "throw" });
  const error = await mutex.run(() => mutex.run(() => "never")).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(ReentryError);
  expect(error).toMatchObject({ semaphore: "account", message: expect.stringContaining("account") });
  expect(mutex.locked).toBe(false);
});

test("[effect#6910] [async-mutex#54] a mutex cancelled at any step is neither lost nor held", async () => {
  await cancelSweep(async (signal) => {
    const mutex = new Mutex();
    let inside = 0;
    const task = async (): Promise<void> => {
      expect(++inside).toBe(1);
      await Promise.resolve();
      inside--;
    };
    const all = [mutex.run(task), mutex.run(task, { signal }), mutex.acquire({ signal }), mutex.run(task)];
    const [, , acquired] = all;
    void acquired?.then(
      (permit) => permit?.release(),
      () => {},
    );
    await Promise.allSettled(all);
    expect([mutex.locked, mutex.waiting, inside]).toEqual([false, 0, 0]);
  });
});

test("an error thrown under a mutex shows the leaf and the caller of run()", async () => {
  const mutex = new Mutex();
  const held = await mutex.acquire();
  async function leaf(): Promise<never> {
    await Promise.resolve();
    throw new Error("deep");
  }
  async function callerOfRun(): Promise<void> {
    await mutex.run(leaf);
  }
  const failing = callerOfRun().catch((error: Error) => error.stack);
  held.release();
  expect(await failing).toMatch(/leaf[\s\S]*callerOfRun/);
});
