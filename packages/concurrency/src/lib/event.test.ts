import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { Context, Event, type OwnedContext, TimeoutError } from "../index.ts";
import { cancelSweep, TestClock } from "../testing.ts";

async function ticks(count: number): Promise<void> {
  for (let tick = 0; tick < count; tick++) await Promise.resolve();
}

test("Event holds callers back until it is set, and lets all pass until it is cleared", async () => {
  const event = new Event({ name: "ready" });
  const order: number[] = [];
  const waits = [0, 1].map((index) => event.wait().then(() => order.push(index)));
  await ticks(3);
  expect([order, event.waiting, event.isSet, event.name]).toEqual([[], 2, false, "ready"]);
  event.set();
  event.clear(); // those who waited go on nevertheless
  await Promise.all(waits);
  expect([order, event.isSet]).toEqual([[0, 1], false]);
  event.set();
  await event.wait();
});

test("a caller that gives up leaves in the same turn", async () => {
  const clock = new TestClock();
  const event = new Event({ clock });
  const context = Context.derive();
  const aborted = Context.run(context, () => event.wait());
  const timed = event.wait({ timeout: 20 }).catch((error: unknown) => error);
  context.cancel("left");
  expect(event.waiting).toBe(1);
  await expect(aborted).rejects.toBe("left");
  await clock.advance(20);
  expect(await timed).toBeInstanceOf(TimeoutError);
  event.set();
  await expect(event.wait({ signal: context })).rejects.toBe("left");
});

test("an error of a wait shows who waited", async () => {
  const event = new Event({ name: "ready" });
  async function callerOfWait(): Promise<void> {
    await event.wait({ timeout: 0 });
  }
  const error = await callerOfWait().catch((error: Error) => error);
  expect(error?.message).toBe("Cannot wait for ready any longer: it took more than 0 ms");
  expect(error?.stack).toMatch(/callerOfWait/);
});

test("an event cancelled at any step leaves nobody waiting", async () => {
  await cancelSweep(async (signal) => {
    const event = new Event();
    const waits = [event.wait({ signal }), event.wait()];
    void ticks(3).then(() => event.set());
    await Promise.allSettled(waits);
    expect(event.waiting).toBe(0);
  });
});

test("an event agrees with a naive model in any schedule", async () => {
  const step = fc.constantFrom("wait" as const, "wait" as const, "set" as const, "clear" as const, "abort" as const);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
      const event = new Event();
      const seen: string[] = [];
      const expected: string[] = [];
      let waiting: { id: number; signal: OwnedContext }[] = [];
      let isSet = false;
      for (const [id, kind] of steps.entries()) {
        if (kind === "wait") {
          const signal = Context.derive();
          waiting.push({ id, signal });
          event.wait({ signal }).then(
            () => (seen[id] = "passed"),
            (reason: unknown) => (seen[id] = String(reason)),
          );
        } else if (kind === "abort") {
          const first = waiting.shift();
          if (first !== undefined) expected[first.id] = "left";
          first?.signal.cancel("left");
        } else {
          isSet = kind === "set";
          event[kind]();
        }
        if (isSet) {
          for (const { id } of waiting) expected[id] = "passed";
          waiting = [];
        }
        expect([event.waiting, event.isSet]).toEqual([waiting.length, isSet]);
      }
      await ticks(6);
      expect(seen).toEqual(expected);
    }),
    { numRuns: propertyRuns(3_000) },
  );
});
