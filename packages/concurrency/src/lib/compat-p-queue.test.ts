import { AsyncLocalStorage } from "node:async_hooks";
import { getEventListeners } from "node:events";
import fc from "fast-check";
import Peer from "p-queue";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { PQueue } from "../compat.ts";
import { TimeoutError } from "../index.ts";
import { TestClock } from "../testing.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Step =
  | { readonly kind: "add"; readonly turns: number; readonly priority: number; readonly fails: boolean }
  | { readonly kind: "turn" | "pause" | "start" | "clear" }
  | { readonly kind: "concurrency"; readonly value: number };

async function trace(queue: PQueue | Peer, steps: readonly Step[]): Promise<unknown[]> {
  const log: unknown[] = [];
  const told: Record<string, unknown[]> = {};
  let empty = 0;
  for (const name of ["add", "active", "completed", "error", "next", "empty", "idle"] as const) {
    told[name] = [];
    const listener = (event: Pick<CustomEvent, "detail"> | object): unknown =>
      told[name]?.push("detail" in event ? (event.detail ?? undefined) : undefined);
    if (queue instanceof Peer) queue.addEventListener(name, listener);
    else queue.addEventListener(name, listener);
  }
  const calls: Promise<unknown>[] = []; // their outcomes
  const running: { left: number; readonly resolve: () => void }[] = [];
  const tick = async (): Promise<void> => {
    await turn(); // whatever can go on by itself does: the two differ by microtasks
    for (const task of running) if (--task.left === 0) task.resolve();
    await turn();
  };
  for (const [id, step] of steps.entries()) {
    if (step.kind === "add") {
      const task = async (): Promise<number> => {
        log.push(`start ${id}`);
        if (step.turns > 0) await new Promise<void>((resolve) => running.push({ left: step.turns, resolve }));
        log.push(`end ${id}`);
        if (step.fails) throw id;
        return id;
      };
      calls.push(queue.add(task, { priority: step.priority }).catch((error: Error) => error.name ?? error));
    } else {
      if (step.kind === "concurrency") queue.concurrency = step.value;
      else if (step.kind !== "turn") queue[step.kind]();
      await tick();
    }
    log.push([queue.size, queue.pending, queue.isPaused, queue.concurrency]);
    if (step.kind === "add") continue;
    const counts = Object.entries(told).map(([name, events]) => [name, events.length] as const);
    // How often one turn tells that nobody waits is the business of the implementation.
    log.push(Object.fromEntries(counts.map(([name, count]) => [name, name === "empty" ? count > empty : count])));
    empty = told["empty"]?.length ?? 0;
  }
  queue.start();
  const idle = queue.onIdle();
  for (let left = 100; left > 0 && queue.size + queue.pending > 0; left--) await tick();
  await idle;
  log.push([queue.size, queue.pending]);
  log.push([told["completed"], told["error"], told["idle"]?.length]);
  log.push(await Promise.all(calls));
  return log;
}

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("add" as const),
      turns: fc.nat(3),
      priority: fc.nat(2),
      fails: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("turn", "turn", "pause", "start", "clear") }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("concurrency" as const), value: fc.integer({ min: 1, max: 3 }) }),
  },
);

test("PQueue leaves the same trace as p-queue in any schedule", { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 15 }), fc.boolean(), async (steps, autoStart) => {
      const options = { concurrency: 2, autoStart };
      expect(await trace(new PQueue(options), steps)).toEqual(await trace(new Peer(options), steps));
    }),
    { numRuns: propertyRuns(300) },
  );
});

