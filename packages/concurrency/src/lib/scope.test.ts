import { AsyncLocalStorage } from "node:async_hooks";
import { expect, test } from "vitest";
import { ClosedError, Context, ContextKey, scope, suppressed, TaskScope, TimeoutError } from "../index.ts";
import { cancelSweep, TestClock } from "../testing.ts";

/** Waits until the context ends, and rejects with its cause. */
function untilCancelled(context: Context): Promise<never> {
  return new Promise((_, reject) => Context.after(context, reject));
}

async function ticks(count: number): Promise<void> {
  for (let tick = 0; tick < count; tick++) await Promise.resolve();
}

test("scope() gives what its body returns, once every task is done", async () => {
  let ended = 0;
  const value = await scope(async (s) => {
    for (const count of [5, 1, 9]) void s.spawn(() => ticks(count).then(() => ended++));
    return await s.spawn(() => "value");
  });
  expect([value, ended]).toEqual(["value", 3]);
});

test("the first failure cancels the rest, and scope() rejects with it untouched when they have ended", async () => {
  const failure = new Error("first");
  const causes: unknown[] = [];
  let cleanedUp = false;
  const scoped = scope(async (s) => {
    void s.spawn(async (context) => {
      await untilCancelled(context).catch((cause: unknown) => causes.push(cause));
      await ticks(10);
      cleanedUp = true;
    });
    void s.spawn(() => ticks(3).then(() => Promise.reject(failure)));
    await untilCancelled(s.context).catch((cause: unknown) => causes.push(cause));
  });
  await expect(scoped).rejects.toBe(failure);
  expect([causes, cleanedUp]).toEqual([[failure, failure], true]);
});

test("scope() keeps further failures beside the first one", async () => {
  const failures = [new Error("first"), new Error("second"), "third"];
  const scoped = scope((s) => {
    for (const failure of failures) void s.spawn(() => Promise.reject(failure));
    void s.spawn((context) => untilCancelled(context)); // obeys: no failure
  });
  await expect(scoped).rejects.toBe(failures[0]);
  expect(suppressed(failures[0])).toEqual(failures.slice(1));
  expect(Object.getOwnPropertyNames(failures[0]).sort()).toEqual(["message", "stack"]);
  expect(suppressed("no object")).toEqual([]);
});

test("a body that throws cancels its tasks, whatever join says", async () => {
  for (const join of ["all", "any", "settled", "race"] as const) {
    const failure = new Error(join);
    let cause: unknown;
    const scoped = scope(
      (s) => {
        void s.spawn((context) => untilCancelled(context).catch((reason: unknown) => (cause = reason)));
        throw failure;
      },
      { join },
    );
    await expect(scoped).rejects.toBe(failure);
    expect(cause).toBe(failure);
  }
});

test('with join "any" the first success cancels the rest', async () => {
  let cancelled = 0;
  const value = await scope(
    (s) => {
      const slow = s.spawn((context) => untilCancelled(context).finally(() => cancelled++));
      const failing = s.spawn(() => Promise.reject(new Error("one mirror is down")));
      const fast = s.spawn(() => ticks(5).then(() => "fast"));
      return Promise.any([slow, failing, fast]);
    },
    { join: "any" },
  );
  expect([value, cancelled]).toEqual(["fast", 1]);
});

test('with join "any" and no success scope() rejects with all failures in order', async () => {
  const scoped = scope(
    (s) => {
      void s.spawn(() => ticks(3).then(() => Promise.reject("late")));
      void s.spawn(() => Promise.reject("early"));
    },
    { join: "any" },
  );
  await expect(scoped).rejects.toMatchObject({ name: "AggregateError", errors: ["early", "late"] });
  await expect(scope(() => "nothing spawned", { join: "any" })).resolves.toBe("nothing spawned");
});

test('with join "race" the first to settle decides, by success or by failure', async () => {
  const race = (first: () => Promise<string>): Promise<string> =>
    scope(
      (s: TaskScope<string, "race">) => {
        void s.spawn((context) => untilCancelled(context));
        void s.spawn(first);
        return s.join();
      },
      { join: "race" },
    );
  expect(await race(() => Promise.resolve("first"))).toBe("first");
  const failure = new Error("first");
  await expect(race(() => Promise.reject(failure))).rejects.toBe(failure);
});

