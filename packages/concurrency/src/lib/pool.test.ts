import { mock } from "node:test";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { cancelSweep } from "./cancel-sweep.ts";
import { ClosedError } from "./closed-error.ts";
import { Context } from "./context.ts";
import { type Pool, type PoolOptions, pool } from "./pool.ts";
import { TestClock } from "./test-clock.ts";
import { TimeoutError } from "./timeout-error.ts";

/** A pool of numbered objects that remembers what was made and destroyed. */
function numbered(options: Partial<PoolOptions<{ id: number }>> = {}) {
  const clock = new TestClock();
  const made: { id: number }[] = [];
  const gone: number[] = [];
  const resources = pool<{ id: number }>({
    create: async () => {
      const resource = { id: made.length + 1 };
      made.push(resource);
      return resource;
    },
    destroy: async ({ id }) => void gone.push(id),
    clock,
    random: () => 0,
    ...options,
  });
  return { clock, made, gone, resources };
}

const flush = async () => {
  for (let i = 0; i < 20; i++) await Promise.resolve();
};

test("a resource is lent to one caller at a time and used again", async () => {
  const { made, resources } = numbered({ max: 1 });
  const first = await resources.acquire();
  const waiting = resources.acquire();
  await flush();
  expect(resources.stats).toMatchObject({ size: 1, leased: 1, waiting: 1 });
  first.release();
  expect((await waiting).resource).toBe(first.resource);
  expect(made.length).toBe(1);
});

test("callers are served in the order in which they came, the resource used last goes first", async () => {
  const { resources } = numbered({ max: 2 });
  const [a, b] = [await resources.acquire(), await resources.acquire()];
  const order: string[] = [];
  const waits = ["first", "second"].map(async (name) => {
    const lease = await resources.acquire();
    order.push(name);
    return lease;
  });
  a.release();
  b.release();
  const [c, d] = (await Promise.all(waits)) as [typeof a, typeof a];
  expect(order).toEqual(["first", "second"]);
  c.release();
  d.release();
  expect((await resources.acquire()).resource).toBe(d.resource);
});

test("releasing twice does not take the resource from its next holder", async () => {
  const { resources } = numbered({ max: 1 });
  const first = await resources.acquire();
  first.release();
  const second = await resources.acquire();
  first.release();
  first[Symbol.dispose]();
  first.discard();
  expect(resources.tryAcquire()).toBeUndefined();
  second.release();
  expect(resources.stats).toMatchObject({ idle: 1, leased: 0 });
});

