// Workers with real threads.
import { AsyncLocalStorage } from "node:async_hooks";
import { expect, test } from "vitest";
import { ClosedError, Context, QueueFullError } from "../src/index.ts";
import { TestClock } from "../src/testing.ts";
import { WorkerLostError, WorkerStartError, type Workers, type WorkersOptions, workers } from "../src/workers.ts";
import { Gate } from "./support/worker-gate.ts";
import type * as tasks from "./support/workers-tasks.ts";

type Tasks = typeof tasks;

const module = new URL("./support/workers-tasks.ts", import.meta.url);

function open(options: WorkersOptions & { readonly data?: tasks.Settings } = {}): Workers<Tasks> {
  return workers<Tasks>(module, { threads: 1, ...options });
}

function caught(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    (value) => {
      throw new Error(`should have failed, gave ${String(value)}`);
    },
    (error: Error) => error,
  );
}

test("a call gives what the function gives, however it travels", async () => {
  await using pool = open();
  expect(await pool.run.add(1, 2)).toBe(3);
  expect(await pool.run.sum(1, 2, 3, 4, 5, 6, 7)).toBe(28);
  expect(await pool.run.sum(1, 2, 3, 4, 5, 6, 7, 8, 9)).toBe(45);
  expect(await pool.run.sum()).toBe(0);
  for (const value of [
    0,
    -0,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    true,
    false,
    null,
    undefined,
    "text",
    7n,
  ]) {
    expect(await pool.run.echo(value)).toBe(value);
    expect(await pool.run.echoLater(value)).toBe(value);
  }
  const rich = { map: new Map([[1, new Set(["a"])]]), date: new Date(0), bytes: new Uint8Array([1, 2]), list: [[]] };
  expect(await pool.run.echo(rich)).toEqual(rich);
  expect(await pool.call("add", [3, 4])).toBe(7);
});

test("calls of one turn come back each with its own result, whatever they are made of", async () => {
  await using pool = open({ threads: 2, concurrency: 3, inFlight: 5 });
  const values = Array.from({ length: 500 }, (_, i) => [i, `${i}`, { i }, i % 2 === 0, null][i % 5]);
  const results = await Promise.all(
    values.map((value, i) => (i % 3 === 0 ? pool.run.echoLater(value) : pool.run.echo(value))),
  );
  expect(results).toEqual(values);
  expect(pool.stats).toMatchObject({ outstanding: 0, queued: 0, completed: 500, crashes: 0 });
});

test("tasks of one thread begin in the order of the calls, with numbers and without", async () => {
  await using pool = open({ inFlight: 7 });
  const list = new Int32Array(new SharedArrayBuffer(4 * 301));
  await Promise.all(
    Array.from({ length: 300 }, (_, i) =>
      i % 4 === 0 ? pool.run.note(list, i) : pool.call("note", [list, i], { timeout: 60_000 }),
    ),
  );
  expect([...list.subarray(1)]).toEqual(Array.from({ length: 300 }, (_, i) => i));
});

test("an error arrives as the same built-in class with name, message, code, cause, fields and both stacks", async () => {
  await using pool = open();
  async function caller(): Promise<void> {
    await pool.run.fail("bad luck");
  }
  const error = (await caught(caller())) as Error & { code: unknown; detail: unknown };
  expect(error).toBeInstanceOf(TypeError);
  expect(error).toMatchObject({ name: "OddError", message: "bad luck", code: "ERR_ODD", detail: { line: 7 } });
  expect(error.cause).toBeInstanceOf(RangeError);
  expect(error.cause).toMatchObject({ message: "the reason" });
  expect(error.stack).toMatch(/bad luck.*at fail .*workers-tasks.*at (async )?caller/s);
  expect(Object.keys(error)).not.toContain("stack");
});

test("whatever is thrown arrives, also when it cannot be copied", async () => {
  await using pool = open();
  const all = (await caught(pool.run.failAll())) as AggregateError;
  expect(all).toBeInstanceOf(AggregateError);
  expect(all.errors).toMatchObject([{ name: "SyntaxError", message: "one" }, "two"]);
  expect(await caught(pool.run.failWith("string"))).toBe("just text");
  const dom = await caught(pool.run.failWith("dom"));
  expect(dom).toBeInstanceOf(DOMException);
  expect(dom).toMatchObject({ name: "AbortError", code: 20 });
  expect(await caught(pool.run.failWith("function"))).toMatchObject({ message: "odd fields" });
  expect(await caught(pool.run.failWith("loop"))).toMatchObject({ message: "odd fields" });
});

