import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Context, ContextKey, TimeoutError } from "@proj/concurrency";
import { components } from "@proj/concurrency/inspect";
import { cancelSweep, TestClock } from "@proj/concurrency/testing";
import { describe, expect, test, vi } from "vitest";
import {
  type IdempotencyGuardOptions,
  type IdempotencyStore,
  idempotencyGuard,
  memoryIdempotency,
  resilienceChannel,
} from "../index.ts";

/** Two guards over one store stand for two processes: they share nothing else. */
function setUp(options: IdempotencyGuardOptions = {}) {
  const clock = new TestClock();
  const store = memoryIdempotency({ clock });
  const all = { clock, store, random: () => 0.5, ...options };
  return { clock, store, guard: idempotencyGuard(all), elsewhere: idempotencyGuard(all) };
}

async function code(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => "no error",
    (error: { code?: unknown }) => error.code ?? error,
  );
}

/** Begins a run that does not end before it is told to. */
function begin(guard: ReturnType<typeof idempotencyGuard>, key = "key", fingerprint?: string) {
  const end = Promise.withResolvers<unknown>();
  const started = Promise.withResolvers<Context>();
  const result = guard.run(
    key,
    (context) => {
      started.resolve(context);
      return end.promise;
    },
    { fingerprint },
  );
  result.catch(() => {});
  return { ...end, result, started: started.promise };
}

describe("replay", () => {
  test("The first result is replayed to later callers, each with an object of its own", async () => {
    const { guard, elsewhere } = setUp();
    const task = vi.fn(() => ({ receipt: 1, lines: [] as number[] }));
    const first = await guard.run("key", task);
    const second = await guard.run("key", task);
    second.lines.push(1);
    expect(await elsewhere.run("key", task)).toEqual(first);
    expect(task).toHaveBeenCalledTimes(1);
  });

  test("A result of undefined is one", async () => {
    const { guard } = setUp();
    const task = vi.fn(() => undefined);
    expect(await guard.run("key", task)).toBeUndefined();
    expect(await guard.run("key", task)).toBeUndefined();
    expect(task).toHaveBeenCalledTimes(1);
  });

  test("A result is forgotten after its ttl", async () => {
    const { guard, clock } = setUp({ ttl: 1_000 });
    let n = 0;
    const task = () => ++n;
    expect(await guard.run("key", task)).toBe(1);
    await clock.advance(999);
    expect(await guard.run("key", task)).toBe(1);
    await clock.advance(1);
    expect(await guard.run("key", task)).toBe(2);
  });

  test("A failed run frees the key, and its caller gets the error itself", async () => {
    const { guard } = setUp();
    const failure = new Error("declined");
    await expect(guard.run("key", () => Promise.reject(failure))).rejects.toBe(failure);
    expect(await guard.run("key", () => "paid")).toBe("paid");
  });

  test("An error that keepFailure takes for an outcome is replayed, with its name, code and data", async () => {
    const { guard } = setUp({ keepFailure: (error) => (error as { status?: number }).status === 402 });
    const failure = Object.assign(new RangeError("declined"), { status: 402, code: "E_DECLINED" });
    const task = vi.fn(() => Promise.reject(failure));
    await expect(guard.run("key", task)).rejects.toBe(failure);
    const replayed = await guard.run("key", task).catch((error: unknown) => error);
    expect(replayed).toBeInstanceOf(Error);
    expect(replayed).toMatchObject({ name: "RangeError", message: "declined", status: 402, code: "E_DECLINED" });
    expect(task).toHaveBeenCalledTimes(1);
  });

  test("What is thrown and kept need not be an error", async () => {
    const { guard } = setUp({ keepFailure: () => true });
    await expect(guard.run("key", () => Promise.reject("no"))).rejects.toBe("no");
    await expect(guard.run("key", () => "yes")).rejects.toBe("no");
  });

  test("A result that cannot be encoded rejects, and leaves the key as after a crash: the work was done", async () => {
    const { guard } = setUp();
    await expect(guard.run("key", () => 1n as unknown)).rejects.toThrow(TypeError);
    expect(await code(guard.run("key", () => 2))).toBe("ERR_IDEMPOTENCY_CRASHED");
  });
});

