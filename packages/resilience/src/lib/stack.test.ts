import { AsyncLocalStorage } from "node:async_hooks";
import { getEventListeners } from "node:events";
import { setImmediate as macrotask } from "node:timers/promises";
import { CancelledError, Context, type OwnedContext, tokenBucket } from "@proj/concurrency";
import { components } from "@proj/concurrency/inspect";
import { cancelSweep, TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import {
  attemptTimeout,
  balance,
  breaker,
  bulkhead,
  type Call,
  CircuitOpenError,
  callPriority,
  compose,
  constant,
  type Driver,
  fallback,
  type Gate,
  hedge,
  type PolicyKind,
  type Resilient,
  resilient,
  retry,
  roundRobin,
  timeout,
  value,
} from "../index.ts";

const down = new Error("down");

/** Everything at once, as one frame where that is possible; `queue` makes the bulkhead a driver, with frames around it. */
function everything(queue = 0): Resilient {
  return resilient({
    name: "everything",
    idempotent: true,
    timeout: 10_000,
    rate: tokenBucket<string>({ rate: 1e9, per: 1 }),
    retry: { backoff: constant(0) },
    breaker: {},
    bulkhead: { max: 100, queue },
    attemptTimeout: 1_000,
  });
}

/** Writes down who comes and goes. */
function gate(kind: PolicyKind, log: string[], name: string = kind): Gate {
  return {
    kind,
    enter: ({ attempt }) => log.push(`${name} ${attempt}`),
    exit: ({ outcome }) => void log.push(`/${name} ${outcome}`),
  };
}

function driver(kind: PolicyKind, log: string[]): Driver {
  return {
    kind,
    async run(call, next) {
      log.push(`${kind} ${call.attempt}`);
      try {
        return await next(call);
      } finally {
        log.push(`/${kind}`);
      }
    },
  };
}

test("the order of the slots is fixed, whatever the order of the keys", async () => {
  const log: string[] = [];
  const stack = resilient({
    chaos: driver("chaos", log),
    attemptTimeout: 500,
    bulkhead: gate("bulkhead", log) as never,
    breaker: gate("breaker", log) as never,
    balance: gate("balance", log),
    retry: { attempts: 2, backoff: constant(0) },
    rate: gate("rate", log),
    shed: [gate("shed", log, "shed a"), gate("shed", log, "shed b")],
    timeout: 1_000,
    fallback: [value("fallback")],
    idempotent: true,
  });
  expect(
    await stack(async () => {
      log.push("task");
      throw down;
    }),
  ).toBe("fallback");
  const attempt = (number: number): string[] => [
    ...["balance", "breaker", "bulkhead", "chaos"].map((name) => `${name} ${number}`),
    "task",
    ...["/chaos", "/bulkhead fail", "/breaker fail", "/balance fail"],
  ];
  const before = ["shed a 1", "shed b 1", "rate 1"];
  const after = ["/rate fail", "/shed b fail", "/shed a fail"];
  expect(log).toEqual([...before, ...attempt(1), ...attempt(2), ...after]);
  expect(stack.policies.map(({ kind }) => kind)).toEqual(
    ["fallback", "timeout", "shed", "shed", "rate", "retry", "balance", "breaker", "bulkhead", "attempt-timeout", "chaos"], // biome-ignore format: one order
  );
});

test("a gate that turns a call away sends back those who were let in before, with an outcome that tells nothing", async () => {
  const log: string[] = [];
  const closed: Gate = {
    kind: "shed",
    enter: () => {
      throw new CircuitOpenError("users", undefined, undefined);
    },
    exit: () => void log.push("never"),
  };
  for (const policies of [
    [gate("shed", log), closed],
    [gate("shed", log), closed, retry()],
  ]) {
    log.length = 0;
    await expect(compose(...policies)(async () => log.push("task"))).rejects.toThrow(CircuitOpenError);
    expect(log).toEqual(["shed 1", "/shed ignore"]);
  }
});

test("whatever a gate throws is a rejection: not repeated, and nobody's failure", async () => {
  const thrown = [new Error("not now"), "not now", undefined, null];
  for (const error of thrown) {
    const log: string[] = [];
    const closed: Gate = {
      kind: "custom",
      enter: () => {
        throw error;
      },
      exit: () => {},
    };
    const stack = compose({ idempotent: true }, gate("shed", log), retry({ backoff: constant(0) }), closed);
    await expect(stack(async () => 1)).rejects.toBe(error);
    expect(log).toEqual(["shed 1", "/shed ignore"]);
  }
});

test("policies are told what the classifier says, once per attempt, with the times", async () => {
  const clock = new TestClock();
  const seen: unknown[] = [];
  const watch: Gate = {
    kind: "custom",
    enter: ({ startedAt }) => startedAt,
    exit: ({ attempt, outcome, error, value, endedAt, untouched, retryAfterMs }, token) =>
      void seen.push([attempt, outcome, error, value, endedAt - token, untouched, retryAfterMs]),
  };
  const classify = (error: unknown) =>
    error === down ? ({ kind: "fail", untouched: true, retryAfterMs: 5 } as const) : undefined;
  const stack = compose({ clock, classify }, retry({ backoff: constant(0) }), watch);
  const result = stack((_, { attempt }) => {
    return new Promise((resolve, reject) => {
      clock.setTimeout(() => (attempt === 1 ? reject(down) : resolve(attempt)), 10);
    });
  });
  await clock.advance(25);
  expect(await result).toBe(2);
  expect(seen).toEqual([
    [1, "fail", down, undefined, 10, true, 5],
    [2, "ok", undefined, 2, 10, false, undefined],
  ]);
});

test("the task runs in the context that it is given, in the caller's AsyncLocalStorage frames", async () => {
  const store = new AsyncLocalStorage<number>();
  for (const stack of [everything(), everything(10), compose(), compose(timeout(1_000)), compose(retry())]) {
    for (const caller of [1, 2, 3]) {
      await store.run(caller, async () => {
        const outside = Context.current();
        const seen = await stack(async (context, call) => {
          expect(Context.current()).toBe(context);
          expect(call.context).toBe(context);
          await macrotask();
          expect(Context.current()).toBe(context);
          if (call.attempt === 1) throw Object.assign(new Error("again"), { code: "ECONNREFUSED" });
          return store.getStore();
        }).catch(() => store.getStore());
        expect([seen, store.getStore(), Context.current() === outside]).toEqual([caller, caller, true]);
      });
    }
  }
});

test("a context given as signal replaces the current one, an AbortSignal is added to it", async () => {
  using current = Context.derive({ values: [callPriority.of(7)] });
  using other = Context.derive({ values: [callPriority.of(8)] });
  const caller = new AbortController();
  await Context.run(current, async () => {
    const stack = compose();
    const task = (_: Context, { priority }: Call) => [Context.current().get(callPriority), priority];
    expect(await stack(task)).toEqual([7, 7]);
    expect(await stack(task, { signal: other })).toEqual([8, 8]);
    expect(await stack(task, { signal: caller.signal })).toEqual([7, 7]);
    expect(await stack(task, { priority: 9 })).toEqual([7, 9]);
  });
});

test("the caller's abort passes untouched, at once, and is nobody's failure", async () => {
  for (const queue of [0, 10]) {
    const stack = everything(queue);
    const caller = new AbortController();
    const result = stack(() => new Promise(() => {}), { signal: caller.signal }).catch((error: unknown) => error);
    await macrotask();
    const reason = { any: "thing" };
    caller.abort(reason);
    expect(await result).toBe(reason);
    expect(getEventListeners(caller.signal, "abort")).toEqual([]);
    await macrotask();
    expect(stack.stats()).toMatchObject({ calls: 1, active: 0, ignored: 1, policies: { bulkhead: { running: 0 } } });
    await expect(stack(() => 1, { signal: caller.signal })).rejects.toBe(reason);
    await expect(stack(() => 1, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  }
});

test("an AbortError that the task has made of the caller's reason is that reason again", async () => {
  const caller = new AbortController();
  const result = everything()(
    ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(new DOMException("This operation was aborted", "AbortError")));
      }),
    { signal: caller.signal },
  );
  caller.abort("enough");
  await expect(result).rejects.toBe("enough");
});

