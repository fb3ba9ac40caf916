// A limit that finds itself: what it learns from, how far it goes, and who is turned away.
import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { getEventListeners } from "node:events";
import { Context } from "@proj/concurrency";
import { components } from "@proj/concurrency/inspect";
import { TestClock } from "@proj/concurrency/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { GateClient } from "../../simulations/support/gate-client.ts";
import { erlang } from "../../simulations/support/random.ts";
import { Server } from "../../simulations/support/server.ts";
import { Simulation } from "../../simulations/support/simulation.ts";
import { arrivals } from "../../simulations/support/traffic.ts";
import { enter, isGate, testCall, through } from "../../test/support/through.ts";
import {
  type AdaptiveLimit,
  type AdaptiveLimitOptions,
  adaptiveLimit,
  bulkhead,
  callPriority,
  compose,
  type OutcomeKind,
  type ResilienceEvent,
  resilienceChannel,
} from "../index.ts";

interface World extends AdaptiveLimitOptions {
  /** Calls per second. */
  readonly rate: number;
  readonly slots: number;
  /** Milliseconds of a call. */
  readonly latency: (now: number) => number;
  readonly until: number;
  /** How a call that was answered counts. */
  readonly outcome?: () => OutcomeKind;
  readonly perSecond?: (limit: AdaptiveLimit, now: number) => void;
}

/** Sends calls to a server through a limit, and returns the limit at each second. */
function simulate({ rate, slots, latency, until, outcome = () => "ok", perSecond, ...options }: World): number[] {
  const simulation = new Simulation(1);
  const service = simulation.stream();
  const server = new Server(simulation, { slots, service: () => erlang(service, latency(simulation.now)) });
  const limit = adaptiveLimit({ random: simulation.stream(), ...options });
  const client = new GateClient(simulation, limit);
  const limits: number[] = [];
  arrivals(
    simulation,
    () => rate,
    () => {
      const visit = client.begin();
      if (visit !== undefined) server.request(() => visit.end(outcome()));
    },
  );
  simulation.every(1_000, () => {
    limits.push(limit.limit);
    perSecond?.(limit, simulation.now);
  });
  simulation.runSync(until);
  return limits;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number;
}

test("adaptiveLimit() is a gate that rejects what is beyond its limit, with a time to come back after", () => {
  const limit = adaptiveLimit({ initial: 2, random: () => 0.5 });
  const leave = enter(limit);
  enter(limit);

  expect(isGate(limit)).toBe(true);
  expect(() => enter(limit)).toThrow(
    expect.objectContaining({ code: "ERR_OVERLOADED", reason: "full", retryAfterMs: 1_000 }),
  );
  expect(limit.stats()).toEqual({ limit: 2, inFlight: 2, waiting: 0, pressure: 1, shedding: 0, rejected: 1 });
  leave();
  expect(limit.pressure).toBe(0.5);
});

test("adaptiveLimit() grows to what a dependency can do, and not much further", () => {
  const limits = simulate({ rate: 2_000, slots: 60, latency: () => 100, until: 60_000 });

  expect(Math.abs(median(limits.slice(30)) / 60 - 1)).toBeLessThan(0.1);
});

test("adaptiveLimit() does not raise a limit that is not used (failsafe-go 0.9.4: limits above the inflight calls)", () => {
  const limits = simulate({ rate: 100, slots: 1_000, latency: () => 50, until: 120_000 });

  expect(Math.max(...limits)).toBeLessThanOrEqual(25); // some 5 are in flight
});

test("adaptiveLimit() sinks with its use, to some times the peak of the stabilization time (failsafe-go: max limit factor, stabilization window)", () => {
  const clock = new TestClock();
  const limit = adaptiveLimit({ initial: 10, stabilization: 5_000, window: 100 });
  /** Rounds of as many calls at a time. */
  const work = async (calls: number, rounds: number) => {
    for (let round = 0; round < rounds; round++) {
      const leaves = Array.from({ length: Math.min(calls, limit.limit) }, () => enter(limit, { clock }));
      await clock.advance(20);
      for (const leave of leaves) leave();
    }
  };
  return work(1_000, 200).then(async () => {
    const high = limit.limit;
    expect(high).toBeGreaterThan(100);
    await work(12, 100);
    expect(limit.limit).toBeGreaterThan(36); // the peak is not long past
    await work(12, 1_000);
    expect(limit.limit).toBeLessThanOrEqual(36);
  });
});