describe("duplicates of a run that goes on", () => {
  test("They wait for its outcome, in the same process and elsewhere", async () => {
    const { guard, elsewhere, clock } = setUp();
    const first = begin(guard);
    await first.started;
    const task = vi.fn(() => "second");
    const here = guard.run("key", task);
    const there = elsewhere.run("key", task);
    await clock.advance(100);
    first.resolve("first");
    expect(await first.result).toBe("first");
    expect(await here).toBe("first");
    await clock.advance(1_000);
    expect(await there).toBe("first");
    expect(task).not.toHaveBeenCalled();
    expect(clock.timers).toBe(0);
  });

  test("They are rejected if that is wanted, in the same process and elsewhere; a replay is not", async () => {
    const { guard, elsewhere } = setUp({ onDuplicate: "reject" });
    const first = begin(guard);
    await first.started;
    expect(await code(guard.run("key", () => "second"))).toBe("ERR_IDEMPOTENCY_CONFLICT");
    expect(await code(elsewhere.run("key", () => "second"))).toBe("ERR_IDEMPOTENCY_CONFLICT");
    first.resolve("first");
    await first.result;
    expect(await Promise.all([guard.run("key", () => "x"), guard.run("key", () => "y")])).toEqual(["first", "first"]);
  });

  test("When it fails, the next in line runs its own task, and the others get that outcome", async () => {
    const { guard } = setUp();
    const first = begin(guard);
    await first.started;
    const rest = [2, 3, 4].map((n) => guard.run("key", () => n));
    first.reject(new Error("first failed"));
    await expect(first.result).rejects.toThrow("first failed");
    expect(await Promise.all(rest)).toEqual([2, 2, 2]);
  });

  test("Other keys do not wait", async () => {
    const { guard } = setUp();
    const first = begin(guard, "a");
    expect(await guard.run("b", () => "b")).toBe("b");
    first.resolve("a");
    expect(await first.result).toBe("a");
  });

  test("Those who wait elsewhere look less and less often", async () => {
    const { guard, clock, store } = setUp({ poll: 10 });
    const first = begin(guard);
    await first.started;
    const looks = vi.spyOn(store, "begin");
    const waiting = idempotencyGuard({ store, clock, poll: 10, random: () => 0.5 }).run("key", () => "x");
    await clock.advance(10_000);
    expect(looks.mock.calls.length).toBeLessThan(120); // every 100 ms in the end
    first.resolve("done");
    await clock.advance(101);
    expect(await waiting).toBe("done");
  });
});

describe("fingerprints", () => {
  test("The same key with another fingerprint is refused, while the first runs and afterwards", async () => {
    const { guard, elsewhere } = setUp();
    const first = begin(guard, "key", "f");
    await first.started;
    const other = { fingerprint: "g" };
    expect(await code(guard.run("key", () => "x", other))).toBe("ERR_IDEMPOTENCY_MISMATCH");
    expect(await code(elsewhere.run("key", () => "x", other))).toBe("ERR_IDEMPOTENCY_MISMATCH");
    first.resolve("done");
    await first.result;
    expect(await code(guard.run("key", () => "x", other))).toBe("ERR_IDEMPOTENCY_MISMATCH");
    expect(await guard.run("key", () => "x", { fingerprint: "f" })).toBe("done");
    expect(await guard.run("key", () => "x")).toBe("done");
  });

  test("A failed run frees the key for any fingerprint", async () => {
    const { guard } = setUp();
    await code(guard.run("key", () => Promise.reject(new Error("no")), { fingerprint: "f" }));
    expect(await guard.run("key", () => "x", { fingerprint: "g" })).toBe("x");
  });
});

