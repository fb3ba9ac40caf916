// The scheduler against a model: both sides run here, the test decides when messages arrive and which thread dies.
import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { TestClock } from "./test-clock.ts";
import { ThreadMemory } from "./worker-memory.ts";
import type { Batch, PoolMessage, ThreadMessage } from "./worker-protocol.ts";
import { TaskRunner, type WorkerFunction } from "./worker-runner.ts";
import type { WorkersOptions } from "./workers.ts";
import { WorkerLostError } from "./workers-errors.ts";
import { WorkerPool } from "./workers-pool.ts";
import type { OpenThread, ThreadListener, ThreadPort } from "./workers-port.ts";
import { settle } from "./workers-settings.ts";

/** A thread whose messages wait until the test delivers them. */
class ScriptedThread implements ThreadPort {
  readonly eventLoopTimes = { active: 0, idle: 0 };
  readonly #listener: ThreadListener;
  readonly #toThread: ThreadMessage[] = [];
  readonly #toPool: PoolMessage[] = [];
  readonly #runner: TaskRunner;
  isDead = false;
  /** Whether `terminate` has no effect that anybody would hear of. */
  isDeaf = false;
  isAlive = false;
  /** Messages in both directions. */
  messages = 0;

  constructor(
    memory: ThreadMemory,
    listener: ThreadListener,
    concurrency: number,
    functions: Record<string, WorkerFunction>,
  ) {
    this.#listener = listener;
    this.#toPool.push({ ready: Object.keys(functions) });
    this.#runner = new TaskRunner(Object.values(functions), memory, concurrency, {
      post: (message) => {
        this.messages++;
        this.#toPool.push(structuredClone(message) as Batch);
      },
      stop: () => this.die(0),
    });
  }

  post(message: ThreadMessage): void {
    this.messages++;
    this.#toThread.push(structuredClone(message));
  }

  /** Delivers the oldest message of one direction. */
  deliver(to: "thread" | "pool"): boolean {
    if (this.isDead) return false;
    const message = to === "thread" ? this.#toThread.shift() : this.#toPool.shift();
    if (message === undefined) return false;
    if (to === "thread") this.#runner.receive(message as ThreadMessage);
    else this.#listener.onMessage(message);
    return true;
  }

  die(code: number, error?: unknown): void {
    if (this.isDead) return;
    // What it has sent is read before its end is known, as it is with real threads.
    while (this.#toPool.length > 0) this.deliver("pool");
    this.isDead = true;
    this.#listener.onExit(code, error);
  }

  terminate(): void {
    if (!this.isDeaf) queueMicrotask(() => this.die(1));
  }

  ref(): void {
    this.isAlive = true;
  }

  unref(): void {
    this.isAlive = false;
  }
}

function scripted(functions: Record<string, WorkerFunction>, options: WorkersOptions) {
  const threads: ScriptedThread[] = [];
  const open: OpenThread = (start, listener) => {
    const thread = new ScriptedThread(new ThreadMemory(start.memory), listener, start.concurrency, functions);
    threads.push(thread);
    return thread;
  };
  const clock = new TestClock();
  const pool = new WorkerPool(settle("data:text/javascript,", { clock, random: () => 0, ...options }), open);
  /** Until nothing is on its way. */
  const settleAll = async () => {
    for (let isMoving = true; isMoving; ) {
      await clock.advance(0);
      isMoving = threads.map((thread) => thread.deliver("thread") || thread.deliver("pool")).includes(true);
    }
  };
  return { pool, threads, clock, settleAll };
}

const command = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("call" as const), mail: fc.boolean(), slow: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("cancel" as const), index: fc.nat(4) }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("thread" as const), index: fc.nat(2) }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("pool" as const), index: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("die" as const), index: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("finish" as const), index: fc.nat(8) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: fc.nat(400) }) },
);