test("adaptiveLimit() does not drift up under overload that lasts (Netflix concurrency-limits#134)", () => {
  const limits = simulate({ rate: 150, slots: 10, latency: () => 100, until: 1_800_000 });

  expect(median(limits.slice(1_500)) / median(limits.slice(300, 600))).toBeLessThan(1.1);
  expect(median(limits.slice(1_500))).toBeLessThanOrEqual(12);
});

test("adaptiveLimit() comes down when it has learned a latency with a queue in it (Netflix concurrency-limits#165)", () => {
  const limits = simulate({ rate: 3_000, slots: 20, latency: () => 50, until: 40_000, initial: 200 });

  expect(median(limits.slice(30))).toBeLessThanOrEqual(24);
});

test("adaptiveLimit() does not collapse when calls become slower for another reason than load", () => {
  const limits = simulate({ rate: 2_000, slots: 60, latency: (now) => (now < 30_000 ? 60 : 180), until: 60_000 });

  expect(Math.min(...limits.slice(40))).toBeGreaterThanOrEqual(40);
});

test("adaptiveLimit() sinks by a tenth per window while calls time out or are sent away, and not for a few of them", () => {
  const run = (outcome: OutcomeKind, share: number) => {
    let call = 0;
    const outcomes = () => (call++ % 100 < share * 100 ? outcome : "ok");
    return simulate({ rate: 100, slots: 1_000, latency: () => 50, until: 30_000, outcome: outcomes }).at(-1);
  };

  expect(run("timeout", 0.2)).toBeLessThanOrEqual(5);
  expect(run("timeout", 0.02)).toBeGreaterThan(10);
  expect(run("fail", 0.5)).toBeGreaterThan(10); // fast failures are no sign of load
  expect(run("ignore", 0.5)).toBeGreaterThan(10);
});

test("adaptiveLimit() counts a failure with a Retry-After as overload", async () => {
  const clock = new TestClock();
  const limit = adaptiveLimit({ initial: 10, window: 10 });
  if (!isGate(limit)) throw new Error("it has no queue");
  for (let round = 0; round < 40; round++) {
    const call = testCall({ clock });
    const token = limit.enter(call);
    await clock.advance(5);
    Object.assign(call, { outcome: "fail", retryAfterMs: 1_000, endedAt: clock.now() });
    limit.exit(call, token);
  }

  expect(limit.limit).toBeLessThan(10);
});

test("adaptiveLimit() keeps its limit for calls that take no time at all", async () => {
  const clock = new TestClock();
  const limit = adaptiveLimit({ initial: 10, window: 1 });
  for (let round = 0; round < 100; round++) {
    for (const leave of Array.from({ length: 10 }, () => enter(limit, { clock }))) leave();
    await clock.advance(1);
  }

  expect(limit.limit).toBe(10);
});

test("adaptiveLimit() stays within min and max", () => {
  const up = simulate({ rate: 2_000, slots: 1_000, latency: () => 50, until: 20_000, max: 30 });
  const down = simulate({ rate: 1_000, slots: 1, latency: () => 50, until: 20_000, min: 5, initial: 8 });

  expect(Math.max(...up)).toBe(30);
  expect(Math.min(...down)).toBe(5);
});

test('adaptiveLimit({ algorithm: "aimd" }) keeps calls below a target', () => {
  let sum = 0;
  const limits = simulate({
    rate: 2_000,
    slots: 40,
    latency: () => 50,
    until: 120_000,
    algorithm: "aimd",
    target: 60,
    perSecond: ({ limit }, now) => {
      if (now > 60_000) sum += limit;
    },
  });

  expect(sum / limits.filter((_, second) => second >= 60).length / 40).toBeCloseTo(1.1, 0);
  expect(Math.max(...limits.slice(60))).toBeLessThanOrEqual(50);
});