describe("abort", () => {
  test("It ends the wait of one caller, in the same turn and with its reason; the work goes on", async () => {
    const { guard } = setUp();
    const leaving = new AbortController();
    const end = Promise.withResolvers<string>();
    let seen: Context | undefined;
    const first = guard.run(
      "key",
      (context) => {
        seen = context;
        return end.promise;
      },
      { signal: leaving.signal },
    );
    const second = guard.run("key", () => "second");
    await vi.waitUntil(() => seen);
    const reason = new Error("caller left");
    leaving.abort(reason);
    await expect(first).rejects.toBe(reason);
    expect(seen?.cancelled).toBe(false);
    end.resolve("done");
    expect(await second).toBe("done");
    expect(await guard.run("key", () => "third")).toBe("done");
    expect(guard.stats()["keys"]).toBe(0);
  });

  test("One who waits in line leaves it; the others stay", async () => {
    const { guard, elsewhere, clock } = setUp();
    const first = begin(guard);
    await first.started;
    const task = vi.fn(() => "x");
    for (const which of [guard, elsewhere]) {
      const leaving = new AbortController();
      const waiting = which.run("key", task, { signal: leaving.signal });
      await clock.advance(10);
      leaving.abort(new Error("caller left"));
      await expect(waiting).rejects.toThrow("caller left");
    }
    first.resolve("done");
    await first.result;
    await clock.advance(1_000);
    expect(task).not.toHaveBeenCalled();
    expect(elsewhere.stats()["keys"]).toBe(0);
    expect(clock.timers).toBe(0);
  });

  test("One who left while the store was asked frees the key", async () => {
    const { store, clock } = setUp();
    const asked = Promise.withResolvers<void>();
    const slow: IdempotencyStore = {
      begin: (key, claim) => asked.promise.then(() => store.begin(key, claim)),
      renew: (...args) => store.renew(...args),
      complete: (...args) => store.complete(...args),
      abandon: (...args) => store.abandon(...args),
    };
    const guard = idempotencyGuard({ store: slow, clock });
    const leaving = new AbortController();
    const task = vi.fn();
    const result = guard.run("key", task, { signal: leaving.signal });
    leaving.abort(new Error("caller left"));
    await expect(result).rejects.toThrow("caller left");
    asked.resolve();
    expect(await guard.run("key", () => "next")).toBe("next");
    expect(task).not.toHaveBeenCalled();
  });

  test("Cancelled at any step, a caller loses nothing: the next one gets the outcome, or runs", async () => {
    for (const onDuplicate of ["wait", "reject"] as const) {
      await cancelSweep(async (context, step) => {
        const { guard, store } = setUp({ onDuplicate });
        let runs = 0;
        const task = async (): Promise<number> => {
          await Promise.resolve();
          return ++runs;
        };
        const first = guard.run(`key ${step}`, task, { signal: context });
        await first.catch(() => {});
        await vi.waitUntil(() => guard.stats()["keys"] === 0);
        expect(await guard.run(`key ${step}`, task)).toBe(1);
        expect([runs, store.stats()["records"]]).toEqual([1, 1]);
      });
    }
  });

  test("A signal that has aborted, or a context that has ended, keeps everything from starting", async () => {
    const { guard, store } = setUp();
    const task = vi.fn();
    await expect(guard.run("key", task, { signal: AbortSignal.abort("left") })).rejects.toBe("left");
    const context = Context.derive();
    context.cancel("ended");
    await expect(guard.run("key", task, { signal: context })).rejects.toBe("ended");
    await expect(Context.run(context, () => guard.run("key", task))).rejects.toBe("ended");
    expect(task).not.toHaveBeenCalled();
    expect(store.stats()["records"]).toBe(0);
  });

  test("The task has the values and the AsyncLocalStorage frames of its own caller", async () => {
    const { guard } = setUp();
    const tenant = new ContextKey<string>("tenant");
    const frames = new AsyncLocalStorage<string>();
    const first = begin(guard);
    await first.started;
    const second = frames.run("frame", () =>
      Context.run(Context.derive({ values: [tenant.of("acme")] }), () =>
        guard.run("key", (context) => [context.get(tenant), Context.current() === context, frames.getStore()]),
      ),
    );
    first.reject(new Error("no"));
    expect(await second).toEqual(["acme", true, "frame"]);
  });

  test("A run has the guard's timeout, and frees the key when it fails by it", async () => {
    const { guard, clock } = setUp({ timeout: 500 });
    const result = guard.run(
      "key",
      ({ signal }) =>
        new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error))),
      { signal: Context.derive({ clock }) },
    );
    result.catch(() => {});
    await clock.advance(500);
    await expect(result).rejects.toThrow(TimeoutError);
    expect(await guard.run("key", () => "again")).toBe("again");
  });
});

