import { AsyncLocalStorage } from "node:async_hooks";
import { getEventListeners } from "node:events";
import { expect, test, vi } from "vitest";
import { Context, Semaphore } from "../index.ts";
import { cancelSweep, TestClock } from "../testing.ts";

/** Tasks that say when they run and end when told to. */
function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { open: resolve, task: () => promise };
}

test("Semaphore.run() gives its permit back whether the task succeeds, fails or throws", async () => {
  const semaphore = new Semaphore(1);
  expect(await semaphore.run(() => "sync")).toBe("sync");
  expect(await semaphore.run(async () => "async")).toBe("async");
  const failure = new Error("own");
  await expect(semaphore.run(() => Promise.reject(failure))).rejects.toBe(failure);
  await expect(
    semaphore.run(() => {
      throw failure;
    }),
  ).rejects.toBe(failure);
  expect(semaphore.free).toBe(1);
});

test("Semaphore.run() starts at once when a permit is free", () => {
  const semaphore = new Semaphore(1);
  let started = false;
  void semaphore.run(() => {
    started = true;
  });
  expect(started).toBe(true);
});

test("Semaphore serves in order of arrival", async () => {
  const semaphore = new Semaphore(1);
  const order: number[] = [];
  await Promise.all(Array.from({ length: 10 }, (_, index) => semaphore.run(async () => void order.push(index))));
  expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("Semaphore serves a higher priority first, equal ones in order of arrival", async () => {
  const semaphore = new Semaphore(1);
  const held = await semaphore.acquire();
  const order: string[] = [];
  const all = [0, 5, 0, -1, 5, 7].map((priority, index) =>
    semaphore.run(() => void order.push(`${priority}#${index}`), { priority }),
  );
  held.release();
  await Promise.all(all);
  expect(order).toEqual(["7#5", "5#1", "5#4", "0#0", "0#2", "-1#3"]);
});

test("nobody overtakes a heavy caller at the head of the line", async () => {
  const semaphore = new Semaphore(3);
  const held = await semaphore.acquire();
  const order: string[] = [];
  const heavy = semaphore.run(() => void order.push("heavy"), { weight: 3 });
  const light = semaphore.run(() => void order.push("light"));
  expect(semaphore.tryAcquire()).toBe(undefined); // two are free, but not for those behind
  expect([semaphore.free, semaphore.waiting]).toEqual([2, 2]);
  held.release();
  await Promise.all([heavy, light]);
  expect(order).toEqual(["heavy", "light"]);
});

test("Semaphore.tryAcquire() takes what is free and never waits", () => {
  const semaphore = new Semaphore(3);
  const permit = semaphore.tryAcquire({ weight: 2 });
  expect(permit?.weight).toBe(2);
  expect(semaphore.tryAcquire({ weight: 2 })).toBe(undefined);
  permit?.release();
  expect(semaphore.free).toBe(3);
});

test("a permit that is given back twice frees nobody else's", async () => {
  const semaphore = new Semaphore(1);
  const first = await semaphore.acquire();
  first.release();
  const second = await semaphore.acquire();
  first.release();
  first[Symbol.dispose]();
  expect(semaphore.free).toBe(0);
  second.release();
  expect(semaphore.free).toBe(1);
});

test("Semaphore.acquire() forgets a waiter whose signal aborts, in the same turn and with its reason", async () => {
  const semaphore = new Semaphore(1);
  using _held = await semaphore.acquire();
  const caller = new AbortController();
  const waiting = semaphore.acquire({ signal: caller.signal });
  expect(getEventListeners(caller.signal, "abort")).toHaveLength(1);

  const reason = new Error("caller left");
  caller.abort(reason);

  expect(semaphore.waiting).toBe(0);
  await expect(waiting).rejects.toBe(reason);
});

test("a waiter that is served leaves no listener and no timer behind", async () => {
  const clock = new TestClock();
  const semaphore = new Semaphore(1, { clock });
  const held = await semaphore.acquire();
  const { signal } = new AbortController();
  const waiting = semaphore.acquire({ signal, timeout: 1_000 });
  expect([getEventListeners(signal, "abort").length, clock.timers]).toEqual([1, 1]);
  held.release();
  (await waiting).release();
  expect([getEventListeners(signal, "abort").length, clock.timers]).toEqual([0, 0]);
});

test("those behind a heavy waiter that gives up are served in the same turn", async () => {
  const semaphore = new Semaphore(2);
  using _held = await semaphore.acquire();
  const context = Context.derive();
  const heavy = semaphore.acquire({ weight: 2, signal: context });
  const light = semaphore.acquire();
  context.cancel("gone");
  expect(semaphore.free).toBe(0);
  await expect(heavy).rejects.toBe("gone");
  using _permit = await light;
});

test("a signal that has aborted already rejects before anything is taken", async () => {
  const semaphore = new Semaphore(1);
  const signal = AbortSignal.abort("before");
  await expect(semaphore.acquire({ signal })).rejects.toBe("before");
  let ran = false;
  const task = (): void => {
    ran = true;
  };
  await expect(semaphore.run(task, { signal })).rejects.toBe("before");
  expect([semaphore.free, ran]).toEqual([1, false]);
});

test("the current context gives up a wait as well", async () => {
  const semaphore = new Semaphore(1);
  using _held = await semaphore.acquire();
  const context = Context.derive();
  const [plain, signalled] = Context.run(context, () => [
    semaphore.run(() => {}),
    semaphore.acquire({ signal: new AbortController().signal }),
  ]);
  context.cancel("request over");
  await expect(plain).rejects.toBe("request over");
  await expect(signalled).rejects.toBe("request over");
  await expect(Context.run(context, () => semaphore.run(() => {}))).rejects.toBe("request over");
  expect(semaphore.waiting).toBe(0);
});

test.each(["ignore", "warn"] as const)(
  "a task that got its permit is not started when its context has ended meanwhile (reentry: %s)",
  async (reentry) => {
    const semaphore = new Semaphore(1, { reentry });
    const held = await semaphore.acquire();
    const context = Context.derive();
    let ran = false;
    const task = (): void => {
      ran = true;
    };
    const waiting = Context.run(context, () => semaphore.run(task));
    held.release(); // the permit is the task's from here on
    context.cancel("late");
    await expect(waiting).rejects.toBe("late");
    expect([semaphore.free, ran]).toEqual([1, false]);
  },
);

test("Semaphore.acquire() rejects with a TimeoutError after its timeout", async () => {
  const clock = new TestClock();
  const semaphore = new Semaphore(1, { clock, name: "database" });
  using _held = await semaphore.acquire();
  const waiting = semaphore.acquire({ timeout: 250 });
  const outcome = expect(waiting).rejects.toMatchObject({
    name: "TimeoutError",
    timeoutMs: 250,
    message: "Cannot acquire a permit of database: none was free within 250 ms",
  });
  await clock.advance(249);
  expect(semaphore.waiting).toBe(1);
  await clock.advance(1);
  await outcome;
  expect(semaphore.waiting).toBe(0);
});

test("a timeout of 0 rejects at once, without a timer", async () => {
  const clock = new TestClock();
  const semaphore = new Semaphore(1, { clock });
  using _held = await semaphore.acquire({ timeout: 0 });
  const waiting = semaphore.acquire({ timeout: 0 });
  expect([semaphore.waiting, clock.timers]).toEqual([0, 0]);
  await expect(waiting).rejects.toMatchObject({ name: "TimeoutError", timeoutMs: 0 });
});

test("Semaphore rejects a caller beyond maxQueue at once", async () => {
  const semaphore = new Semaphore(1, { maxQueue: 1, name: "bulkhead" });
  const held = await semaphore.acquire();
  const first = semaphore.acquire();
  await expect(semaphore.acquire()).rejects.toMatchObject({ code: "ERR_QUEUE_FULL", maxQueue: 1 });
  held.release();
  (await first).release();
});

test("Semaphore.resize() lets more through at once, and fewer when enough have come back", async () => {
  const semaphore = new Semaphore(1);
  const permits = [await semaphore.acquire()];
  const waiting = [semaphore.acquire(), semaphore.acquire()];
  semaphore.resize(3);
  permits.push(...(await Promise.all(waiting)));
  semaphore.resize(1);
  expect([semaphore.free, semaphore.held]).toEqual([0, 3]);
  permits.pop()?.release();
  permits.pop()?.release();
  expect(semaphore.tryAcquire()).toBe(undefined);
  permits.pop()?.release();
  expect(semaphore.free).toBe(1);
  const heavy = semaphore.acquire({ weight: 3 }); // it has been that large, and may be again
  semaphore.resize(3);
  (await heavy).release();
});

test("Semaphore.resize(0) pauses, whatever the weight of those who come", async () => {
  const semaphore = new Semaphore(2);
  semaphore.resize(0);
  const waiting = semaphore.acquire({ weight: 2 });
  expect(semaphore.waiting).toBe(1);
  semaphore.resize(2);
  (await waiting).release();
});

test("Semaphore.close() rejects those who wait and those who come, and resolves when all permits are back", async () => {
  const semaphore = new Semaphore(1, { name: "pool" });
  const { open, task } = gate();
  const running = semaphore.run(task);
  const waiting = semaphore.acquire();
  let closed = false;
  const closing = semaphore.close().then(() => {
    closed = true;
  });
  await expect(waiting).rejects.toMatchObject({ code: "ERR_CLOSED", message: "Cannot use pool: it is closed" });
  await expect(semaphore.run(() => {})).rejects.toMatchObject({ code: "ERR_CLOSED" });
  expect(semaphore.tryAcquire()).toBe(undefined);
  expect(closed).toBe(false);
  open();
  await running;
  await closing;
  await semaphore.close();
});

test("Semaphore.close() serves nobody, not even those who fit once the heavy one ahead of them is gone", async () => {
  const semaphore = new Semaphore(3);
  const permit = await semaphore.acquire();
  const waits = [semaphore.acquire({ weight: 3 }), semaphore.acquire(), semaphore.run(() => "done")];
  const closed = semaphore.close();
  expect(semaphore.held).toBe(1);
  for (const wait of waits) await expect(wait).rejects.toMatchObject({ code: "ERR_CLOSED" });
  permit.release();
  await closed;
});

test("when a signal ends several waits, none of them is served because another one has left", async () => {
  const semaphore = new Semaphore(3);
  const caller = new AbortController();
  const context = Context.derive();
  using permit = await semaphore.acquire();
  const waits = [
    semaphore.acquire({ weight: 3, signal: caller.signal }),
    semaphore.acquire({ signal: caller.signal }),
    semaphore.acquire({ weight: 3, signal: context }),
    semaphore.acquire({ signal: context }),
  ];
  context.cancel("over");
  caller.abort("over");
  for (const wait of waits) await expect(wait).rejects.toBe("over");
  expect([semaphore.waiting, semaphore.held]).toEqual([0, permit.weight]);
});

test("a task runs in the context of its caller, or in the one passed, or in one made for the signal", async () => {
  const semaphore = new Semaphore(1, { reentry: "ignore" });
  const caller = Context.derive();
  const other = Context.derive();
  const controller = new AbortController();
  await Context.run(caller, async () => {
    await semaphore.run((context) => {
      expect([context, Context.current()]).toEqual([caller, caller]);
    });
    await semaphore.run((context) => expect([context, Context.current()]).toEqual([other, other]), { signal: other });
    let made: Context | undefined;
    await semaphore.run(
      async (context) => {
        made = context;
        expect(Context.current()).toBe(context);
        controller.abort("stop the work");
        expect(context.cause).toBe("stop the work");
      },
      { signal: controller.signal },
    );
    expect(made?.cancelled).toBe(true);
  });
  expect([caller.cancelled, other.cancelled]).toEqual([false, false]);
});

test("[p-queue#200, p-limit#83] a task keeps the AsyncLocalStorage of its caller, however long it waited", async () => {
  const storage = new AsyncLocalStorage<number>();
  const semaphore = new Semaphore(1);
  const seen = await Promise.all(
    Array.from({ length: 10 }, (_, index) =>
      storage.run(index, () => semaphore.run(() => Promise.resolve().then(() => storage.getStore()))),
    ),
  );
  expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("[p-limit#91] a nested wait that cannot end is rejected by name with reentry: throw", async () => {
  const semaphore = new Semaphore(1, { name: "uploads", reentry: "throw" });
  const nested = semaphore.run(() => semaphore.run(() => "never"));
  await expect(nested).rejects.toMatchObject({ code: "ERR_REENTRY", semaphore: "uploads" });
  const acquired = semaphore.run(() => semaphore.acquire());
  await expect(acquired).rejects.toMatchObject({ code: "ERR_REENTRY" });
  expect([semaphore.free, semaphore.waiting]).toEqual([1, 0]);
});

test("[p-limit#91] tasks that hold all permits and all wait for one more are noticed as well", async () => {
  const semaphore = new Semaphore(2, { reentry: "throw" });
  const outer = async (): Promise<string> => {
    await Promise.resolve(); // both are in before either goes on
    return semaphore.run(() => "inner");
  };
  const outcomes = await Promise.allSettled([semaphore.run(outer), semaphore.run(outer)]);
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
});

test("[p-limit#91] a nested wait that can end is no deadlock", async () => {
  const semaphore = new Semaphore(2, { reentry: "throw" });
  expect(await semaphore.run(() => semaphore.run(() => "inner"))).toBe("inner");
  const { open, task } = gate();
  const other = semaphore.run(task);
  const nested = semaphore.run(() => semaphore.run(() => "inner"));
  open();
  expect(await nested).toBe("inner");
  await other;
});

test("[p-limit#91] by default such a wait is a warning, once per semaphore", async () => {
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  const semaphore = new Semaphore(1, { name: "crawler" });
  const inner: Promise<unknown>[] = [];
  await semaphore.run(() => {
    for (let i = 0; i < 3; i++) inner.push(semaphore.run(() => i)); // not awaited: this is no deadlock
  });
  expect(await Promise.all(inner)).toEqual([0, 1, 2]);
  expect(warn).toHaveBeenCalledOnce();
  expect(warn.mock.calls[0]?.[0]).toMatch(/^Cannot wait for crawler: every permit/);
  warn.mockRestore();
});

test("[p-limit#25, p-queue#239] no promise stays pending when a queue is cleared by close()", async () => {
  const semaphore = new Semaphore(1);
  const held = await semaphore.acquire();
  const all = Array.from({ length: 100 }, () => semaphore.run(() => {}));
  const closed = semaphore.close();
  held.release();
  expect((await Promise.allSettled(all)).every(({ status }) => status === "rejected")).toBe(true);
  await closed;
});

test("[p-queue#168] aborted waiters do not jam those behind them", async () => {
  const semaphore = new Semaphore(1, { maxQueue: 2 });
  const held = await semaphore.acquire();
  const controller = new AbortController();
  const aborted = [1, 2].map(() => semaphore.acquire({ signal: controller.signal }));
  controller.abort();
  await Promise.allSettled(aborted);
  const next = semaphore.acquire();
  held.release();
  (await next).release();
});

test("a long line keeps its order while most of it leaves from the middle", async () => {
  const semaphore = new Semaphore(1);
  const held = await semaphore.acquire();
  const order: number[] = [];
  const contexts = Array.from({ length: 1_000 }, () => Context.derive());
  const all = contexts.map((signal, index) => semaphore.run(() => void order.push(index), { signal }));
  const outcomes = Promise.allSettled(all);
  for (const [index, context] of contexts.entries()) if (index % 7 !== 3) context.cancel();
  held.release();
  await outcomes;
  expect(order).toEqual(contexts.map((_, index) => index).filter((index) => index % 7 === 3));
});

test("[p-queue#235, nodejs/node#54614] a thousand waiters of one signal are one native listener", async () => {
  const semaphore = new Semaphore(1);
  const held = await semaphore.acquire();
  const { signal } = new AbortController();
  const all = Array.from({ length: 1_000 }, () => semaphore.run(() => {}, { signal }));
  expect(getEventListeners(signal, "abort")).toHaveLength(1);
  held.release();
  await Promise.all(all);
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
});

test("[nodejs/node#60509] fake timers of a test runner reach timeouts", async () => {
  vi.useFakeTimers();
  const semaphore = new Semaphore(1);
  using _held = await semaphore.acquire();
  const waiting = semaphore.acquire({ timeout: 60_000 });
  const outcome = expect(waiting).rejects.toMatchObject({ name: "TimeoutError" });
  vi.advanceTimersByTime(60_000);
  vi.useRealTimers();
  await outcome;
});

test("the stack of an error shows the caller and the task, waiting or not", async () => {
  const semaphore = new Semaphore(1);
  async function theTask(): Promise<never> {
    await Promise.resolve();
    throw new Error("leaf");
  }
  async function theCaller(): Promise<unknown> {
    return await semaphore.run(theTask).catch((error: Error) => error.stack);
  }
  async function viaAwait(): Promise<void> {
    await semaphore.run(theTask);
  }
  expect(await theCaller()).toMatch(/theTask/);
  const held = await semaphore.acquire();
  const waited = viaAwait();
  held.release();
  for (const call of [viaAwait(), waited]) {
    const { stack } = await call.then(
      () => new Error("none"),
      (error: Error) => error,
    );
    expect(stack).toMatch(/theTask[\s\S]*Semaphore[\s\S]*viaAwait/);
  }
});

test("without bookkeeping too, the stack of an error shows the caller and the task, waiting or not", async () => {
  const semaphore = new Semaphore(1, { reentry: "ignore" });
  const tasks = {
    async later(): Promise<never> {
      await Promise.resolve();
      throw new Error("later");
    },
    async muchLater(): Promise<never> {
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
      throw new Error("much later");
    },
    async now(): Promise<never> {
      throw new Error("now");
    },
    synchronous(): never {
      throw new Error("synchronous");
    },
  };
  for (const [name, task] of Object.entries(tasks)) {
    async function theCaller(): Promise<void> {
      await semaphore.run<void>(task);
    }
    const free = theCaller();
    const waiting = [theCaller(), theCaller()];
    for (const call of [free, ...waiting]) {
      const stack = await call.catch((error: Error) => error.stack);
      expect(stack).toMatch(new RegExp(`${name} [\\s\\S]*theCaller`));
    }
    expect([semaphore.free, semaphore.waiting]).toEqual([1, 0]);
  }
});

test("a task that is none, throws at once, or gives a thenable or a plain value leaves no permit held", async () => {
  const semaphore = new Semaphore(1, { reentry: "ignore" });
  // biome-ignore lint/suspicious/noThenProperty: that is what is tested
  const thenable = { then: (resolve: (value: number) => void) => resolve(7) } as PromiseLike<number>;
  expect(await semaphore.run(() => thenable)).toBe(7);
  expect(await semaphore.run(() => 8)).toBe(8);
  // @ts-expect-error: no function
  await expect(semaphore.run(5)).rejects.toThrow(TypeError);
  await expect(semaphore.run(() => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
  expect([semaphore.free, semaphore.held]).toEqual([1, 0]);
});

test("a promise whose own then() calls back twice, or fails after that, gives back one permit", async () => {
  const semaphore = new Semaphore(1, { reentry: "ignore" });
  const strange = (then: (resolve: (value: string) => void) => void) => () =>
    Object.assign(Promise.resolve("value"), { then }) as Promise<string>; // as `await`, it goes by what the promise is
  const twice = strange((resolve) => [resolve("one"), resolve("two")]);
  const failing = strange((resolve) => {
    resolve("one");
    throw new Error("late");
  });
  expect(await semaphore.run(twice)).toBe("value");
  expect(await semaphore.run(failing)).toBe("value");
  expect(semaphore.held).toBe(0);
});

test("the stack of a TimeoutError shows who waited", async () => {
  const clock = new TestClock();
  const semaphore = new Semaphore(1, { clock });
  using _held = await semaphore.acquire();
  async function theCaller(): Promise<void> {
    await semaphore.run(() => {}, { timeout: 10 });
  }
  const error = theCaller().catch((error: Error) => error);
  await clock.advance(10);
  expect((await error)?.stack).toMatch(/Semaphore[\s\S]*theCaller/);
});

test("[Effect#6910] no permit is lost or doubled, whenever a wait is cancelled", async () => {
  await cancelSweep(async (context) => {
    const semaphore = new Semaphore(2, { reentry: "ignore" });
    const held = await semaphore.acquire({ weight: 2 });
    const work = [
      semaphore.run(async () => await Promise.resolve(), { signal: context }),
      semaphore.run(async () => await Promise.resolve(), { signal: context.signal, weight: 2 }),
      Context.run(context, () => semaphore.run(async () => await Promise.resolve())),
      semaphore.acquire({ signal: context }).then((permit) => permit.release()),
    ];
    queueMicrotask(() => held.release());
    await Promise.allSettled(work);
    expect([semaphore.free, semaphore.waiting, getEventListeners(context.signal, "abort").length]).toEqual([2, 0, 0]);
  });
});

test("Semaphore refuses bad options by name", async () => {
  expect(() => new Semaphore(-1)).toThrow(
    new RangeError("Cannot create a Semaphore: permits must be an integer of at least 0 or Infinity, got -1"),
  );
  expect(() => new Semaphore(1.5)).toThrow(RangeError);
  // @ts-expect-error: not a number
  expect(() => new Semaphore("3")).toThrow(new TypeError('Cannot create a Semaphore: permits must be an integer of at least 0 or Infinity, got "3"')); // biome-ignore format: one line
  expect(() => new Semaphore(1, { maxQueue: -1 })).toThrow(/maxQueue must be an integer/);
  // @ts-expect-error: not a policy
  expect(() => new Semaphore(1, { reentry: "maybe" })).toThrow(/reentry must be/);
  const semaphore = new Semaphore(2, { name: "two" });
  await expect(semaphore.acquire({ weight: 3 })).rejects.toThrow(
    "Cannot acquire a permit: weight must be at most the 2 permits of two, got 3",
  );
  await expect(semaphore.acquire({ weight: 0 })).rejects.toThrow(/weight must be an integer of at least 1, got 0/);
  await expect(semaphore.acquire({ timeout: -1 })).rejects.toThrow(/timeout must be 0 ms or more/);
  await expect(semaphore.acquire({ priority: Number.NaN })).rejects.toThrow(/priority must be a number/);
  expect([semaphore.free, semaphore.waiting]).toEqual([2, 0]);
});