test("adaptiveLimit() makes place for what is more important, by the priority of the context", async () => {
  const simulation = new Simulation(1);
  const server = new Server(simulation, { slots: 20, service: () => 50 });
  const call = compose({ clock: simulation.clock }, adaptiveLimit({ random: simulation.stream() }));
  const random = simulation.stream();
  const asked = { low: 0, high: 0 };
  const done = { low: 0, high: 0 };
  arrivals(
    simulation,
    () => 1_000,
    () => {
      const isHigh = random() < 0.2;
      const name = isHigh ? "high" : "low";
      if (simulation.now > 10_000) asked[name]++;
      const context = Context.derive({ values: [callPriority.of(isHigh ? 5 : 0)] });
      void call(() => server.handle(), { signal: context }).then(
        () => {
          if (simulation.now > 10_000) done[name]++;
        },
        () => {},
      );
    },
  );
  await simulation.run(30_000);

  expect(done.high / asked.high).toBeGreaterThan(0.95);
  expect(done.low / asked.low).toBeLessThan(0.35);
  expect((done.high + done.low) / 20).toBeGreaterThan(0.9 * 400);
});

test("adaptiveLimit() treats calls of one priority alike, and sheds none of them before it is full", () => {
  const limit = adaptiveLimit({ initial: 10, random: () => 0 });
  for (let call = 0; call < 10; call++) enter(limit, { priority: -7 });

  expect(() => enter(limit, { priority: -7 })).toThrow(expect.objectContaining({ reason: "full" }));
});

test("whenReady() wakes as many as places become free, in order, and forgets who has left", async () => {
  const limit = adaptiveLimit({ initial: 1 });
  await limit.whenReady();
  const leave = enter(limit);
  const woken: string[] = [];
  const context = Context.derive();
  const gone = limit.whenReady({ signal: context });
  const first = limit.whenReady().then(() => {
    woken.push("first");
    enter(limit);
  });
  void limit.whenReady().then(() => woken.push("second"));
  context.cancel("left");
  await expect(gone).rejects.toBe("left");
  leave();
  await first;
  await new Promise(setImmediate);

  expect(woken).toEqual(["first"]);
});

test("whenReady() wakes no more callers than there are new places", async () => {
  const limit = adaptiveLimit({ initial: 3 });
  const leaves = [1, 2, 3].map(() => enter(limit));
  let woken = 0;
  for (let caller = 0; caller < 4; caller++) {
    void limit.whenReady().then(() => {
      woken++;
      enter(limit);
    });
  }
  leaves[0]?.();
  leaves[1]?.(); // nobody has had time to take the place of the first
  await new Promise(setImmediate);

  expect(woken).toBe(2);
});

test("whenReady() wakes more callers when the limit rises", async () => {
  const clock = new TestClock();
  const limit = adaptiveLimit({ algorithm: "aimd", initial: 1, window: 1 });
  for (let call = 0; call < 9; call++) {
    const leave = enter(limit, { clock });
    await clock.advance(1);
    leave();
  }
  const leave = enter(limit, { clock });
  let woken = 0;
  for (let caller = 0; caller < 3; caller++) {
    void limit.whenReady().then(() => {
      woken++;
      enter(limit, { clock });
    });
  }
  await clock.advance(1);
  leave();
  await new Promise(setImmediate);

  expect([limit.limit, woken]).toEqual([2, 2]);
});

test("whenReady() wakes the next when whoever was woken makes no call, or has left in the same turn", async () => {
  const limit = adaptiveLimit({ initial: 1 });
  const leave = enter(limit);
  const context = Context.derive();
  const left = limit.whenReady({ signal: context }).catch(() => {});
  const idle = limit.whenReady();
  const last = limit.whenReady();
  leave();
  context.cancel("left"); // it has been woken, and does not know yet
  await Promise.all([left, idle, last]);

  expect(limit.inFlight).toBe(0);
});

test("A priority that is no number counts as none, in queues and where calls are shed", async () => {
  const clock = new TestClock();
  const limit = adaptiveLimit({ initial: 1, queue: 5, maxWait: 1_000 });
  const call = compose({ clock }, limit);
  const order: string[] = [];
  const calls = [Number.NaN, Number.NaN, 1, Number.NaN, -1].map((priority, index) =>
    call(async () => void order.push(`${index}`), { priority }),
  );
  await Promise.all(calls);

  expect(order.join(" ")).toBe("0 2 1 3 4");
  expect(limit.stats()).toMatchObject({ inFlight: 0, waiting: 0, rejected: 0 });
});