test("run() gives the resource back however the task ends", async () => {
  const { resources } = numbered({ max: 1 });
  expect(await resources.run(({ id }) => `used ${id}`)).toBe("used 1");
  await expect(resources.run(() => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
  expect(resources.stats).toMatchObject({ idle: 1, leased: 0, created: 1 });
});

test("the task of run() runs in the context it is given", async () => {
  const { resources } = numbered();
  using context = Context.derive();
  const seen = await resources.run((_, own) => own === context && Context.current() === context, { signal: context });
  expect(seen).toBe(true);
  expect(await resources.run((_, own) => own === Context.current())).toBe(true);
});

test("discard() destroys the resource instead of using it again", async () => {
  const { gone, resources } = numbered({ max: 1 });
  const first = await resources.acquire();
  first.discard();
  expect((await resources.acquire()).resource.id).toBe(2);
  expect(gone).toEqual([1]);
});

test("there are never more than max, those being made and destroyed included", async () => {
  const closing = Promise.withResolvers<void>();
  const { resources } = numbered({ max: 1, destroy: () => closing.promise });
  (await resources.acquire()).discard();
  const next = resources.acquire();
  await flush();
  expect(resources.stats).toMatchObject({ size: 0, destroying: 1, waiting: 1 });
  closing.resolve();
  expect((await next).resource.id).toBe(2);
});

test("a destroy that never ends gives its place away after destroyTimeout", async () => {
  const { clock, resources } = numbered({ max: 1, destroyTimeout: 50, destroy: () => new Promise(() => {}) });
  (await resources.acquire()).discard();
  const next = resources.acquire();
  await clock.advance(50);
  expect((await next).resource.id).toBe(2);
  expect(resources.stats.destroyErrors).toBe(1);
  expect(resources.lastError).toBeInstanceOf(TimeoutError);
});

// What users of other pools were hurt by: coopernurse/node-pool #161, #175, #183, #273 and #61, Haraka #3104.

test("[node-pool#175, #183] a create that always fails rejects the caller and does not spin", async () => {
  let attempts = 0;
  const refused = new Error("connection refused");
  const { clock, resources } = numbered({
    create: () => {
      attempts++;
      return Promise.reject(refused);
    },
    createBackoff: (attempt) => Math.min(1_000, 100 * 2 ** (attempt - 1)),
  });
  await expect(resources.acquire()).rejects.toBe(refused);
  expect(attempts).toBe(1);

  const next = resources.acquire();
  const failed = expect(next).rejects.toBe(refused);
  await clock.advance(99);
  expect(attempts).toBe(1); // still in the pause
  await clock.advance(1);
  await failed;
  expect(attempts).toBe(2);

  const endless = (async () => {
    for (;;) await resources.acquire({ timeout: 60_000 }).catch((error: Error) => error);
  })();
  await clock.advance(60_000);
  expect(attempts).toBeLessThan(70); // one a second at most by then
  void endless;
});

test("[node-pool#161, #273] a create that throws at once is the error of acquire, too", async () => {
  const { clock, resources } = numbered({
    create: () => {
      throw new Error("wrong password");
    },
  });
  await expect(resources.acquire()).rejects.toThrow("wrong password");
  const used = expect(resources.run(() => "never")).rejects.toThrow("wrong password");
  await clock.advance(100);
  await used;
});

test("[node-pool#183, Haraka#3104] the timeout of acquire works while create fails all the time", async () => {
  const { clock, resources } = numbered({
    create: () => Promise.reject(new Error("down")),
    createBackoff: () => 10_000,
  });
  await expect(resources.acquire()).rejects.toThrow("down");
  const wait = resources.acquire({ timeout: 500 });
  const timedOut = expect(wait).rejects.toMatchObject({
    name: "TimeoutError",
    timeoutMs: 500,
    cause: new Error("down"),
  });
  await clock.advance(500);
  await timedOut;
  expect(resources.stats).toMatchObject({ waiting: 0, timeouts: 1, createErrors: 1 });
});

test("[tarn#57, node-pool#61] a create that never ends is given up after createTimeout; what comes late is destroyed", async () => {
  const late = Promise.withResolvers<{ id: number }>();
  let ended: unknown;
  const { clock, gone, resources } = numbered({
    create: (context) => {
      Context.after(context, (cause) => {
        ended = cause;
      });
      return late.promise;
    },
    createTimeout: 1_000,
  });
  const wait = resources.acquire();
  const failed = expect(wait).rejects.toBeInstanceOf(TimeoutError);
  await clock.advance(1_000);
  await failed;
  expect(ended).toBeInstanceOf(TimeoutError);
  late.resolve({ id: 99 });
  await flush();
  expect(gone).toEqual([99]);
  expect(resources.stats.size).toBe(0);
});

test("[tarn#61] when a create fails, the callers behind it are served by the next attempt", async () => {
  let attempts = 0;
  const { clock, resources } = numbered({
    max: 1,
    create: async () => {
      if (++attempts === 1) throw new Error("once");
      return { id: attempts };
    },
    createBackoff: () => 100,
  });
  const [first, second] = [resources.acquire(), resources.acquire()];
  await expect(first).rejects.toThrow("once");
  await clock.advance(100);
  expect((await second).resource.id).toBe(2);
});

test("a backoff that throws or gives no duration is an uncaught exception, and attempts go on after the default pause", async () => {
  const thrown: unknown[] = [];
  const nextTick = vi.spyOn(process, "nextTick").mockImplementation((callback) => {
    try {
      callback();
    } catch (error) {
      thrown.push(error);
    }
  });
  let attempts = 0;
  const { clock, resources } = numbered({
    create: () => {
      attempts++;
      return Promise.reject(new Error("down"));
    },
    createBackoff: (attempt) => {
      if (attempt === 1) throw new Error("bad luck");
      return Number.NaN;
    },
  });
  const asking = (async () => {
    for (let i = 0; i < 3; i++) await resources.acquire().catch(() => {});
  })();
  await clock.advance(99);
  expect(attempts).toBe(1);
  await clock.advance(1);
  expect(attempts).toBe(2);
  await clock.advance(200);
  expect(attempts).toBe(3);
  await asking;
  nextTick.mockRestore();
  expect(thrown.slice(0, 2).map(String)).toEqual([
    "Error: bad luck",
    "RangeError: Cannot wait after a failure: the result of the backoff must be 0 ms or more, got NaN",
  ]);
});

test("a resource that comes back serves those who wait out the pause", async () => {
  let fails = false;
  const { resources } = numbered({
    max: 2,
    create: async () => {
      if (fails) throw new Error("down");
      return { id: 1 };
    },
  });
  const held = await resources.acquire();
  fails = true;
  await expect(resources.acquire()).rejects.toThrow("down");
  const waiting = resources.acquire();
  held.release();
  expect((await waiting).resource).toBe(held.resource);
});

test("the pause doubles with each failure in a row and starts anew after a success", async () => {
  const times: number[] = [];
  let fails = true;
  const { clock, resources } = numbered({
    create: async () => {
      times.push(clock.now());
      if (fails) throw new Error("down");
      return { id: 1 };
    },
    createBackoff: (attempt) => Math.min(400, 100 * 2 ** (attempt - 1)),
  });
  const drain = async (count: number) => {
    for (let i = 0; i < count; i++) await resources.acquire().catch(() => {});
  };
  const draining = drain(5);
  await clock.advance(5_000);
  await draining;
  expect(times).toEqual([0, 100, 300, 700, 1_100]);
  fails = false;
  const held = await resources.acquire();
  fails = true;
  times.length = 0;
  const again = drain(2);
  await clock.advance(200);
  await again;
  expect(times).toEqual([5_000, 5_100]);
  held.release();
});

test("an invalid resource is destroyed and the caller gets another one", async () => {
  const { gone, resources } = numbered({ max: 1, validate: ({ id }) => id !== 1 });
  (await resources.acquire()).release();
  expect((await resources.acquire()).resource.id).toBe(2);
  expect(gone).toEqual([1]);
  expect(resources.stats.invalid).toBe(1);
});

test("a check that throws, or takes too long, counts as not valid", async () => {
  let check: () => Promise<boolean> = () => Promise.reject(new Error("reset by peer"));
  const { clock, resources } = numbered({ max: 1, validateTimeout: 100, validate: () => check() });
  (await resources.acquire()).release();
  const second = await resources.acquire();
  expect(second.resource.id).toBe(2);
  second.release();
  check = () => new Promise(() => {});
  const third = resources.acquire();
  await clock.advance(100);
  expect((await third).resource.id).toBe(3);
});

test("what lies idle goes after one to two times that, down to min, the longest unused first", async () => {
  const { clock, gone, resources } = numbered({ min: 1, max: 4, idle: 1_000 });
  const leases = await Promise.all([1, 2, 3, 4].map(() => resources.acquire()));
  for (const lease of leases) lease.release();
  await clock.advance(500);
  (await resources.acquire()).release(); // keeps the one on top in use
  await clock.advance(1_500);
  expect(gone).toEqual([1, 2, 3]);
  await clock.advance(10_000);
  expect(resources.stats).toMatchObject({ size: 1, idle: 1 });
  expect(clock.timers).toBe(0);
});

test("a resource is replaced when it is too old and nobody holds it", async () => {
  const { clock, gone, resources } = numbered({ max: 2, maxAge: 1_000 });
  const held = await resources.acquire();
  (await resources.acquire()).release();
  await clock.advance(1_000);
  expect(gone).toEqual([2]);
  held.release();
  await flush();
  expect(gone).toEqual([2, 1]);
  expect(clock.timers).toBe(0);
});

test("warmUp makes the minimum at once and goes on trying after failures", async () => {
  let fails = true;
  const { clock, resources } = numbered({
    min: 2,
    warmUp: true,
    create: async () => {
      if (fails) throw new Error("down");
      return { id: 1 };
    },
  });
  await flush();
  expect(resources.stats).toMatchObject({ size: 0, createErrors: 2 });
  expect(() => resources.health()).toThrow("down");
  fails = false;
  await clock.advance(1_000);
  expect(resources.health()).toMatchObject({ size: 2, idle: 2 });
});

test("the minimum is kept when resources are taken out", async () => {
  const { gone, made, resources } = numbered({ min: 2, warmUp: true });
  await flush();
  expect(resources.evict(made[0] as { id: number })).toBe(true);
  expect(resources.evict({ id: 1 })).toBe(false);
  await flush();
  expect(gone).toEqual([1]);
  expect(resources.stats).toMatchObject({ size: 2, created: 3 });
});

test("evict() of a resource that is held destroys it when it comes back", async () => {
  const { gone, resources } = numbered();
  const lease = await resources.acquire();
  expect(resources.evict(lease.resource)).toBe(true);
  await flush();
  expect(gone).toEqual([]);
  lease.release();
  await flush();
  expect(gone).toEqual([1]);
});

test("close() serves those in line, refuses those who come, and waits until everything is destroyed", async () => {
  const { gone, resources } = numbered({ max: 1, name: "db" });
  const first = await resources.acquire();
  const second = resources.acquire();
  let isClosed = false;
  const closing = resources.close().then(() => {
    isClosed = true;
  });
  await expect(resources.acquire()).rejects.toThrow(new ClosedError("db"));
  first.release();
  const last = await second;
  await flush();
  expect(isClosed).toBe(false);
  last.release();
  await closing;
  expect(gone).toEqual([1]);
  expect(() => resources.health()).toThrow(ClosedError);
});

test("close({ timeout }) refuses the line and takes what is still held", async () => {
  const { clock, gone, resources } = numbered({ max: 1 });
  const held = await resources.acquire();
  const waiting = resources.acquire();
  const refused = expect(waiting).rejects.toBeInstanceOf(ClosedError);
  const closing = resources.close({ timeout: 1_000 });
  await clock.advance(1_000);
  await closing;
  await refused;
  expect(gone).toEqual([1]);
  held.release();
  await flush();
  expect(gone).toEqual([1]);
  expect(clock.timers).toBe(0);
});

test("close() of a pool that makes something destroys it when it is there", async () => {
  const { gone, resources } = numbered({ min: 1, warmUp: true });
  await resources.close();
  expect(gone).toEqual([1]);
});

test("close() resolves as soon as the last one in line has given up, though the next attempt is far off", async () => {
  const { clock, resources } = numbered({
    create: () => Promise.reject(new Error("down")),
    createBackoff: () => 60_000,
  });
  await expect(resources.acquire()).rejects.toThrow("down");
  const caller = new AbortController();
  const waits = Promise.allSettled([
    resources.acquire({ signal: caller.signal }),
    resources.acquire({ timeout: 1_000 }),
  ]);
  const closed = resources.close();
  caller.abort("gone");
  await clock.advance(1_000);
  await closed;
  expect((await waits).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect([clock.now(), clock.timers]).toEqual([1_000, 0]);
});

test("the context of what the pool calls ends with the call, whether it waits, gives at once or throws", async () => {
  const signals: AbortSignal[] = [];
  const keep = (context: Context) => signals.push(context.signal);
  const { clock, resources } = numbered({
    create: (context) => ({ id: keep(context) }),
    validate: (_resource, context) => keep(context) > 0,
    destroy: (_resource, context) => {
      keep(context);
      throw new Error("already gone");
    },
  });
  const lease = await resources.acquire();
  lease.release();
  (await resources.acquire()).discard();
  await resources.close();
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, true]);
  expect([clock.timers, resources.stats.destroyErrors]).toEqual([0, 1]);
});

test("an aborted caller leaves the line in the same turn, and what was made for it serves the next", async () => {
  const { clock, made, resources } = numbered({ max: 1 });
  const caller = new AbortController();
  const wait = resources.acquire({ signal: caller.signal });
  caller.abort("left");
  expect(resources.stats.waiting).toBe(0);
  await expect(wait).rejects.toBe("left");
  await flush();
  expect(resources.tryAcquire()?.resource).toBe(made[0]);
  expect(clock.timers).toBe(0);
});

test("each caller waits for the time of the pool, or for its own, however they come and go", async () => {
  const { clock, resources } = numbered({ max: 1, timeout: 100 });
  const held = await resources.acquire();
  const over: string[] = [];
  const wait = (name: string, options?: { timeout?: number; signal?: AbortSignal }) =>
    resources.acquire(options).then(
      (lease) => lease.release(),
      () => over.push(`${name} at ${clock.now()}`),
    );
  const caller = new AbortController();
  const waits = [wait("a", { signal: caller.signal })];
  await clock.advance(10);
  waits.push(wait("b"), wait("long", { timeout: 500 }));
  await clock.advance(20);
  caller.abort();
  waits.push(wait("c"), wait("short", { timeout: 15 }));
  await clock.advance(70);
  waits.push(wait("d"));
  await clock.advance(20);
  expect(over).toEqual(["a at 30", "short at 45", "b at 110"]);
  await clock.advance(500);
  expect(over.slice(3)).toEqual(["c at 130", "d at 200", "long at 510"]);
  held.release();
  await Promise.all([...waits, wait("served")]);
  expect(over.length).toBe(6);
  expect([resources.stats.timeouts, clock.timers]).toEqual([5, 0]);
});

test("the timeout of a pool is reached by timers that run while the time stands still", async () => {
  const { clock, resources } = numbered({ max: 1, timeout: 100, clock: undefined });
  mock.timers.enable({ apis: ["setTimeout"] });
  await resources.acquire();
  const waits = [resources.acquire(), resources.acquire()].map((wait) => wait.catch((error: Error) => error.name));
  mock.timers.tick(101);
  expect(await waits[0]).toBe("TimeoutError");
  mock.timers.tick(101);
  mock.timers.reset();
  expect(await waits[1]).toBe("TimeoutError");
  expect(clock.timers).toBe(0);
});

test("the stack of a timeout shows who was waiting", async () => {
  const { clock, resources } = numbered({ max: 1 });
  await resources.acquire();
  async function impatient() {
    await resources.acquire({ timeout: 10 });
  }
  const failing = expect(impatient()).rejects.toHaveProperty("stack", expect.stringContaining("impatient"));
  await clock.advance(10);
  await failing;
});

test("misuse is answered with the option and the value", async () => {
  const create = () => 1;
  expect(() => pool({ create, max: 0 })).toThrow(/max must be an integer of at least 1.*got 0/);
  expect(() => pool({ create, min: 3, max: 2 })).toThrow(/min must be at most max, which is 2, got 3/);
  expect(() => pool({ create, idle: -1 })).toThrow(RangeError);
  // @ts-expect-error: not a function
  expect(() => pool({ create: 5 })).toThrow(/create must be a function, got 5/);
  await expect(pool({ create }).acquire({ timeout: Number.NaN })).rejects.toThrow(RangeError);
  // @ts-expect-error: not a function
  await expect(pool({ create }).run(5)).rejects.toThrow(/task must be a function, got 5/);
});

test("cancelled at any microtask, no resource is lost", async () => {
  for (const validate of [undefined, async () => true]) {
    await cancelSweep(async (context) => {
      const { resources } = numbered({ max: 1, validate });
      const user = async () => {
        using lease = await resources.acquire({ signal: context });
        await Promise.resolve();
        return lease.resource.id;
      };
      await Promise.allSettled([user(), user(), resources.run(() => undefined, { signal: context })]);
      await flush();
      expect(resources.stats).toMatchObject({ waiting: 0, leased: 0, creating: 0 });
      using lease = await resources.acquire();
      expect(lease.resource.id).toBe(1);
      expect(resources.stats.leased).toBe(1);
    });
  }
});

test("whatever callers, failures and time do, the books balance and nobody is overtaken", async () => {
  const action = fc.record({
    kind: fc.constantFrom("acquire", "acquire", "release", "release", "discard", "abort", "tick", "evict"),
    nth: fc.nat(20),
  });
  const settings = fc.record({
    max: fc.integer({ min: 1, max: 3 }),
    min: fc.nat(1),
    validates: fc.boolean(),
    failures: fc.array(fc.boolean(), { maxLength: 10 }),
  });
  await fc.assert(
    fc.asyncProperty(
      settings,
      fc.array(action, { maxLength: 50 }),
      async ({ max, min, validates, failures }, actions) => {
        const alive = new Set<number>();
        let created = 0;
        const clock = new TestClock();
        const resources: Pool<{ id: number }> = pool({
          create: async () => {
            const id = ++created;
            if (failures[id]) throw new Error("create failed");
            alive.add(id);
            expect(alive.size).toBeLessThanOrEqual(max);
            return { id };
          },
          destroy: ({ id }) => expect(alive.delete(id)).toBe(true), // once each
          ...(validates ? { validate: async ({ id }) => id % 5 !== 0 } : {}),
          min,
          max,
          idle: 50,
          maxAge: 300,
          createBackoff: (attempt) => 5 * Math.min(4, 2 ** attempt),
          clock,
          random: () => 0.5,
        });
        const held: { release(): void; discard(): void; resource: { id: number } }[] = [];
        const callers: AbortController[] = [];
        const served: number[] = [];
        const work: Promise<unknown>[] = [];
        for (const { kind, nth } of actions) {
          if (kind === "acquire") {
            const controller = new AbortController();
            const place = callers.push(controller);
            work.push(
              resources.acquire({ signal: controller.signal, timeout: 100 }).then(
                (lease) => {
                  expect(held.some(({ resource }) => resource === lease.resource)).toBe(false);
                  held.push(lease);
                  served.push(place);
                },
                () => {},
              ),
            );
          } else if (kind === "release") held.splice(nth % (held.length || 1), 1)[0]?.release();
          else if (kind === "discard") held.splice(nth % (held.length || 1), 1)[0]?.discard();
          else if (kind === "abort") callers[nth]?.abort("left");
          else if (kind === "evict") resources.evict(held[nth % (held.length || 1)]?.resource ?? { id: 0 });
          else await clock.advance(nth * 4);
          await flush();
          const { size, leased, idle, waiting, creating, destroying } = resources.stats;
          expect(leased).toBe(held.length);
          expect(size + creating + destroying).toBeLessThanOrEqual(max);
          if (waiting > 0) expect(idle).toBe(0);
        }
        expect(served).toEqual([...served].sort((a, b) => a - b));
        await clock.advance(1_000);
        await Promise.all(work);
        for (const lease of held.splice(0)) lease.release();
        const closing = resources.close({ timeout: 1_000 });
        await clock.advance(2_000);
        await closing;
        expect(alive.size).toBe(0);
        expect(clock.timers).toBe(0);
      },
    ),
    { numRuns: propertyRuns(300) },
  );
});