test('with join "settled" nothing cancels anything, and the results are kept in order', async () => {
  const results = await scope(
    (s: TaskScope<string, "settled">) => {
      void s.spawn(() => ticks(9).then(() => "slow"));
      void s.spawn(() => Promise.reject("failed"));
      void s.spawn(() => "fast");
      return s.join();
    },
    { join: "settled" },
  );
  expect(results).toEqual([
    { status: "fulfilled", value: "slow" },
    { status: "rejected", reason: "failed" },
    { status: "fulfilled", value: "fast" },
  ]);
});

test("a rejection of a task that nobody awaits is no unhandled one", async () => {
  const unhandled: unknown[] = [];
  const listener = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", listener);
  try {
    for (const join of ["all", "any", "settled", "race"] as const) {
      const scoped = scope(
        (s) => {
          void s.spawn(() => {
            throw new Error("at once");
          });
          void s.spawn(() => Promise.reject(new Error("soon")));
          void s.spawn(() => ticks(4).then(() => Promise.reject(new Error("later"))));
        },
        { join, limit: 2 },
      );
      await scoped.catch(() => {});
    }
    const over = new TaskScope();
    await over[Symbol.asyncDispose]();
    void over.spawn(() => "too late");
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off("unhandledRejection", listener);
  }
  expect(unhandled).toEqual([]);
});

test("scope() runs at most limit tasks at a time, in order, and starts none after a failure", async () => {
  const started: number[] = [];
  let running = 0;
  const scoped = scope(
    (s) => {
      for (let index = 0; index < 10; index++) {
        void s.spawn(async () => {
          started.push(index);
          expect(++running).toBeLessThanOrEqual(3);
          await ticks(5);
          running--;
          if (index === 4) throw new Error("fifth");
        });
      }
    },
    { limit: 3 },
  );
  await expect(scoped).rejects.toThrow("fifth");
  expect(started.slice(0, 5)).toEqual([0, 1, 2, 3, 4]);
  expect(started.length).toBeLessThan(10);
});

test("scope() ends with its timeout, its signal or the context around it, and rejects with that reason", async () => {
  const clock = new TestClock();
  const timed = scope((s) => s.spawn(untilCancelled), { timeout: 1_000, clock });
  timed.catch(() => {});
  await clock.advance(1_000);
  await expect(timed).rejects.toBeInstanceOf(TimeoutError);
  expect(clock.timers).toBe(0);

  const caller = new AbortController();
  const signalled = scope((s) => void s.spawn(untilCancelled), { signal: caller.signal, join: "any" });
  caller.abort("caller left");
  await expect(signalled).rejects.toBe("caller left");

  const context = Context.derive();
  const inner = Context.run(context, () =>
    scope((s) => scope((nested) => nested.spawn(untilCancelled), { signal: s.context })),
  );
  context.cancel("outer");
  await expect(inner).rejects.toBe("outer");
});

test("scope() rejects with the reason itself when a task wraps it as the platform does", async () => {
  const reason = new Error("caller left");
  const caller = new AbortController();
  const scoped = scope(
    (s) =>
      s.spawn(
        ({ signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener("abort", () =>
              reject(Object.assign(new Error("aborted", { cause: signal.reason }), { name: "AbortError" })),
            );
          }),
      ),
    { signal: caller.signal },
  );
  caller.abort(reason);
  await expect(scoped).rejects.toBe(reason);
});

test("work that succeeds although the scope was cancelled counts", async () => {
  const caller = new AbortController();
  const scoped = scope((s) => s.spawn(() => ticks(9).then(() => "done")), { signal: caller.signal });
  caller.abort("ignored");
  expect(await scoped).toBe("done");
});

test("body and tasks run in the scope's context, with the caller's values and frames", async () => {
  const key = new ContextKey<string>("tenant");
  const frames = new AsyncLocalStorage<string>();
  const context = Context.derive({ values: [key.of("acme")] });
  const seen = await Context.run(context, () =>
    scope(
      async (s) => {
        expect(Context.current()).toBe(s.context);
        const blocker = frames.run("blocker", () => s.spawn(() => ticks(5)));
        const read = (own: Context): unknown[] => [Context.current() === own, own.get(key), frames.getStore()];
        const all = ["a", "b"].map((name) => frames.run(name, () => s.spawn(read)));
        await blocker;
        return await Promise.all(all);
      },
      { limit: 1 },
    ),
  );
  expect(seen).toEqual([
    [true, "acme", "a"],
    [true, "acme", "b"],
  ]);
});

