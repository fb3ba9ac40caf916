// What hedged calls leave behind in a context that outlives them.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Context } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { breaker, bulkhead, compose, hedge } from "@proj/resilience";
import { expect, test } from "vitest";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

async function heap(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => setImmediate(resolve));
    gc();
  }
  return process.memoryUsage().heapUsed;
}

test("Hedged calls leave nothing in a long-lived context, whoever wins and whether the signals were read or not", async () => {
  const clock = new TestClock();
  const places = bulkhead({ max: 1_000 });
  const stack = compose({ clock, idempotent: true }, hedge({ after: 1, ratio: 1 }), breaker(), places);
  using server = Context.derive({ clock });
  server.signal.addEventListener("abort", () => {});
  const contexts: WeakRef<Context>[] = [];

  async function round(index: number): Promise<void> {
    const calls = Array.from({ length: 50 }, (_, number) =>
      stack(
        async (context, { attempt }) => {
          if (index === 0) contexts.push(new WeakRef(context));
          const wins = (number % 2) + 1; // the first attempt, or the second
          if (number % 3 === 0) context.signal.throwIfAborted();
          if (attempt !== wins && number % 5 === 0) throw new Error("broken");
          await new Promise((resolve) => clock.setTimeout(resolve, attempt === wins ? 2 : 5));
          return number;
        },
        { signal: server },
      ),
    );
    await clock.advance(10);
    await Promise.all(calls);
  }

  for (let index = 0; index < 100; index++) await round(index);
  const before = await heap();
  for (let index = 1; index < 400; index++) await round(index);
  const retained = (await heap()) - before;
  expect(retained).toBeLessThan(1_000_000); // of 20,000 calls: 50 bytes each at most
  expect(contexts.length).toBeGreaterThan(50);
  expect(contexts.filter((context) => context.deref() !== undefined).length).toBe(0);
  expect([clock.timers, places.stats()["running"]]).toEqual([0, 0]);
});
