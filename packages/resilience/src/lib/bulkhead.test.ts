// So many at a time, whoever comes, leaves or waits.
import { AsyncLocalStorage } from "node:async_hooks";
import { Context, TimeoutError } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { enter, isGate, testCall, through } from "../../test/support/through.ts";
import { balance, bulkhead, compose, OverloadedError, roundRobin } from "../index.ts";

test("bulkhead() without a queue is a gate that lets `max` calls in and rejects the next", () => {
  const two = bulkhead({ max: 2 });
  const leave = enter(two);
  enter(two);

  expect(() => enter(two, { name: "users" })).toThrow(new OverloadedError("users", "full", undefined));
  expect(two.stats()).toEqual({ max: 2, running: 2, waiting: 0, rejected: 1 });
  leave();
  enter(two);
  expect(isGate(two)).toBe(true);
});

test("bulkhead() tells those it rejects how long calls took of late", async () => {
  const clock = new TestClock();
  const one = bulkhead({ max: 1 });
  const leave = enter(one, { clock });
  await clock.advance(40);
  leave();
  enter(one, { clock });

  expect(() => enter(one, { clock })).toThrow(expect.objectContaining({ reason: "full", retryAfterMs: 40 }));
});

test("bulkhead() rejects without a stack unless one is asked for", () => {
  for (const [stack, frames] of [
    [false, false],
    [true, true],
  ] as const) {
    // biome-ignore format: a table
    const one = bulkhead({ max: 1, stack });
    enter(one);
    try {
      enter(one);
      expect.unreachable();
    } catch (error) {
      expect((error as Error).stack?.includes("\n    at ") ?? false).toBe(frames);
    }
  }
});

for (const queue of [0, 1]) {
  test(`bulkhead({ perKey: true, queue: ${queue} }) gives each key places of its own and forgets idle keys`, async () => {
    const keyed = bulkhead({ max: 1, queue, perKey: true });
    const gates = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
    const a = through(keyed, () => gates[0]?.promise, { key: "a" });
    const b = through(keyed, () => gates[1]?.promise, { key: "b" });
    const waiting = queue > 0 ? through(keyed, () => "waited", { key: "a" }) : undefined;

    expect(keyed.stats()).toMatchObject({ running: 2, waiting: queue });
    await expect(through(keyed, () => "third", { key: "a" })).rejects.toThrow(OverloadedError);
    for (const gate of gates) gate.resolve("done");
    expect(await Promise.all([a, b, waiting])).toEqual(["done", "done", queue > 0 ? "waited" : undefined]);
    expect(keyed.stats()).toEqual({ max: 1, running: 0, waiting: 0, rejected: 1 });
    expect(await through(keyed, () => "again", { key: "a" })).toBe("again");
  });
}

test("bulkhead({ perKey: true }) keeps endpoints apart, once a balancer has picked one", () => {
  const keyed = bulkhead({ max: 1, perKey: true });
  if (!isGate(keyed)) throw new Error("it has no queue");
  const calls = ["a", "b"].map((id) => {
    const call = testCall({ key: "same" });
    call.endpoint = { id, address: id };
    return call;
  });
  for (const call of calls) keyed.enter(call);

  expect(() => keyed.enter(calls[0] as (typeof calls)[0])).toThrow(OverloadedError);
});

test("bulkhead() serves its queue by priority, then by arrival", async () => {
  const one = bulkhead({ max: 1, queue: 10 });
  const first = Promise.withResolvers<void>();
  const order: string[] = [];
  const run = (name: string, priority: number) => through(one, () => order.push(name), { priority });
  const calls = [through(one, () => first.promise), run("low", -1), run("early", 0), run("late", 0), run("high", 1)];
  first.resolve();
  await Promise.all(calls);

  expect(order).toEqual(["high", "early", "late", "low"]);
});

test("bulkhead() rejects with the reason `late` after `timeout`", async () => {
  const clock = new TestClock();
  const one = bulkhead({ max: 1, queue: 1, timeout: 100 });
  const held = Promise.withResolvers<void>();
  const holding = through(one, () => held.promise, { clock });
  const waiting = through(one, () => "never", { clock }).catch((error: unknown) => error);
  await clock.advance(100);

  expect(await waiting).toMatchObject({ code: "ERR_OVERLOADED", reason: "late" });
  expect([one.stats().waiting, clock.timers]).toEqual([0, 0]);
  held.resolve();
  await holding;
});

test("bulkhead() lets a caller leave its queue in the same turn, with the caller's reason (cockatiel: half-open waiters ignore their signal)", async () => {
  const one = bulkhead({ max: 1, queue: 1 });
  const held = Promise.withResolvers<void>();
  const holding = through(one, () => held.promise);
  const context = Context.derive();
  const waiting = through(one, () => "never", { context }).catch((error: unknown) => error);
  expect(one.stats().waiting).toBe(1);
  context.cancel("caller left");

  expect(await waiting).toBe("caller left");
  expect(one.stats()).toMatchObject({ running: 1, waiting: 0, rejected: 0 });
  held.resolve();
  await holding;
});

test("bulkhead() leaves the deadline of a waiting caller what it is", async () => {
  const clock = new TestClock();
  const one = bulkhead({ max: 1, queue: 1, timeout: 500 });
  const held = Promise.withResolvers<void>();
  const holding = through(one, () => held.promise, { clock });
  const context = Context.derive({ clock, timeout: 100 });
  const waiting = through(one, () => "never", { clock, context }).catch((error: unknown) => error);
  await clock.advance(100);

  expect(await waiting).toBe(context.cause);
  expect(context.cause).toBeInstanceOf(TimeoutError);
  held.resolve();
  await holding;
});