describe("crashes", () => {
  const dead = { owner: "dead", fingerprint: "f", lease: 100, ttl: 60_000, takeOver: "" };

  test("The default is to say so, again and again until the record ends", async () => {
    const { guard, store, clock } = setUp();
    store.begin("key", dead);
    const waiting = guard.run("key", () => "x");
    const seen = waiting.catch((error: unknown) => error);
    await clock.advance(200);
    expect(await seen).toMatchObject({ code: "ERR_IDEMPOTENCY_CRASHED", key: "key", crashedId: "dead" });
    await clock.advance(59_000);
    expect(await code(guard.run("key", () => "x"))).toBe("ERR_IDEMPOTENCY_CRASHED");
    expect(await code(guard.run("key", () => "x", { fingerprint: "g" }))).toBe("ERR_IDEMPOTENCY_MISMATCH");
    await clock.advance(1_000);
    expect(await guard.run("key", () => "x")).toBe("x");
  });

  test("'rerun' runs the task once, with a higher fence, whoever comes", async () => {
    const { guard, elsewhere, store, clock } = setUp({ onCrash: "rerun" });
    const first = store.begin("key", dead);
    await clock.advance(100);
    const task = vi.fn((_context: Context, { fence, crashedId }: { fence: number; crashedId: string | undefined }) => ({
      fence,
      crashedId,
    }));
    const results = Promise.all([guard.run("key", task), elsewhere.run("key", task), guard.run("key", task)]);
    await clock.advance(100);
    const [result] = await results;
    expect(result?.crashedId).toBe("dead");
    expect(result?.fence).toBeGreaterThan((first as { fence: number }).fence);
    expect(task).toHaveBeenCalledTimes(1);
  });

  test("A function finds out that the work took effect, and its result is the outcome", async () => {
    const onCrash = vi.fn(async () => ({ value: "found" }));
    const { guard, store, clock } = setUp({ onCrash });
    store.begin("key", dead);
    await clock.advance(100);
    const task = vi.fn();
    expect(await guard.run("key", task)).toBe("found");
    expect(await guard.run("key", task)).toBe("found");
    expect(task).not.toHaveBeenCalled();
    expect(onCrash).toHaveBeenCalledTimes(1);
    expect(onCrash).toHaveBeenCalledWith(expect.objectContaining({ key: "key", crashedId: "dead" }), expect.anything());
  });

  test("A function that cannot tell, or fails, leaves the crash to the next", async () => {
    const answers = [
      () => "reject" as const,
      () => Promise.reject(new Error("ledger is away")),
      () => "rerun" as const,
    ];
    const { guard, store, clock } = setUp({ onCrash: () => answers.shift()?.() ?? "reject" });
    store.begin("key", dead);
    await clock.advance(100);
    expect(await code(guard.run("key", () => "x"))).toBe("ERR_IDEMPOTENCY_CRASHED");
    await expect(guard.run("key", () => "x")).rejects.toThrow("ledger is away");
    expect(await guard.run("key", () => "x")).toBe("x");
  });

  test("A run that goes on is heard of, however long it takes", async () => {
    const { guard, elsewhere, clock } = setUp({ lease: 300, onCrash: "rerun" });
    const first = begin(guard);
    await first.started;
    const task = vi.fn(() => "second");
    const second = elsewhere.run("key", task);
    await clock.advance(60_000);
    first.resolve("first");
    await clock.advance(1_000);
    expect(await second).toBe("first");
    expect(task).not.toHaveBeenCalled();
  });

  test("A holder that was presumed dead cannot overwrite its successor, and is told", async () => {
    const { guard, clock, store } = setUp({ lease: 300, onCrash: "rerun" });
    const first = begin(guard);
    const context = await first.started;
    const renew = vi.spyOn(store, "renew").mockImplementation(() => {
      throw new Error("away");
    });
    await clock.advance(200);
    expect(context.cancelled).toBe(false);
    await clock.advance(150); // the lease has ended: another may take over
    expect(context.cause).toMatchObject({ code: "ERR_IDEMPOTENCY_LOST" });
    renew.mockRestore();
    const successor = idempotencyGuard({ store, clock, onCrash: "rerun" });
    expect(await successor.run("key", () => "second")).toBe("second");
    first.resolve("first");
    expect(await code(first.result)).toBe("ERR_IDEMPOTENCY_LOST");
    expect(await guard.run("key", () => "third")).toBe("second");
  });

  test("A lease that cannot be renewed does not end a run whose place nobody may take", async () => {
    const { guard, clock, store } = setUp({ lease: 300 });
    const first = begin(guard);
    const context = await first.started;
    const renew = vi.spyOn(store, "renew").mockImplementation(() => {
      throw new Error("away");
    });
    await clock.advance(1_000);
    expect(context.cancelled).toBe(false);
    renew.mockRestore();
    first.resolve("first");
    expect(await first.result).toBe("first");
    expect(await guard.run("key", () => "second")).toBe("first");
  });
});

