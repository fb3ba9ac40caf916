// What only whole processes can show of workers.
import { expect, test } from "vitest";
import { runModule } from "./support/run-module.ts";

const entry = new URL("../src/workers.ts", import.meta.url).href;
const module = new URL("./support/workers-tasks.ts", import.meta.url).href;
const open = `
  import { workers } from "${entry}";
  process.on("unhandledRejection", (error) => console.log("unhandled", error));
  const pool = workers("${module}", { threads: 2 });
`;

test("a process ends by itself when nobody waits for its workers, and not before", async () => {
  const { code, stdout, stderr } = await runModule(`${open}
    void pool.run.echoLater("late").then(console.log);
    console.log(await pool.run.add(1, 2));
  `);
  expect({ code, stdout, stderr }).toEqual({
    code: 0,
    stdout: expect.stringMatching(/^(3\nlate|late\n3)\n$/),
    stderr: "",
  });
});

test("a call that was given up holds the process no longer, even if its task never ends", async () => {
  const { code, stdout, stderr } = await runModule(`${open}
    const words = new Int32Array(new SharedArrayBuffer(16));
    console.log(await pool.call("hang", [words], { timeout: 100 }).catch((error) => error.name));
  `);
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "TimeoutError\n", stderr: "" });
});

test("threads killed in the middle lose no call and settle none twice", async () => {
  const { code, stdout, stderr } = await runModule(`${open}
    const outcomes = new Map();
    const count = (kind) => outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
    const calls = [];
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 50; i++) {
        const call = i === 25 && round % 5 === 0 ? pool.run.quit(1) : i % 2 ? pool.run.echo("" + i) : pool.run.add(i, 0);
        calls.push(call.then((value) => count(Number(value) === i ? "right" : "wrong"), (error) => count(error.name)));
      }
      await Promise.race(calls.slice(-50));
    }
    await Promise.all(calls);
    console.log(JSON.stringify([...outcomes].sort()), pool.stats.outstanding, pool.stats.crashes);
    await pool.close();
  `);
  expect({ code, stdout, stderr }).toEqual({
    code: 0,
    stdout: '[["WorkerLostError",4],["right",996]] 0 4\n',
    stderr: "",
  });
});

test("the main entry does not load threads", async () => {
  const { stdout } = await runModule(`
    import "@proj/concurrency";
    console.log(process.moduleLoadList.some((name) => name.includes("worker_threads")));
  `);
  expect(stdout).toBe("false\n");
});

test("threads hold on to no AsyncLocalStorage of those who called them", async () => {
  const { stdout, stderr } = await runModule(
    `${open}
    import { AsyncLocalStorage } from "node:async_hooks";
    const storage = new AsyncLocalStorage();
    const refs = [];
    async function request(id) {
      const store = { id, payload: new Array(1_000).fill(id) };
      refs.push(new WeakRef(store));
      await storage.run(store, () => pool.run.add(id, 1));
    }
    for (let id = 0; id < 50; id++) await request(id);
    await new Promise(setImmediate);
    gc();
    await new Promise(setImmediate);
    gc();
    console.log(refs.filter((ref) => ref.deref() !== undefined).length);
    `,
    ["--expose-gc"],
  );
  expect(stderr).toBe("");
  expect(Number(stdout)).toBeLessThanOrEqual(2);
});
