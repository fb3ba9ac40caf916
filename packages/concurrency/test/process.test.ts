// What only a whole process can show: that it ends, how fast it loads, and what it keeps in memory.
import { expect, test } from "vitest";
import { runModule } from "./support/run-module.ts";

test("no timer keeps the process alive", async () => {
  const { code, stdout, stderr } = await runModule(`
    import { Context, Semaphore, systemClock } from "@proj/concurrency";
    systemClock.setTimeout(() => console.log("timer"), 3_600_000);
    systemClock.setTimeout(() => console.log("timer"), Number.MAX_SAFE_INTEGER);
    const context = Context.derive({ timeout: 3_600_000 });
    context.signal.addEventListener("abort", () => console.log("deadline"));
    const semaphore = new Semaphore(1);
    await semaphore.acquire();
    void semaphore.acquire({ timeout: 3_600_000 });
    console.log("done");
  `);
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "done\n", stderr: "" });
});

test("a million operations on one signal leave one native listener at most, and no memory", async () => {
  const { stdout, stderr } = await runModule(
    `
    import { getEventListeners } from "node:events";
    import { Context, Semaphore } from "@proj/concurrency";
    const { signal } = new AbortController();
    const parent = Context.derive();
    const semaphore = new Semaphore(1, { reentry: "ignore" });
    let most = 0;

    async function work(times) {
      for (let i = 0; i < times; i++) {
        using derived = Context.derive({ signal });
        using registration = Context.after(derived, () => {});
        const dropped = Context.derive({ parent, timeout: 60_000 }); // neither watched nor disposed of
        const held = semaphore.run(async () => {}, { signal: parent });
        const waiting = semaphore.run(async () => {}, { signal });
        most = Math.max(most, getEventListeners(signal, "abort").length);
        await held;
        await waiting;
        if (i % 1_000 === 0) await new Promise(setImmediate);
      }
    }

    await work(20_000);
    gc(); gc();
    const before = process.memoryUsage().heapUsed;
    await work(200_000); // five operations each
    gc(); gc();
    const retained = process.memoryUsage().heapUsed - before;
    console.log(JSON.stringify({ most, left: getEventListeners(signal, "abort").length, retained }));
  `,
    ["--expose-gc"],
  );
  expect(stderr).toBe("");
  const { most, left, retained } = JSON.parse(stdout) as Record<string, number>;
  expect({ most, left }).toEqual({ most: 1, left: 0 });
  expect(retained).toBeLessThan(1_000_000);
});

test("contexts and permits that nobody holds are collected, disposed of or not", async () => {
  const { stdout } = await runModule(
    `
    import { Context, Semaphore } from "@proj/concurrency";
    const parent = Context.derive({ timeout: 3_600_000 });
    const semaphore = new Semaphore(1_000);
    async function make() {
      const contexts = Array.from({ length: 100 }, () => Context.derive({ parent, timeout: 1_000 }));
      for (const context of contexts.slice(50)) Context.after(context, () => {})[Symbol.dispose]();
      const permits = await Promise.all(contexts.map(() => semaphore.acquire()));
      permits.forEach((permit) => permit.release());
      return [...contexts, ...permits].map((value) => new WeakRef(value));
    }
    const refs = await make();
    await new Promise((resolve) => setTimeout(resolve, 10));
    gc();
    console.log(refs.filter((ref) => ref.deref() !== undefined).length);
  `,
    ["--expose-gc"],
  );
  expect(Number(stdout)).toBeLessThan(5);
});
