// Laws that only a whole process can show.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { runModule } from "./support/run-module.ts";

const flags = ["--expose-gc", "--conditions=@proj/source", "--no-warnings=ExperimentalWarning"];

test("whatever is imported for the first time within a request keeps nothing of it", async () => {
  const program = join(import.meta.dirname, "late-imports.ts");
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [...flags, program]);
  expect({ stderr, kept: JSON.parse(stdout) }).toEqual({ stderr: "", kept: [] });
});

test("operations of every primitive on one signal leave one native listener at most, and no memory, nor do waits that are given up", async () => {
  const program = join(import.meta.dirname, "laws-memory.ts");
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [...flags, program]);
  expect(stderr).toBe("");
  const { most, left, retained } = JSON.parse(stdout) as Record<string, number>;
  expect({ most, left }).toEqual({ most: 1, left: 0 });
  expect(retained).toBeLessThan(1_000_000);
});

test("a wait for a time keeps the process alive until that time has come", async () => {
  const { code, stdout, stderr } = await runModule(`
    import * as c from "@proj/concurrency";
    const say = (what) => console.log(what);

    await c.select({ late: c.after(5) });
    say("after");
    for (const limiter of [
      c.tokenBucket({ rate: 1, per: 5 }),
      c.leakyBucket({ rate: 1, per: 5, capacity: 1 }),
      c.slidingWindow({ limit: 1, window: 5 }),
      c.fixedWindow({ limit: 1, window: 5 }),
      c.all(c.tokenBucket({ rate: 1, per: 5 }), c.fixedWindow({ limit: 1, window: 5 })),
    ]) {
      await limiter.take();
      await limiter.take();
    }
    say("take");
    await c.batcher((keys) => keys, { maxWait: 5 }).load(1);
    say("maxWait");
    const source = c.channel(1);
    await source.send(1);
    for await (const batch of c.pipe(source).batch({ max: 2, wait: 5 })) break;
    say("batch");
    let made = 0;
    const create = () => {
      if (++made === 1) throw new Error("not yet");
      return made;
    };
    const things = c.pool({ create, createBackoff: () => 5 });
    await things.acquire().catch(() => {});
    const lease = await things.acquire();
    say("backoff of a pool");
    await things.close({ timeout: 5 });
    say("close of a pool whose resource is held");
    let started = 0;
    const service = { start: (_context, { fail }) => void (++started === 1 && setImmediate(fail, new Error("crash"))) };
    const supervisor = new c.Supervisor({ service }, { backoff: () => 5, onEvent: ({ state }) => started === 2 && state === "running" && supervisor.stop() });
    await supervisor.run();
    say("restart of a service");
  `);
  expect({ code, stderr, said: stdout.trim().split("\n") }).toEqual({
    code: 0,
    stderr: "",
    said: [
      "after",
      "take",
      "maxWait",
      "batch",
      "backoff of a pool",
      "close of a pool whose resource is held",
      "restart of a service",
    ],
  });
});

test("a deadline of whatever primitive does not keep the process alive", async () => {
  const { code, stdout, stderr } = await runModule(`
    import * as c from "@proj/concurrency";
    const timeout = 3_600_000;
    const nobody = () => new Promise(() => {});
    const one = new c.Semaphore(1);
    const held = await one.acquire();
    void one.acquire({ timeout });
    const mutex = new c.Mutex();
    const locked = await mutex.acquire();
    void mutex.run(nobody, { timeout });
    void new c.Condition(mutex).wait({ timeout });
    const lock = new c.RwLock();
    const writing = await lock.acquireWrite();
    void lock.read(nobody, { timeout });
    void new c.Event().wait({ timeout });
    void new c.Latch(1).wait({ timeout });
    void new c.Barrier(2).wait({ timeout });
    void c.scope((tasks) => tasks.spawn(nobody), { timeout });
    const things = c.pool({ create: () => ({}), max: 1, idle: timeout, maxAge: timeout });
    const lease = await things.acquire();
    void things.acquire({ timeout });
    void c.pool({ create: nobody }).acquire({ timeout });
    c.tokenBucket({ rate: 1 }).tryTake();
    const { signal } = c.Context.derive({ timeout });
    void c.channel().recv({ signal });
    void c.select({ nobody: nobody() }, { signal });
    void c.pipe(c.channel()).run({ signal });
    void c.singleflight().run("key", nobody, { signal });
    void new c.Supervisor({ service: { start: nobody } }, { startTimeout: timeout }).start();
    console.log("the end");
  `);
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "the end\n", stderr: "" });
});