test("what cannot be copied fails its own call only", async () => {
  await using pool = open();
  const calls = [pool.run.echo("a"), pool.run.echo(() => {}), pool.run.giveFunction(), pool.run.echo("b")];
  const outcomes = await Promise.allSettled(calls);
  expect(outcomes.map((outcome) => outcome.status)).toEqual(["fulfilled", "rejected", "rejected", "fulfilled"]);
  for (const outcome of outcomes.slice(1, 3)) expect(outcome).toMatchObject({ reason: { name: "DataCloneError" } });
  async function caller(): Promise<void> {
    await pool.run.echo(Symbol("no"));
  }
  expect((await caught(caller())).stack).toMatch(/at (async )?caller/);
});

test("a name that the module does not export is refused", async () => {
  await using pool = workers<{ nothing(): void }>(module, { threads: 1 });
  const error = await caught(pool.run.nothing());
  expect(error).toBeInstanceOf(TypeError);
  expect(error.message).toMatch(/^Cannot call nothing: file:.*workers-tasks\.ts exports no function of this name$/);
});

test("buffers are moved, not copied, in both directions", async () => {
  await using pool = open();
  const buffer = new ArrayBuffer(1_000);
  expect(await pool.call("lengthOf", [buffer], { transfer: [buffer] })).toBe(1_000);
  expect(buffer.byteLength).toBe(0);
  const given = await pool.run.giveBuffer(500);
  expect(new Uint8Array(given).every((byte) => byte === 7)).toBe(true);
});

test("the caller's AsyncLocalStorage and Context are there after the call", async () => {
  await using pool = open();
  const storage = new AsyncLocalStorage<number>();
  using context = Context.derive({ timeout: 60_000 });
  const seen = await Promise.all(
    [1, 2, 3].map((id) =>
      storage.run(id, () =>
        Context.run(context, async () => {
          await pool.run.add(id, id);
          return [storage.getStore(), Context.current() === context];
        }),
      ),
    ),
  );
  expect(seen).toEqual([1, 2, 3].map((id) => [id, true]));
});

test("the time left travels into the worker", async () => {
  await using pool = open();
  expect(await pool.run.timeLeft()).toBe(Number.POSITIVE_INFINITY);
  using context = Context.derive({ timeout: 60_000 });
  const left = await Context.run(context, () => pool.run.timeLeft());
  expect(left).toBeLessThanOrEqual(60_000);
  expect(left).toBeGreaterThan(0);
});

test("a cancelled task that never leaves its thread sees it, and the thread goes on with the next", async () => {
  await using pool = open();
  const thread = await pool.run.thread();
  const gate = new Gate();
  const caller = new AbortController();
  const call = pool.call("spin", [gate.words], { signal: caller.signal });
  await gate.begun();
  const next = pool.run.thread();
  caller.abort(new Error("caller left"));
  expect(pool.stats.outstanding).toBe(1); // the call is settled in the same turn
  expect(await caught(call)).toBe(caller.signal.reason);
  expect(await next).toBe(thread);
  expect(pool.stats.crashes).toBe(0);
});

test("a cancelled task that waits is told by its signal", async () => {
  await using pool = open();
  const gate = new Gate();
  using context = Context.derive();
  const call = Context.run(context, () => pool.run.untilAborted(gate.words));
  await gate.begun();
  context.cancel(new Error("stop"));
  expect(await caught(call)).toMatchObject({ message: "stop" });
  await gate.ended();
});

test("a task that ignores its end costs its thread after the grace; others on it go on elsewhere", async () => {
  const clock = new TestClock();
  await using pool = open({ clock, grace: 500 });
  const thread = await pool.run.thread();
  const gate = new Gate();
  const caller = new AbortController();
  const call = pool.call("hang", [gate.words], { signal: caller.signal });
  await gate.begun();
  const others = Array.from({ length: 5 }, () => pool.run.thread());
  caller.abort();
  expect(await caught(call)).toMatchObject({ name: "AbortError" });
  await clock.advance(499);
  expect(pool.stats.threads).toBe(1);
  await clock.advance(1);
  const elsewhere = await Promise.all(others);
  expect(new Set(elsewhere).size).toBe(1);
  expect(elsewhere[0]).not.toBe(thread);
  expect(pool.stats.crashes).toBe(0);
  expect(pool.lastError).toMatchObject({
    message: "A task of this thread was cancelled and did not end within 500 ms",
  });
});