test("every call settles once: with its result, its reason or its loss; none begins twice, and none is forgotten", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(command, { maxLength: 60 }),
      fc.record({ max: fc.integer({ min: 1, max: 3 }), concurrency: fc.integer({ min: 1, max: 2 }), extra: fc.nat(4) }),
      async (commands, { max, concurrency, extra }) => {
        /** By id of the call: how often it has begun. */
        const begun = new Map<number, number>();
        const gates = new Map<number, PromiseWithResolvers<void>>();
        const begin = (id: number) => begun.set(id, (begun.get(id) ?? 0) + 1);
        const { pool, threads, clock, settleAll } = scripted(
          {
            quick: (id) => {
              begin(id as number);
              return id;
            },
            slow: async (id) => {
              begin(id as number);
              await gateOf(gates, id as number).promise;
              return id;
            },
          },
          {
            threads: [1, max],
            concurrency,
            inFlight: concurrency + extra,
            grace: 1_000,
            restartBackoff: (attempt) => Math.min(50, 10 * attempt),
          },
        );
        const callers: AbortController[] = [];
        const outcomes: string[] = [];
        for (const step of commands) {
          if (step.kind === "call") {
            const id = callers.length;
            const caller = new AbortController();
            callers.push(caller);
            const args = step.mail ? [id, "by message"] : [id];
            outcomes.push("open");
            pool.call(step.slow ? "slow" : "quick", args, { signal: caller.signal }).then(
              (value) => note(outcomes, id, value === id ? "done" : "wrong"),
              (error: unknown) => {
                if (error === caller.signal.reason) note(outcomes, id, "cancelled");
                else note(outcomes, id, error instanceof WorkerLostError && error.started ? "lost" : "wrong");
              },
            );
          } else if (step.kind === "cancel") callers.at(-1 - step.index)?.abort(new Error("left"));
          else if (step.kind === "finish") gateOf(gates, Math.max(0, callers.length - 1 - step.index)).resolve();
          else if (step.kind === "advance") await clock.advance(step.ms);
          else if (step.kind === "die") threads.at(-1 - step.index)?.die(1);
          else threads.at(-1 - step.index)?.deliver(step.kind);
          await clock.advance(0);
          expect(threads.filter((thread) => !thread.isDead).length).toBeLessThanOrEqual(max + 1);
        }
        for (let id = 0; id < callers.length; id++) gateOf(gates, id).resolve();
        for (let round = 0; round < 20; round++) {
          await settleAll();
          await clock.advance(100);
        }

        expect(outcomes).not.toContain("open");
        expect(outcomes).not.toContain("wrong");
        for (const [id, outcome] of outcomes.entries()) {
          const times = begun.get(id) ?? 0;
          expect(times).toBeLessThanOrEqual(1);
          if (outcome !== "cancelled") expect(times).toBe(1);
          if (outcome === "cancelled") expect(callers[id]?.signal.aborted).toBe(true);
        }
        expect(pool.stats).toMatchObject({ outstanding: 0, queued: 0 });
        expect(threads.some((thread) => thread.isAlive && !thread.isDead)).toBe(false);

        const closed = pool.close();
        await settleAll();
        await closed;
        expect(threads.every((thread) => thread.isDead)).toBe(true);
        expect(clock.timers).toBe(0);
      },
    ),
    { numRuns: propertyRuns(300) },
  );
});

test("no thread is idle while another holds something that it has not begun with, in whatever order they start", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 2 }),
      fc.array(fc.record({ thread: fc.nat(3), to: fc.constantFrom("thread" as const, "pool" as const) }), {
        maxLength: 30,
      }),
      async (calls, max, concurrency, deliveries) => {
        let running = 0;
        const end = Promise.withResolvers<void>();
        const slow = async () => {
          running++;
          await end.promise;
        };
        const { pool, threads, clock, settleAll } = scripted({ slow }, { threads: [1, max], concurrency, inFlight: 8 });
        const all = Array.from({ length: calls }, () => pool.call("slow", []));
        await clock.advance(0);
        for (const { thread, to } of deliveries) {
          threads[thread]?.deliver(to);
          await clock.advance(0);
        }
        await settleAll();
        expect(running).toBe(Math.min(calls, max * concurrency));
        end.resolve();
        await settleAll();
        await Promise.all(all);
      },
    ),
    { numRuns: propertyRuns(300) },
  );
});