test("bulkhead() runs queued work in the AsyncLocalStorage of its own caller (cockatiel: 9 of 10 in another caller's)", async () => {
  const caller = new AsyncLocalStorage<number>();
  const one = bulkhead({ max: 1, queue: 10 });
  const seen = await Promise.all(
    Array.from({ length: 10 }, (_, id) =>
      caller.run(id, () =>
        through(one, async () => {
          await Promise.resolve();
          return caller.getStore();
        }),
      ),
    ),
  );

  expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("bulkhead() gives the place back when the work throws, at once or later", async () => {
  const one = bulkhead({ max: 1, queue: 1 });
  const fails = [
    () => {
      throw new Error("at once");
    },
    async () => {
      await Promise.resolve();
      throw new Error("later");
    },
  ];
  for (const fail of fails) await expect(through(one, fail)).rejects.toThrow();

  expect(one.stats()).toMatchObject({ running: 0, waiting: 0 });
});

test("bulkhead() names the option that is none", () => {
  expect(() => bulkhead({ max: 0 })).toThrow("Cannot make a bulkhead: max must be an integer of at least 1");
  expect(() => bulkhead({ max: 1, queue: -1 })).toThrow(RangeError);
  expect(() => bulkhead({ max: 1, queue: 1, timeout: "1s" as never })).toThrow(TypeError);
  expect(() => bulkhead({ max: 1, perKey: 1 as never })).toThrow("perKey must be a boolean, got 1");
});

test("bulkhead() agrees with a naive model in any schedule", async () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("call" as const), priority: fc.nat(2), key: fc.nat(1) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("end" as const), at: fc.nat(20) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("abort" as const), at: fc.nat(20) }) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      fc.integer({ min: 1, max: 3 }),
      fc.nat(3),
      fc.boolean(),
      async (steps, max, queue, perKey) => {
        const policy = bulkhead({ max, queue, perKey });
        interface Visit {
          readonly id: number;
          readonly key: string;
          readonly priority: number;
          readonly context: ReturnType<typeof Context.derive>;
          readonly work: PromiseWithResolvers<void>;
          state: "waiting" | "running" | "done" | "rejected" | "left";
          seen: string;
        }
        const visits: Visit[] = [];
        const inState = (state: Visit["state"], key?: string) =>
          visits.filter((visit) => visit.state === state && (key === undefined || visit.key === key));
        const serve = (key: string) => {
          const [next] = inState("waiting", key).toSorted((a, b) => b.priority - a.priority || a.id - b.id);
          if (next !== undefined && inState("running", key).length < max) next.state = "running";
        };

        for (const action of steps) {
          if (action.kind === "call") {
            const key = perKey ? String(action.key) : "all";
            const visit: Visit = {
              id: visits.length,
              key,
              priority: action.priority,
              context: Context.derive(),
              work: Promise.withResolvers(),
              state: "waiting",
              seen: "waiting",
            };
            if (inState("running", key).length < max) visit.state = "running";
            else if (inState("waiting", key).length >= queue) visit.state = "rejected";
            visits.push(visit);
            const { context, priority } = visit;
            const task = () => {
              visit.seen = "running";
              return visit.work.promise;
            };
            void through(policy, task, { context, priority, key: String(action.key) }).then(
              () => {
                visit.seen = "done";
              },
              (error: unknown) => {
                visit.seen = error === "left" ? "left" : (error as OverloadedError).reason;
              },
            );
          } else {
            const candidates = inState(action.kind === "end" ? "running" : "waiting");
            const visit = candidates[action.at % Math.max(1, candidates.length)];
            if (visit === undefined) continue;
            visit.state = action.kind === "end" ? "done" : "left";
            if (action.kind === "end") visit.work.resolve();
            else visit.context.cancel("left");
            serve(visit.key);
          }
          await settled();
          expect(visits.map(({ seen }) => seen)).toEqual(
            visits.map(({ state }) => (state === "rejected" ? "full" : state)),
          );
          expect(policy.stats()).toEqual({
            max,
            running: inState("running").length,
            waiting: inState("waiting").length,
            rejected: inState("rejected").length,
          });
        }
      },
    ),
    { numRuns: 300 },
  );
});

/** Longer than any chain of microtasks here. */
async function settled(): Promise<void> {
  for (let step = 0; step < 20; step++) await Promise.resolve();
}

test.each([{ queue: 0 }, { queue: 1 }])(
  "bulkhead({ perKey, queue: $queue }) frees the place of a call that a balancer inside has given an endpoint",
  async ({ queue }) => {
    const places = bulkhead({ max: 1, queue, perKey: true });
    const call = compose(places, balance(["a", "b"], roundRobin()));
    for (let left = 3; left > 0; left--) expect(await call(() => "done", { key: "users" })).toBe("done");
    expect(places.stats()).toEqual({ max: 1, running: 0, waiting: 0, rejected: 0 });
  },
);

test("bulkhead({ perKey }) counts each key by itself, however many come and go", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.boolean()), { maxLength: 60 }), (steps) => {
      const places = bulkhead({ max: 2, perKey: true });
      const running = new Map<number, (() => void)[]>();
      for (const [key, isEnd] of steps) {
        const calls = running.get(key) ?? [];
        running.set(key, calls);
        if (isEnd) calls.shift()?.();
        else if (calls.length < 2) calls.push(enter(places, { key: `${key}` }));
        else expect(() => enter(places, { key: `${key}` })).toThrow(OverloadedError);
        expect(places.stats().running).toBe([...running.values()].flat().length);
      }
    }),
  );
});