test("a cancelled context ends the call wherever it is: nothing is left behind in the whole stack", async () => {
  for (const queue of [0, 10]) {
    await cancelSweep(
      async (signal, step) => {
        const clock = new TestClock();
        const circuit = breaker();
        const places = bulkhead({ max: 1, queue });
        const stack = resilient({
          clock,
          idempotent: true,
          timeout: 1_000,
          retry: { attempts: 3, backoff: constant(0) },
          breaker: circuit,
          bulkhead: places,
          attemptTimeout: 500,
        });
        let settled = 0;
        const call = stack(
          async (_context, { attempt }) => {
            for (let steps = 0; steps < 3; steps++) await Promise.resolve();
            if (attempt < 3) throw down;
            return "done";
          },
          { signal },
        ).then(
          (result) => expect(result).toBe("done"),
          (error: unknown) => expect(error).toBe(signal.cause),
        );
        await call.finally(() => settled++);
        await macrotask();
        expect([settled, clock.timers, places.stats().running, places.stats().waiting]).toEqual([1, 0, 0, 0]);
        expect(stack.stats()).toMatchObject({ calls: step === 0 ? expect.any(Number) : 1, active: 0 });
        expect(circuit.counts().timeouts).toBe(0);
      },
      { steps: 60 },
    );
  }
});