test("PQueue.addAll(), onEmpty() and onSizeLessThan() follow the queue", async () => {
  const queue = new PQueue({ concurrency: 1 });
  const log: string[] = [];
  const all = queue.addAll([1, 2, 3].map((n) => () => turn().then(() => n)));
  const seen = [
    queue.onSizeLessThan(2).then(() => log.push(`less than 2: ${queue.size}`)),
    queue.onEmpty().then(() => log.push(`empty: ${queue.size} ${queue.pending}`)),
    queue.onIdle().then(() => log.push(`idle: ${queue.size} ${queue.pending}`)),
  ];
  await Promise.all(seen);
  expect(log).toEqual(["less than 2: 1", "empty: 0 1", "idle: 0 0"]);
  expect(await all).toEqual([1, 2, 3]);
});

test("PQueue starts at most intervalCap tasks in an interval", async () => {
  const clock = new TestClock();
  const queue = new PQueue({ intervalCap: 2, interval: 1_000, clock });
  const started: number[] = [];
  const all = Array.from({ length: 5 }, () => queue.add(() => started.push(clock.now())));
  expect([started, queue.size]).toEqual([[0, 0], 3]);
  await clock.advance(999);
  expect(started).toEqual([0, 0]);
  await clock.advance(3_000);
  await Promise.all(all);
  expect(started).toEqual([0, 0, 1_000, 1_000, 2_000]);
  expect(clock.timers).toBe(0); // it rests
  void queue.add(() => started.push(clock.now()));
  expect(started.at(-1)).toBe(3_999);
});

test("tasks that last longer than an interval do not open it for more than the cap", async () => {
  const clock = new TestClock();
  const queue = new PQueue({ intervalCap: 2, interval: 1_000, concurrency: 3, clock });
  const gates = Array.from({ length: 6 }, () => Promise.withResolvers<void>());
  const started: string[] = [];
  for (const [index, gate] of gates.entries()) {
    void queue.add(() => {
      started.push(`${index}@${clock.now()}`);
      return gate.promise;
    });
  }
  gates[0]?.resolve();
  await turn();
  expect(started).toEqual(["0@0", "1@0"]);
  await clock.advance(1_000);
  expect(started).toEqual(["0@0", "1@0", "2@1000", "3@1000"]);
  gates[1]?.resolve();
  gates[2]?.resolve();
  await turn();
  expect(started).toHaveLength(4);
  await clock.advance(1_000);
  expect(started.slice(4)).toEqual(["4@2000", "5@2000"]);
  for (const gate of gates) gate.resolve();
  await queue.onIdle();
});

test("a task that takes longer than its timeout rejects, hears of it and gives its place free", async () => {
  const clock = new TestClock();
  const queue = new PQueue({ concurrency: 1, timeout: 100, clock });
  let signal: AbortSignal | undefined;
  const slow = queue.add((options) => {
    signal = options.signal;
    return new Promise(() => {});
  });
  slow.catch(() => {});
  const next = queue.add(() => "next", { timeout: 1_000 });
  await clock.advance(100);
  await expect(slow).rejects.toBeInstanceOf(TimeoutError);
  expect([signal?.aborted, await next]).toEqual([true, "next"]);
  expect(clock.timers).toBe(0);
});

test("[p-queue#239] tasks that are cleared away reject, and harm nobody who does not look", async () => {
  const queue = new PQueue({ concurrency: 1 });
  const running = queue.add(turn);
  const waiting = [queue.add(() => "never"), queue.add(() => "never")];
  queue.clear(); // nobody handles the second: the run would fail
  await expect(waiting[0]).rejects.toMatchObject({ name: "AbortError" });
  await running;
  await queue.onIdle();
});

test("[p-queue#168] [p-queue#119] tasks aborted in the line leave it at once and hold up nobody", async () => {
  const queue = new PQueue({ concurrency: 1 });
  const caller = new AbortController();
  const running = queue.add(turn);
  const aborted = Array.from({ length: 3 }, () => queue.add(() => "never", { signal: caller.signal }));
  const last = queue.add(() => "last");
  caller.abort("left");
  expect(queue.size).toBe(1);
  for (const task of aborted) await expect(task).rejects.toBe("left");
  await running;
  expect(await last).toBe("last");
  await expect(queue.add(() => "never", { signal: caller.signal })).rejects.toBe("left");
  await queue.onIdle();
});