describe("a store that is away", () => {
  function flaky() {
    const { clock, store } = setUp();
    const state = { away: false };
    const guarded =
      <Args extends unknown[], R>(step: (...args: Args) => R) =>
      async (...args: Args): Promise<R> => {
        if (state.away) throw new Error("store is away");
        return step(...args);
      };
    const port: IdempotencyStore = {
      begin: guarded((...args: Parameters<typeof store.begin>) => store.begin(...args)),
      renew: guarded((...args: Parameters<typeof store.renew>) => store.renew(...args)),
      complete: guarded((...args: Parameters<typeof store.complete>) => store.complete(...args)),
      abandon: guarded((...args: Parameters<typeof store.abandon>) => store.abandon(...args)),
    };
    return { clock, store, state, port };
  }

  test("By default nothing runs without a record", async () => {
    const { clock, state, port } = flaky();
    const guard = idempotencyGuard({ store: port, clock });
    state.away = true;
    const task = vi.fn();
    await expect(guard.run("key", task)).rejects.toThrow("store is away");
    expect(task).not.toHaveBeenCalled();
  });

  test("It runs without one if that is wanted, with the fence 0", async () => {
    const { clock, state, port } = flaky();
    const guard = idempotencyGuard({ store: port, clock, onStoreError: "run" });
    state.away = true;
    expect(await guard.run("key", (_context, { fence }) => fence)).toBe(0);
  });

  test("A result that cannot be kept at once reaches the caller, those in line, and the store when it is back", async () => {
    const { clock, state, port, store } = flaky();
    const guard = idempotencyGuard({ store: port, clock, lease: 1_000 });
    const first = begin(guard);
    await first.started;
    const second = guard.run("key", () => "second");
    state.away = true;
    first.resolve("first");
    expect(await first.result).toBe("first");
    expect(await second).toBe("first");
    expect(await guard.run("key", () => "third")).toBe("first");
    await clock.advance(250);
    state.away = false;
    await clock.advance(100);
    expect(store.begin("key", { owner: "x", fingerprint: "", lease: 1, ttl: 1, takeOver: "" }).state).toBe("completed");
    expect(guard.stats()["keys"]).toBe(0);
    expect(clock.timers).toBe(0);
  });

  test("A result that cannot be kept for as long as a lease leaves the key as after a crash", async () => {
    const { clock, state, port } = flaky();
    const guard = idempotencyGuard({ store: port, clock, lease: 1_000 });
    const first = begin(guard);
    await first.started;
    state.away = true;
    first.resolve("first");
    expect(await first.result).toBe("first");
    await clock.advance(1_000);
    expect(clock.timers).toBe(0);
    state.away = false;
    expect(await code(guard.run("key", () => "second"))).toBe("ERR_IDEMPOTENCY_CRASHED");
  });

  test("A begin whose answer is lost does not leave a record of a run that never was", async () => {
    const { clock, store, port } = flaky();
    const losing: IdempotencyStore = {
      ...port,
      begin: async (key, claim) => {
        store.begin(key, claim);
        throw new Error("answer lost");
      },
    };
    await expect(idempotencyGuard({ store: losing, clock }).run("key", () => "x")).rejects.toThrow("answer lost");
    await clock.advance(1_000);
    expect(await idempotencyGuard({ store, clock }).run("key", () => "x")).toBe("x");
  });
});

test("Events tell what happened to a key", async () => {
  const { guard } = setUp({ onDuplicate: "reject", name: "payments" });
  const seen: unknown[] = [];
  const listen = (event: unknown): void => {
    const { kind, name, key, error } = event as { kind: string; name: string; key: string; error?: { code?: string } };
    if (name === "payments") seen.push([kind, key, error?.code]);
  };
  subscribe(resilienceChannel, listen);
  const first = begin(guard);
  await first.started;
  await code(guard.run("key", () => "x"));
  first.resolve("done");
  await first.result;
  await guard.run("key", () => "x");
  unsubscribe(resilienceChannel, listen);
  expect(seen).toEqual([
    ["idempotency-rejected", "key", "ERR_IDEMPOTENCY_CONFLICT"],
    ["idempotency-replayed", "key", undefined],
  ]);
  expect(components("idempotency-guard").find(({ name }) => name === "payments")?.stats).toEqual({
    keys: 0,
    runs: 1,
    replays: 1,
    rejections: 1,
  });
});

test("What is wrong with options, keys and tasks is said", async () => {
  expect(() => idempotencyGuard({ lease: 10 })).toThrow("lease must be an integer of at least 100, got 10");
  expect(() => idempotencyGuard({ onCrash: "ignore" as "reject" })).toThrow(
    'Cannot create an idempotencyGuard: onCrash must be one of "reject", "rerun", got "ignore"',
  );
  expect(() => idempotencyGuard({ store: {} as IdempotencyStore })).toThrow("store must be an IdempotencyStore");
  const { guard } = setUp();
  await expect(guard.run("", () => 1)).rejects.toThrow("key must be a string that is not empty");
  await expect(guard.run("key", 1 as unknown as () => 1)).rejects.toThrow("task must be a function");
});