function gateOf(gates: Map<number, PromiseWithResolvers<void>>, id: number): PromiseWithResolvers<void> {
  const gate = gates.get(id) ?? Promise.withResolvers<void>();
  gates.set(id, gate);
  return gate;
}

function note(outcomes: string[], id: number, outcome: string): void {
  outcomes[id] = outcomes[id] === "open" ? outcome : "settled twice";
}

test("a module that keeps crashing is started again after pauses that grow, not in a storm", async () => {
  const { pool, threads, clock, settleAll } = scripted(
    { quick: () => 1 },
    { threads: 1, restartBackoff: (attempt) => Math.min(1_000, 100 * 2 ** (attempt - 1)) },
  );
  for (let crash = 0; crash < 6; crash++) {
    const call = pool.call("quick", []).catch((error: Error) => error.name);
    await clock.advance(0);
    threads.at(-1)?.deliver("pool");
    await clock.advance(0);
    threads.at(-1)?.die(1);
    await clock.advance(crash < 4 ? 100 * 2 ** crash - 1 : 999);
    expect(threads.length).toBe(crash + 1);
    await clock.advance(1);
    expect(threads.length).toBe(crash + 2);
    if (crash === 5) {
      await settleAll();
      expect(await call).toBe(1); // it was never begun, so it was not lost with the thread
    }
  }
  expect(pool.stats.crashes).toBe(6);
});

test("a thread that does not start in time is given up, and those who wait are told", async () => {
  const { pool, threads, clock } = scripted({}, { threads: 1, startTimeout: 50 });
  const call = pool.call("quick", []).catch((error: unknown) => error);
  await clock.advance(50);
  expect(await call).toMatchObject({
    name: "WorkerStartError",
    cause: { message: "The thread was not ready within 50 ms" },
  });
  expect(threads[0]?.isDead).toBe(true);
});

test("calls are spread over threads by what each of them holds", async () => {
  const gates = Promise.withResolvers<void>();
  const { pool, threads, settleAll } = scripted({ slow: () => gates.promise }, { threads: [3, 3], concurrency: 4 });
  const calls = Array.from({ length: 9 }, () => pool.call("slow", []));
  await settleAll();
  expect(threads.length).toBe(3);
  expect(pool.stats).toMatchObject({ threads: 3, outstanding: 9, queued: 0, idle: 0 });
  gates.resolve();
  await settleAll();
  await Promise.all(calls);
  expect(pool.stats).toMatchObject({ idle: 3, outstanding: 0 });
});

test("[tinypool#54] a thread whose end is never reported does not hold up its calls, nor close()", async () => {
  const { pool, threads, clock, settleAll } = scripted(
    { slow: () => new Promise(() => {}) },
    { threads: 1, concurrency: 2, grace: 10 },
  );
  const caller = new AbortController();
  const stuck = pool.call("slow", [], { signal: caller.signal }).catch((error: Error) => error.name);
  const neighbour = pool.call("slow", []).catch((error: Error) => error.name);
  await settleAll();
  if (threads[0] !== undefined) threads[0].isDeaf = true;
  caller.abort();
  expect(await stuck).toBe("AbortError");
  await clock.advance(10 + 5_000);
  expect(await neighbour).toBe("WorkerLostError");
  const closed = pool.close();
  await settleAll();
  await closed;
});

test("[piscina#596] a thousand small calls cost a handful of messages", async () => {
  const { pool, threads, settleAll } = scripted(
    { add: (a, b) => Number(a) + Number(b) },
    { threads: 1, inFlight: 250 },
  );
  const numbers = Array.from({ length: 1_000 }, (_, i) => pool.call("add", [i, 1]));
  await settleAll();
  expect(await Promise.all(numbers)).toEqual(numbers.map((_, i) => i + 1));
  expect(threads[0]?.messages).toBe(8); // a bell per batch and direction: the numbers are in shared memory
  const texts = Array.from({ length: 500 }, (_, i) => pool.call("add", [`${i}`, 1]));
  await settleAll();
  expect(await Promise.all(texts)).toEqual(texts.map((_, i) => i + 1));
  expect(threads[0]?.messages).toBe(12);
});