test("a scope that has ended takes no further task, and its context is over", async () => {
  let leaked: TaskScope | undefined;
  await scope((s) => {
    leaked = s;
  });
  await expect(leaked?.spawn(() => "late")).rejects.toBeInstanceOf(ClosedError);
  expect([leaked?.context.cancelled, leaked?.active]).toEqual([true, 0]);
});

test("a task may spawn others; scope() waits for them too", async () => {
  const order: string[] = [];
  await scope((s) => {
    void s.spawn(async () => {
      await ticks(3);
      order.push("parent");
      void s.spawn(() => ticks(3).then(() => order.push("child")));
    });
  });
  expect(order).toEqual(["parent", "child"]);
});

test("an error shows the leaf, the caller of spawn and the caller of scope()", async () => {
  async function leaf(): Promise<never> {
    await ticks(2);
    throw new Error("deep");
  }
  async function bodyOfScope(s: TaskScope): Promise<void> {
    await s.spawn(leaf);
  }
  async function callerOfScope(limit: number | undefined): Promise<void> {
    await scope(bodyOfScope, { limit });
  }
  for (const limit of [undefined, 1]) {
    const error = await callerOfScope(limit).catch((error: Error) => error);
    expect(error?.stack).toMatch(/leaf[\s\S]*bodyOfScope[\s\S]*callerOfScope/);
  }
});

test("TaskScope without join() cancels its tasks when disposed, waits for them and does not throw", async () => {
  let cause: unknown;
  let ended = false;
  {
    await using s = new TaskScope();
    void s.spawn(async (context) => {
      await untilCancelled(context).catch((reason: unknown) => (cause = reason));
      await ticks(5);
      ended = true;
      throw new Error("while cleaning up");
    });
  }
  expect([cause, ended]).toEqual([expect.objectContaining({ name: "AbortError" }), true]);
});

test("TaskScope.join() waits for all, and can be called again after more was spawned", async () => {
  await using s = new TaskScope<number, "settled">({ join: "settled" });
  void s.spawn(() => ticks(4).then(() => 1));
  expect(await s.join()).toEqual([{ status: "fulfilled", value: 1 }]);
  void s.spawn(() => 2);
  expect((await s.join()).length).toBe(2);
  expect(s.context.cancelled).toBe(false);
});

test("TaskScope.cancel() gives its cause to all tasks, and join() rejects with it", async () => {
  for (const join of ["all", "any", "race"] as const) {
    await using s = new TaskScope({ join });
    const task = s.spawn(untilCancelled);
    s.cancel("enough");
    await expect(task).rejects.toBe("enough");
    await expect(s.join()).rejects.toBe("enough");
    await expect(s.spawn(() => "not started")).rejects.toBe("enough");
  }
});

test("join() of a scope that can have no winner says so", async () => {
  const s = new TaskScope({ join: "race", name: "mirrors" });
  await expect(s.join()).rejects.toThrow("Cannot join mirrors: nothing was spawned that could win");
});

test("wrong options are refused by name", async () => {
  // @ts-expect-error: no such strategy
  expect(() => new TaskScope({ join: "most" })).toThrow('join must be "all", "any", "settled" or "race", got "most"');
  expect(() => new TaskScope({ limit: 0 })).toThrow("limit must be an integer of at least 1 or Infinity, got 0");
  // @ts-expect-error: no body
  await expect(scope()).rejects.toThrow("its body must be a function, got undefined");
});

test("a scope cancelled at any step leaves no task behind", { timeout: 20_000 }, async () => {
  for (const join of ["all", "any", "settled", "race"] as const) {
    await cancelSweep(
      async (context) => {
        let running = 0;
        const task = async (count: number): Promise<void> => {
          running++;
          try {
            for (let tick = 0; tick < count; tick++) {
              Context.current().throwIfCancelled();
              await Promise.resolve();
            }
          } finally {
            running--;
          }
        };
        let leaked: TaskScope<unknown, typeof join> | undefined;
        await scope(
          async (s: TaskScope<unknown, typeof join>) => {
            leaked = s;
            for (const count of [2, 9, 5, 0]) void s.spawn(() => task(count));
            await s.spawn(() => scope((nested) => nested.spawn(() => task(4))));
          },
          { join, limit: 2, signal: context },
        ).catch((error: unknown) => {
          if (join !== "any" && join !== "race") expect(error).toBe(context.cause);
        });
        expect([running, leaked?.active ?? 0]).toEqual([0, 0]);
      },
      { steps: 60 },
    );
  }
});