test("adaptiveLimit({ queue }) serves in order of arrival, in each caller's own AsyncLocalStorage", async () => {
  const caller = new AsyncLocalStorage<number>();
  const limit = adaptiveLimit({ initial: 1, queue: 10 });
  const order: (number | undefined)[] = [];
  await Promise.all(
    [0, 1, 2, 3].map((id) =>
      caller.run(id, () =>
        through(limit, async () => {
          await Promise.resolve();
          order.push(caller.getStore());
        }),
      ),
    ),
  );

  expect(order).toEqual([0, 1, 2, 3]);
  expect(limit.stats()).toMatchObject({ inFlight: 0, waiting: 0, rejected: 0 });
});

test("adaptiveLimit({ queue }) turns away who has waited too long, although no call ends", async () => {
  const clock = new TestClock();
  const limit = adaptiveLimit({ initial: 1, queue: 10, maxWait: 100, random: () => 0.5 });
  const held = Promise.withResolvers<void>();
  const holding = through(limit, () => held.promise, { clock });
  const waiting = through(limit, () => "never", { clock }).catch((error: unknown) => error);
  await clock.advance(99);
  expect(limit.waiting).toBe(1);
  await clock.advance(1);

  expect(await waiting).toMatchObject({ reason: "late", retryAfterMs: 1_000 });
  expect([limit.waiting, clock.timers]).toEqual([0, 0]);
  held.resolve();
  await holding;
});

test("adaptiveLimit({ queue }) lets a caller leave in the same turn, with the caller's reason", async () => {
  const clock = new TestClock();
  const limit = adaptiveLimit({ initial: 1, queue: 10 });
  const held = Promise.withResolvers<void>();
  const holding = through(limit, () => held.promise, { clock });
  const context = Context.derive();
  const waiting = through(limit, () => "never", { clock, context }).catch((error: unknown) => error);
  context.cancel("caller left");

  expect([limit.waiting, clock.timers]).toEqual([0, 0]);
  expect(await waiting).toBe("caller left");
  held.resolve();
  await holding;
  expect(await through(limit, () => "next", { clock })).toBe("next");
});

test("adaptiveLimit({ queue }) serves in time what it serves under a burst, instead of all too late", async () => {
  const simulation = new Simulation(1);
  const server = new Server(simulation, { slots: 10, service: () => 20 });
  const limit = adaptiveLimit({ initial: 10, max: 10, queue: 1_000, random: simulation.stream() });
  const call = compose({ clock: simulation.clock }, limit);
  const latencies: number[] = [];
  arrivals(
    simulation,
    () => 1_500,
    () => {
      const startedAt = simulation.now;
      void call(() => server.handle()).then(
        () => latencies.push(simulation.now - startedAt),
        () => {},
      );
    },
  );
  await simulation.run(20_000);

  expect(latencies.length / 20).toBeGreaterThan(0.95 * 500);
  expect(latencies.toSorted((a, b) => a - b)[Math.floor(latencies.length * 0.95)]).toBeLessThan(30);
});

test("adaptiveLimit() loses no place in any schedule of calls, aborts and time", async () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("call" as const), priority: fc.nat(2) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("end" as const), at: fc.nat(20), fails: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("abort" as const), at: fc.nat(20) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(60) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.nat(4), async (steps, queue) => {
      const clock = new TestClock();
      const limit = adaptiveLimit({ initial: 3, max: 5, queue, window: 1, stabilization: 50 });
      const running: PromiseWithResolvers<void>[] = [];
      const contexts: ReturnType<typeof Context.derive>[] = [];
      const calls: Promise<unknown>[] = [];
      for (const action of steps) {
        if (action.kind === "call") {
          const context = Context.derive();
          contexts.push(context);
          const task = () => {
            const work = Promise.withResolvers<void>();
            running.push(work);
            return work.promise;
          };
          const { priority } = action;
          calls.push(through(limit, task, { clock, context, priority }).catch((error: unknown) => error));
        } else if (action.kind === "end") {
          const [work] = running.splice(action.at % Math.max(1, running.length), 1);
          if (action.fails) work?.reject(new Error("failed"));
          else work?.resolve();
        } else if (action.kind === "abort") {
          contexts[action.at]?.cancel("left");
        }
        await clock.advance(action.kind === "pass" ? action.ms : 0);
        expect(limit.inFlight).toBe(running.length);
        expect(limit.waiting).toBeLessThanOrEqual(queue);
        if (limit.waiting > 0) expect(limit.inFlight).toBeGreaterThanOrEqual(Math.min(limit.limit, 1));
        if (limit.waiting === 0) expect(clock.timers).toBe(0);
      }
      for (let left = 100; left > 0 && limit.inFlight + limit.waiting > 0; left--) {
        for (const work of running.splice(0)) work.resolve();
        await clock.advance(0);
      }
      await Promise.all(calls);
      expect([limit.inFlight, limit.waiting, clock.timers]).toEqual([0, 0, 0]);
    }),
    { numRuns: 200 },
  );
});

