// What pools of threads have done to users of other packages, where no other test has it. In brackets: where it was
// reported. What nodejs/node#38780 and tinypool#49 say is not at hand: tested is what they are cited for, the cost of
// small tasks and what is left undone when a thread goes.
import { expect, test } from "vitest";
import { type Workers, type WorkersOptions, workers } from "../src/workers.ts";
import type * as tasks from "./support/workers-tasks.ts";

function open(options: WorkersOptions & { readonly data?: tasks.Settings }): Workers<typeof tasks> {
  return workers<typeof tasks>(new URL("./support/workers-tasks.ts", import.meta.url), options);
}

test("[nodejs/node#38780] small tasks share what it costs to reach a thread: ten thousand at a time come back in order", async () => {
  await using pool = open({ threads: 1, inFlight: 250 });
  const calls = Array.from({ length: 10_000 }, (_, i) => pool.run.add(i, 1));
  const finished: number[] = [];
  for (const [index, call] of calls.entries()) void call.then(() => finished.push(index));
  expect(await Promise.all(calls)).toEqual(calls.map((_, i) => i + 1));
  expect(finished).toEqual(calls.map((_, i) => i));
  expect(pool.stats).toMatchObject({ outstanding: 0, queued: 0, completed: 10_000, crashes: 0 });
});

test("[tinypool#49] every thread cleans up when the pool is closed, once, whether it has worked or not", async () => {
  const counts = new Int32Array(new SharedArrayBuffer(8));
  const pool = open({ threads: 2, data: { counts } });
  const gone = pool.call("echo", ["given up"], { signal: AbortSignal.abort("given up") }); // aborts nobody else
  await expect(gone).rejects.toBe("given up");
  expect(await pool.run.add(1, 1)).toBe(2);
  await pool.close();
  const [started, disposed] = counts;
  expect(disposed).toBe(started);
  expect(disposed).toBeGreaterThan(0);
});