test("Effect#6910: a call that is cancelled while it waits in the bulkhead's queue holds no place afterwards", async () => {
  const places = bulkhead({ max: 1, queue: 10 });
  const stack = resilient({ bulkhead: places, attemptTimeout: 1_000, timeout: 2_000 });
  const held = Promise.withResolvers<number>();
  const first = stack(() => held.promise);
  using context = Context.derive();
  const second = stack(() => 2, { signal: context }).catch((error: unknown) => error);
  await macrotask();
  context.cancel();
  expect(await second).toBeInstanceOf(CancelledError);
  held.resolve(1);
  expect(await first).toBe(1);
  expect(places.stats()).toMatchObject({ running: 0, waiting: 0 });
});

test("nodejs/node#52635: 100,000 calls on one long signal leave no listener and keep no context", async () => {
  const { signal } = new AbortController();
  const stack = resilient({ timeout: 2_000, retry: {}, breaker: {}, attemptTimeout: 1_000 });
  let seen: AbortSignal | undefined;
  for (let round = 0; round < 1_000; round++) {
    const calls = Array.from({ length: 100 }, (_, index) =>
      stack(
        async (context) => {
          if (index === 0) seen = context.signal; // one of a hundred looks at it
          await Promise.resolve();
        },
        { signal },
      ),
    );
    expect(getEventListeners(signal, "abort").length).toBe(1);
    await Promise.all(calls);
  }
  expect([getEventListeners(signal, "abort").length, seen?.aborted]).toEqual([0, false]);
}, 120_000);

test("the signal of an attempt that has succeeded never aborts: a response can still be read", async () => {
  const clock = new TestClock();
  const caller = new AbortController();
  const stack = resilient({ clock, timeout: 200, retry: {}, attemptTimeout: 100 });
  const signal = await stack(async (context) => context.signal, { signal: caller.signal });
  await clock.advance(1_000);
  caller.abort();
  expect([signal.aborted, clock.timers]).toEqual([false, 0]);
});

test("the context of an attempt that has failed ends, so that whatever it has left running stops", async () => {
  let left: Context | undefined;
  const stack = compose(timeout(1_000));
  await stack(async (context) => {
    left = context;
    throw down;
  }).catch(() => {});
  expect(left?.cause).toBe(down);
});

test("the stack of an error shows the task that threw and the function that called", async () => {
  async function theLeaf(): Promise<never> {
    await macrotask();
    throw new Error("with a stack");
  }
  async function theTask(): Promise<never> {
    return await theLeaf();
  }
  for (const stack of [everything(), compose(retry(), breaker()), compose(timeout(1_000))]) {
    const theCaller = async (): Promise<unknown> => await stack(theTask, { idempotent: false });
    const error = await theCaller().catch((error: unknown) => error as Error);
    expect((error as Error).stack).toMatch(/theLeaf[\s\S]*theTask[\s\S]*theCaller/);
  }
});

test("no rejection is unhandled, whoever comes late", async () => {
  const unhandled: unknown[] = [];
  const listener = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", listener);
  const clock = new TestClock();
  const stack = resilient({
    clock,
    idempotent: true,
    retry: { attempts: 2, backoff: constant(0) },
    attemptTimeout: 10,
  });
  const late = Promise.withResolvers<never>();
  const result = stack(() => late.promise).catch((error: Error) => error.name);
  await clock.advance(20);
  late.reject(new Error("late"));
  expect(await result).toBe("TimeoutError");
  await macrotask();
  process.off("unhandledRejection", listener);
  expect(unhandled).toEqual([]);
});

test("a task may be synchronous, return a thenable or throw at once", async () => {
  for (const stack of [everything(), compose()]) {
    expect(await stack(() => 1)).toBe(1);
    // biome-ignore lint/suspicious/noThenProperty: that is what is tested
    expect(await stack(() => ({ then: (resolve: (value: number) => void) => resolve(2) }) as PromiseLike<number>)).toBe(
      2,
    );
    const throwing = (): never => {
      throw down;
    };
    await expect(stack(throwing, { idempotent: false })).rejects.toBe(down);
  }
});

test("what is no task rejects, and does not throw", async () => {
  await expect(compose()("task" as never)).rejects.toThrow(
    /Cannot call dependency: task must be a function, got "task"/,
  );
});