test("a task aborted while it runs rejects at once and gives its place free", async () => {
  const queue = new PQueue({ concurrency: 1 });
  const caller = new AbortController();
  const running = queue.add(() => new Promise(() => {}), { signal: caller.signal });
  const next = queue.add(() => "next");
  caller.abort("left");
  await expect(running).rejects.toBe("left");
  expect(await next).toBe("next");
});

test("[p-queue#200] each task runs in the AsyncLocalStorage frame of its add", async () => {
  const frames = new AsyncLocalStorage<number>();
  const queue = new PQueue({ concurrency: 1, autoStart: false });
  const all = [0, 1, 2].map((id) => frames.run(id, () => queue.add(async () => [await turn(), frames.getStore()][1])));
  frames.run(99, () => queue.start());
  expect(await Promise.all(all)).toEqual([0, 1, 2]);
});

test("[p-queue#235] a thousand tasks share one listener on their signal, and none stays", async () => {
  const queue = new PQueue({ concurrency: 10 });
  const { signal } = new AbortController();
  const all = Array.from({ length: 1_000 }, () => queue.add(({ signal }) => signal.aborted, { signal }));
  expect(getEventListeners(signal, "abort").length).toBeLessThanOrEqual(1);
  await Promise.all(all);
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
});

test("PQueue refuses what is no option and no task", async () => {
  expect(() => new PQueue({ concurrency: 0 })).toThrow("Cannot create a PQueue: concurrency must be");
  expect(() => new PQueue({ interval: -1 })).toThrow("Cannot create a PQueue: interval must be 0 ms or more, got -1");
  // @ts-expect-error: a promise is no task
  await expect(new PQueue().add(Promise.resolve())).rejects.toThrow("task must be a function, got an object");
  await expect(new PQueue().add(() => 1, { timeout: -1 })).rejects.toThrow("timeout must be 0 ms or more, got -1");
});

test("PQueue tells its listeners of what happens, in either style, as often as they asked for", async () => {
  const queue = new PQueue({ concurrency: 1 });
  const told: unknown[] = [];
  const onCompleted = (result: unknown): void => void told.push(["completed", result]);
  queue
    .on("active", () => told.push("active"))
    .on("completed", onCompleted)
    .once("add", () => told.push("add"));
  const listener = ({ type, detail }: { readonly type: string; readonly detail: unknown }): void => {
    told.push([type, (detail as Error).message]);
  };
  queue.addEventListener("error", listener);
  queue.addEventListener("error", listener); // registered once
  queue.addEventListener("idle", ({ type }) => told.push(type), { once: true });
  await queue.add(() => 1);
  await queue.onIdle();
  await queue.add(() => Promise.reject(new Error("failed"))).catch(() => {});
  expect(told).toEqual(["add", "active", ["completed", 1], "idle", "active", ["error", "failed"]]);
  queue.off("completed", onCompleted);
  queue.removeEventListener("error", listener);
  await queue.add(() => 2);
  await queue.add(() => Promise.reject(new Error("failed again"))).catch(() => {});
  expect(told.slice(6)).toEqual(["active", "active"]);
});

test("what a listener of a PQueue throws is an uncaught exception, and does no harm to the queue", async () => {
  const queue = new PQueue();
  const uncaught = new Promise((resolve) => process.once("uncaughtException", resolve));
  queue.on("completed", () => {
    throw new Error("thrown by a listener");
  });
  const others = process.listeners("uncaughtException").slice(0, -1); // those of the test runner
  for (const other of others) process.off("uncaughtException", other);
  try {
    expect(await queue.add(() => "result")).toBe("result");
    expect(await uncaught).toMatchObject({ message: "thrown by a listener" });
  } finally {
    for (const other of others) process.on("uncaughtException", other);
  }
  await queue.onIdle();
});