test("adaptiveLimit() is listed by its name, and tells when its limit changes", () => {
  const events: ResilienceEvent[] = [];
  const listen = (event: unknown) => void events.push(event as ResilienceEvent);
  subscribe(resilienceChannel, listen);
  const limits = simulate({ rate: 500, slots: 100, latency: () => 50, until: 10_000, name: "listed limit" });
  unsubscribe(resilienceChannel, listen);

  const changes = events.filter((event) => event.kind === "limit-changed");
  expect(changes[0]).toMatchObject({ name: "listed limit", before: 20 });
  expect(changes.at(-1)).toMatchObject({ limit: limits.at(-1) });
  expect(events.some((event) => event.kind === "call-rejected" && event.policy === "shed")).toBe(true);
  const another = adaptiveLimit({ name: "another limit" });
  expect(components("adaptive-limit")).toContainEqual(
    expect.objectContaining({ name: "another limit", stats: another.stats() }),
  );
});

test("adaptiveLimit() names the option that is none", () => {
  expect(() => adaptiveLimit({ algorithm: "vegas" as never })).toThrow(
    'Cannot make an adaptive limit: algorithm must be one of "gradient", "aimd", got "vegas"',
  );
  expect(() => adaptiveLimit({ initial: 0 })).toThrow(RangeError);
  expect(() => adaptiveLimit({ initial: 20, max: 10 })).toThrow("initial must be at most max, which is 10, got 20");
  expect(() => adaptiveLimit({ min: 5, max: 4 })).toThrow("max must be an integer of at least 5, got 4");
  expect(() => adaptiveLimit({ window: 0 })).toThrow(RangeError);
  expect(() => adaptiveLimit({ random: "" as never })).toThrow(TypeError);
});

for (const [name, make] of [
  ["bulkhead", () => bulkhead({ max: 1, queue: 1_000 })],
  ["adaptiveLimit", () => adaptiveLimit({ initial: 1, max: 1, queue: 1_000, maxWait: 10_000 })],
] as const) {
  test(`${name}({ queue }) leaves nothing behind on a signal that lives long (failsafe-go: child context leaks)`, async () => {
    const controller = new AbortController();
    const context = Context.derive({ signal: controller.signal });
    const policy = make();
    for (let round = 0; round < 3; round++) {
      const calls = Array.from({ length: 500 }, () => through(policy, () => Promise.resolve(), { context }));
      expect(getEventListeners(controller.signal, "abort").length).toBe(1);
      await Promise.all(calls);
    }

    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });

  test(`${name}({ queue }) begins no work that was given up, at whatever turn, and loses no place`, async () => {
    for (let turns = 0; turns < 20; turns++) {
      const policy = make();
      const held = Promise.withResolvers<void>();
      const holding = through(policy, () => held.promise);
      const context = Context.derive();
      let hasRun = false;
      const task = () => {
        expect(context.cancelled).toBe(false);
        hasRun = true;
        return "done";
      };
      const waiting = through(policy, task, { context }).catch((error: unknown) => error);
      held.resolve();
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      context.cancel("too late");

      expect(await waiting).toBe(hasRun ? "done" : "too late");
      await holding;
      expect(await through(policy, () => "next")).toBe("next");
    }
  });
}