test("wrap() binds a function with its arguments and its this, and options by its arguments", async () => {
  const stack = compose(fallback(value("nobody")), retry({ backoff: constant(0) }));
  const keys: unknown[] = [];
  const users = {
    prefix: "user ",
    find: stack.wrap(
      async function (this: { prefix: string }, id: number): Promise<string> {
        keys.push(Context.current().get(callPriority));
        if (id === 0) throw down;
        return this.prefix + id;
      },
      (id) => ({ key: String(id), idempotent: true }),
    ),
  };
  expect([await users.find(7), await users.find(0)]).toEqual(["user 7", "nobody"]);
  expect(keys.length).toBe(1 + 3);
  const bug = new Error("bug");
  const failing = stack.wrap(
    async () => 1,
    () => {
      throw bug;
    },
  );
  await expect(failing()).rejects.toBe(bug);
});

test("a stack with a name lists itself, with what its policies tell", async () => {
  const stack = resilient({ name: "listed users", retry: {}, breaker: {} });
  await stack(async () => 1);
  await stack(async () => Promise.reject(down)).catch(() => {});
  const [report] = components("resilience").filter(({ name }) => name === "listed users");
  expect(report?.stats).toMatchObject({
    calls: 2,
    active: 0,
    succeeded: 1,
    failed: 1,
    policies: { retry: { retries: 0 }, breaker: { circuits: 1 } },
  });
  expect([stack.name, compose().name]).toEqual(["listed users", "dependency"]);
});

test("a repetition goes to another endpoint, and no attempt to one whose circuit is open", async () => {
  const circuit = breaker({ consecutive: 2, open: 60_000 });
  const servers = balance(["a", "b", "c"], roundRobin());
  const stack = resilient({
    idempotent: true,
    retry: { attempts: 3, backoff: constant(0) },
    balance: servers,
    breaker: circuit,
  });
  const tried: string[] = [];
  const task = async (_: Context, { endpoint }: Call): Promise<string> => {
    const id = endpoint?.id ?? "none";
    tried.push(id);
    if (id !== "c") throw down;
    return id;
  };
  for (let call = 0; call < 20; call++) {
    tried.length = 0;
    expect(await stack(task)).toBe("c");
    expect(new Set(tried).size).toBe(tried.length); // none twice
  }
  expect(tried).toEqual(["c"]);
  expect(["a", "b", "c"].map((id) => circuit.state(id))).toEqual(["open", "open", "closed"]);
});

test("when all endpoints have failed the call, one of them is tried again", async () => {
  const stack = compose(
    { idempotent: true },
    retry({ attempts: 3, backoff: constant(0) }),
    balance(["a", "b"], roundRobin()),
  );
  expect(await stack(async (_, { attempt, endpoint }) => (attempt < 3 ? Promise.reject(down) : endpoint?.id))).toMatch(
    /a|b/,
  );
});

test("a hedge goes to another endpoint than the attempt that takes long", async () => {
  const clock = new TestClock();
  const servers = balance(["a", "b"], roundRobin());
  const stack = resilient({ clock, idempotent: true, hedge: { after: 50, ratio: 1 }, balance: servers });
  const tried: unknown[] = [];
  const result = stack((_, { attempt, endpoint }) => {
    tried.push(endpoint?.id);
    return attempt === 1 ? new Promise<never>(() => {}) : "fast";
  });
  await clock.advance(50);
  expect(await result).toBe("fast");
  expect(new Set(tried).size).toBe(2);
  await macrotask();
  expect(servers.stats()).toMatchObject({ inFlight: 0 });
});

test("the policies that a frame knows also work as plain drivers, in the hands of another", async () => {
  const clock = new TestClock();
  const context: OwnedContext = Context.derive({ clock });
  const seen: Call[] = [];
  const outer: Driver = {
    kind: "custom",
    run: (call, next) =>
      retry({ attempts: 2, backoff: constant(0) }).run(call, (inner) => attemptTimeout(100).run(inner, next)),
  };
  const stack = compose({ clock, idempotent: true }, outer);
  const result = stack(
    (_, call) => {
      seen.push(call);
      return call.attempt === 1 ? new Promise<never>(() => {}) : call.attempt;
    },
    { signal: context },
  );
  await clock.advance(100);
  expect([await result, seen.length, clock.timers]).toEqual([2, 2, 0]);
});

test("a hedge tells policies inside of it apart by attempt, and its losers are nobody's failure", async () => {
  const log: string[] = [];
  const clock = new TestClock();
  const stack = compose(
    { clock, idempotent: true },
    hedge({ after: 10, ratio: 1 }),
    gate("breaker", log),
    timeout(1_000),
  );
  const result = stack((_, { attempt }) => (attempt === 1 ? new Promise<never>(() => {}) : attempt));
  await clock.advance(10);
  expect(await result).toBe(2);
  await macrotask();
  expect(log).toEqual(["breaker 1", "breaker 2", "/breaker ok", "/breaker ignore"]);
});
