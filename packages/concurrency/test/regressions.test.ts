// What has hurt users of other packages, and must not hurt ours. In brackets: where it was reported.
import { AsyncLocalStorage } from "node:async_hooks";
import { getEventListeners } from "node:events";
import { mock } from "node:test";
import {
  after,
  batcher,
  Context,
  ContextKey,
  Event,
  fixedWindow,
  Keyed,
  leakyBucket,
  limit,
  Mutex,
  pipe,
  pool,
  RateLimitedError,
  type RateLimiter,
  RwLock,
  Semaphore,
  scope,
  select,
  slidingWindow,
  type Task,
  tokenBucket,
} from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test, vi } from "vitest";
import { places } from "./support/primitives.ts";
import { runModule } from "./support/run-module.ts";

test("[nodejs/node#52635, #47449, #35990, undici#3157, p-timeout#42, p-retry#71, bb#2809] waits of all kinds on one signal are one listener and no warning", async () => {
  const warnings: string[] = [];
  const listener = ({ name }: Error): void => void warnings.push(name);
  process.on("warning", listener);
  const controller = new AbortController();
  const { signal } = controller;
  const waiting: Promise<unknown>[] = [];
  for (const make of Object.values(places)) {
    for (let i = 0; i < 10; i++) {
      const place = await make();
      place.block();
      waiting.push(place.enter({ signal }).catch((error: unknown) => error));
    }
  }
  await new Promise((resolve) => setImmediate(resolve));

  expect(getEventListeners(signal, "abort")).toHaveLength(1);
  controller.abort("enough");
  expect(new Set(await Promise.all(waiting))).toEqual(new Set(["enough"]));
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
  await new Promise((resolve) => setImmediate(resolve));
  expect(warnings).toEqual([]);
  process.off("warning", listener);
});

test("[nodejs/node#54614, #55351, #57584, #57867, #62367, #64481, denoland/deno#32916] no context is collected while somebody waits for its end", async () => {
  const { stdout } = await runModule(
    `
    import { Context } from "@proj/concurrency";
    const source = new AbortController();
    const parent = Context.derive();
    const told = [];
    function register() {
      const tell = (who) => () => told.push(who);
      Context.derive({ signal: source.signal }).signal.addEventListener("abort", tell("signal"));
      Context.derive({ parent: Context.derive({ parent }) }).signal.addEventListener("abort", tell("grandchild"));
      Context.derive({ timeout: 30 }).signal.addEventListener("abort", tell("timeout"));
      Context.after(Context.derive({ signal: AbortSignal.timeout(30) }), tell("signal with a timeout"));
      AbortSignal.any([Context.derive({ parent }).signal]).addEventListener("abort", tell("composite"));
    }
    register();
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      gc();
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    source.abort();
    parent.cancel();
    console.log(told.sort().join(", "));
  `,
    ["--expose-gc"],
  );
  expect(stdout).toBe("composite, grandchild, signal, signal with a timeout, timeout\n");
});

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
    pool: (task) => things.run((_thing, context) => task(context)),
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

test("[node-rate-limiter-flexible#143, #71] a caller can wait instead, and for longer than 2^31 ms", async () => {
  const clock = new TestClock();
  const limiters: RateLimiter[] = [
    fixedWindow({ limit: 1, window: 2 ** 32, clock }),
    slidingWindow({ limit: 1, window: 2 ** 32, exact: true, clock }),
    tokenBucket({ rate: 1, per: 2 ** 32, burst: 1, clock }),
  ];
  let taken = 0;
  for (const limiter of limiters) {
    limiter.tryTake();
    void limiter.take().then(() => taken++);
  }
  await clock.advance(2 ** 31 + 1);
  expect(taken).toBe(0);
  await clock.advance(2 ** 31);
  expect(taken).toBe(3);
});

test("[grpc-node#1542, #1632, grpc-java#1205, #11690, connect-es#632] a hop takes the least time of all, tells what is left, and can opt out", async () => {
  const clock = new TestClock();
  using incoming = Context.extract({ "grpc-timeout": "2S" }, { clock, timeout: 10_000 });
  using own = Context.derive({ parent: incoming, timeout: 60_000 });
  expect(own.remaining).toBe(2_000);

  await clock.advance(500);
  const outgoing = new Headers();
  Context.inject(own, outgoing);
  expect(outgoing.get("x-deadline-ms")).toBe("1500");

  const beyond = Context.detach(own);
  const watched = own.signal;
  await clock.advance(1_500);
  expect(watched.aborted).toBe(true);
  expect(own.cause).toMatchObject({ name: "TimeoutError" });
  expect([beyond.cancelled, beyond.remaining]).toEqual([false, Number.POSITIVE_INFINITY]);
});

test("[tc39/proposal-async-context#103] whoever waits deep below hears of the end without having been passed a signal", async () => {
  const never = new Event();
  const deep = async (depth: number): Promise<void> => (depth === 0 ? await never.wait() : await deep(depth - 1));
  const context = Context.derive();
  const waiting = Context.run(context, () => deep(20));
  context.cancel("the client has gone");
  await expect(waiting).rejects.toBe("the client has gone");
});

test("[fake-timers#418, #521, vitest#3088, p-timeout#16] fake timers reach every wait for a time", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] });
  const limiter = tokenBucket({ rate: 1 });
  limiter.tryTake();
  const things = pool({ create: () => ({}), max: 1 });
  const lease = await things.acquire();
  const stuck = async function* (): AsyncGenerator<number> {
    yield 1;
    await new Promise(() => {});
  };
  const waits: Record<string, Promise<unknown>> = {
    context: new Promise((resolve) => Context.after(Context.derive({ timeout: 60_000 }), resolve)),
    signal: new Promise((resolve) => {
      Context.derive({ timeout: 60_000 }).signal.addEventListener("abort", resolve);
    }),
    event: new Event().wait({ timeout: 60_000 }),
    scope: scope((tasks) => tasks.spawn((context) => new Event().wait({ signal: context })), { timeout: 60_000 }),
    select: select({ late: after(60_000) }),
    limiter: limiter.take(),
    batcher: batcher((keys: readonly number[]) => keys, { maxWait: 60_000 }).load(1),
    pool: things.acquire({ timeout: 60_000 }),
    pipe: pipe(stuck()).batch({ max: 2, wait: 60_000 }).take(1).toArray(),
  };
  const over: string[] = [];
  const settled = Object.entries(waits).map(([name, wait]) =>
    wait.then(
      () => over.push(name),
      () => over.push(name),
    ),
  );
  await vi.advanceTimersByTimeAsync(100);
  expect(over).toEqual([]);
  await vi.advanceTimersByTimeAsync(60_000);
  vi.useRealTimers();
  await Promise.all(settled);
  expect(over.sort()).toEqual(Object.keys(waits).sort());
  lease.release();
});

test("[nodejs/node#60509] the mock timers of node:test reach deadlines and timeouts, although they leave performance.now() alone", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const context = Context.derive({ timeout: 60_000 });
  const ended = new Promise((resolve) => Context.after(context, resolve));
  const waiting = new Event().wait({ timeout: 60_000 }).catch((error: Error) => error.name);
  const late = select({ late: after(60_000) });
  mock.timers.tick(60_001);
  mock.timers.reset();
  expect(await ended).toMatchObject({ name: "TimeoutError" });
  expect(await waiting).toBe("TimeoutError");
  expect((await late).key).toBe("late");
});