test("process.exit in a task fails what had begun, once; the rest runs in another thread", async () => {
  await using pool = open({ concurrency: 2, restartBackoff: () => 1 });
  const gate = new Gate();
  const begun = pool.run.untilAborted(gate.words);
  await gate.begun();
  const calls = [pool.run.quit(3), pool.run.add(1, 1), pool.run.echo("x")];
  const outcomes = await Promise.allSettled([begun, ...calls]);
  expect(outcomes.slice(0, 2)).toMatchObject([
    { reason: { name: "WorkerLostError", code: "ERR_WORKER_LOST", task: "untilAborted", started: true, exitCode: 3 } },
    { reason: { name: "WorkerLostError", task: "quit", started: true, exitCode: 3 } },
  ]);
  expect(outcomes.slice(2)).toEqual([
    { status: "fulfilled", value: 2 },
    { status: "fulfilled", value: "x" },
  ]);
  expect(pool.stats.crashes).toBe(1);
});

test("results that were there before a thread ended are not lost with it", async () => {
  await using pool = open({ restartBackoff: () => 1 });
  const outcomes = await Promise.allSettled([pool.run.add(1, 1), pool.run.echo("x"), pool.run.quit(0)]);
  expect(outcomes.map((outcome) => outcome.status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
});

test("an exception outside of a task is the cause of the loss", async () => {
  await using pool = open();
  const error = await caught(pool.run.throwLater());
  expect(error).toBeInstanceOf(WorkerLostError);
  expect(error.cause).toMatchObject({ name: "RangeError", message: "thrown outside of the task" });
  expect(pool.lastError).toBe(error.cause);
});

test("a thread without memory fails its task, not the process", async () => {
  await using pool = open({ resourceLimits: { maxOldGenerationSizeMb: 24 }, restartBackoff: () => 1 });
  const error = await caught(pool.run.exhaustMemory());
  expect(error).toBeInstanceOf(WorkerLostError);
  expect(error.cause).toMatchObject({ code: "ERR_WORKER_OUT_OF_MEMORY" });
  expect(await pool.run.add(1, 1)).toBe(2);
});

test("a module that cannot start fails the calls that wait, with its own error", async () => {
  await using broken = workers<{ work(): void }>(
    new URL("data:text/javascript,export function init() { throw new RangeError('no database') }"),
  );
  const errors = await Promise.all([caught(broken.run.work()), caught(broken.run.work())]);
  for (const error of errors) {
    expect(error).toBeInstanceOf(WorkerStartError);
    expect(error.cause).toMatchObject({ name: "RangeError", message: "no database" });
  }
  await using missing = workers<{ work(): void }>(new URL("./no-such-file.ts", import.meta.url));
  expect((await caught(missing.run.work())).cause).toMatchObject({ code: "ERR_MODULE_NOT_FOUND" });
  await using uncopied = workers<{ work(): void; init(data: unknown): void }>(module, { data: () => {} });
  expect((await caught(uncopied.run.work())).cause).toMatchObject({ name: "DataCloneError" });
});

test("init and dispose run once in each thread", async () => {
  const counts = new Int32Array(new SharedArrayBuffer(8));
  const pool = open({ data: { counts }, threads: 2, warmUp: true });
  await pool.run.add(1, 1);
  await pool.close();
  expect([...counts]).toEqual([2, 2]);
});

test("close() refuses new calls, finishes the others and ends the threads", async () => {
  const pool = open();
  const calls = Array.from({ length: 100 }, (_, i) => pool.run.add(i, i));
  const closed = pool.close();
  expect(await caught(pool.run.add(1, 1))).toBeInstanceOf(ClosedError);
  expect(await Promise.all(calls)).toHaveLength(100);
  await closed;
  expect(pool.stats).toMatchObject({ threads: 0, starting: 0, outstanding: 0 });
  await pool.close();
});

test("close() with a timeout gives up what does not end", async () => {
  const clock = new TestClock();
  const pool = open({ clock, inFlight: 1 });
  const gate = new Gate();
  const calls = [pool.run.hang(gate.words), pool.run.add(1, 1)].map(caught);
  await gate.begun();
  const closed = pool.close({ timeout: 100 });
  await clock.advance(100);
  for (const error of await Promise.all(calls)) expect(error).toBeInstanceOf(ClosedError);
  await closed;
});

test("a bounded pool refuses a call too many", async () => {
  await using pool = open({ inFlight: 2, maxQueue: 1 });
  const gate = new Gate();
  const calls = [pool.run.block(gate.words), pool.run.add(1, 1), pool.run.add(1, 1)];
  await gate.begun();
  const error = await caught(pool.run.add(1, 1));
  expect(error).toBeInstanceOf(QueueFullError);
  gate.open();
  expect(await Promise.all(calls)).toEqual(["let go", 2, 2]);
});

test("an idle thread takes over what a busy one has not begun with", async () => {
  await using pool = open({ threads: [1, 2], growAbove: 10 });
  await pool.run.add(1, 1);
  const gate = new Gate();
  const busy = pool.run.block(gate.words);
  const waiting = Array.from({ length: 8 }, (_, i) => pool.run.add(i, 0)); // all handed to the busy thread
  await gate.begun();
  const more = Array.from({ length: 8 }, (_, i) => pool.run.add(i, 0)); // now a second thread starts
  expect(await Promise.all([...waiting, ...more])).toHaveLength(16);
  expect(pool.stats.stolen).toBeGreaterThan(0);
  expect(pool.stats.outstanding).toBe(1);
  gate.open();
  await busy;
});

test("threads without work end after the idle time, down to the least, and come back when needed", async () => {
  const clock = new TestClock();
  const counts = new Int32Array(new SharedArrayBuffer(8));
  await using pool = open({ threads: [1, 3], clock, idle: 1_000, data: { counts } });
  const gate = new Gate();
  const calls = Array.from({ length: 3 }, () => pool.run.block(gate.words));
  await gate.begun(3);
  expect(pool.stats).toMatchObject({ threads: 3, idle: 0 });
  gate.open();
  await Promise.all(calls);
  await expect.poll(() => pool.stats.idle).toBe(3); // those that were given to one and taken over by another are known to both
  await clock.advance(2_000);
  expect(pool.stats).toMatchObject({ threads: 1, idle: 1 });
  expect(await pool.run.add(1, 1)).toBe(2);
});

test("options out of range are refused at once, by name", () => {
  const make = (options: object) => () => workers<Tasks>(module, options as WorkersOptions & { data?: undefined });
  expect(make({ threads: 0 })).toThrow("Cannot create workers: threads must be an integer of at least 1, got 0");
  expect(make({ threads: [3, 2] })).toThrow("threads must be [min, max] with min at most max, got [3, 2]");
  expect(make({ threads: [1, 2, 3] })).toThrow(TypeError);
  expect(make({ inFlight: 257 })).toThrow("Cannot create workers: inFlight must be at most 256, got 257");
  expect(make({ concurrency: 4, inFlight: 3 })).toThrow("inFlight must be an integer of at least 4, got 3");
  expect(make({ grace: -1 })).toThrow(RangeError);
  expect(make({ restartBackoff: { base: 1 } })).toThrow("restartBackoff must be a function");
  expect(() => workers("work.ts")).toThrow("the module must be a URL or an absolute path");
});

test("[piscina#805] aborted calls do not jam those behind them", async () => {
  await using pool = open({ inFlight: 1 });
  const gate = new Gate();
  const callers = [new AbortController(), new AbortController()] as const;
  const first = pool.call("spin", [gate.words], { signal: callers[0].signal });
  const second = pool.call("spin", [gate.words], { signal: callers[1].signal });
  const third = pool.run.add(1, 2);
  await gate.begun();
  callers[1].abort();
  callers[0].abort();
  expect(await caught(second)).toBe(callers[1].signal.reason);
  expect(await caught(first)).toBe(callers[0].signal.reason);
  expect(await third).toBe(3);
  expect(Atomics.load(gate.words, 0)).toBe(1); // the second was never begun
});

test("[piscina#934] aborting one call leaves those that share its thread alone", async () => {
  await using pool = open({ concurrency: 4 });
  const gate = new Gate();
  const caller = new AbortController();
  const aborted = pool.call("untilAborted", [gate.words], { signal: caller.signal });
  const others = [pool.run.echoLater("a"), pool.run.thread()];
  await gate.begun();
  caller.abort();
  expect(await caught(aborted)).toBe(caller.signal.reason);
  const [a, thread] = await Promise.all(others);
  expect(a).toBe("a");
  expect(await pool.run.thread()).toBe(thread);
});

test("[piscina#788] aborting everything leaves no thread behind that nobody asked for", async () => {
  await using pool = open({ threads: [1, 2] });
  const gate = new Gate();
  const caller = new AbortController();
  const calls = [1, 2, 3, 4].map(() => caught(pool.call("spin", [gate.words], { signal: caller.signal })));
  await gate.begun(2);
  caller.abort();
  for (const error of await Promise.all(calls)) expect(error).toBe(caller.signal.reason);
  await gate.ended(2);
  await expect.poll(() => pool.stats).toMatchObject({ threads: 2, starting: 0, idle: 2, outstanding: 0, crashes: 0 });
});

test("[piscina#87] a thread that is let go for want of work cleans up first", async () => {
  const clock = new TestClock();
  const counts = new Int32Array(new SharedArrayBuffer(8));
  await using pool = open({ threads: [0, 1], clock, idle: 100, data: { counts } });
  expect(await pool.run.add(1, 1)).toBe(2);
  await clock.advance(200);
  await expect.poll(() => [...counts]).toEqual([1, 1]);
  expect(pool.stats.threads).toBe(0);
});
