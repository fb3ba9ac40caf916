import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { Barrier, BarrierBrokenError, Context, type OwnedContext, TimeoutError } from "../index.ts";
import { cancelSweep, TestClock } from "../testing.ts";

async function ticks(count: number): Promise<void> {
  for (let tick = 0; tick < count; tick++) await Promise.resolve();
}

test("Barrier lets all go on when the last has come, round after round", async () => {
  const barrier = new Barrier(3);
  const log: string[] = [];
  const missing = await Promise.all(
    [5, 1, 3].map(async (pause, party) => {
      const missing: number[] = [];
      for (const round of [1, 2, 3]) {
        await ticks(pause);
        log.push(`${round}`);
        missing.push(await barrier.wait());
        expect(log.filter((entry) => entry === `${round}`)).toHaveLength(3);
      }
      return [party, ...missing];
    }),
  );
  expect(log.join("")).toBe("111222333");
  expect(missing[0]?.[1]).toBe(0); // the slowest was the last of the first round
  expect([barrier.waiting, barrier.broken]).toEqual([0, false]);
});

test("a party that gives up breaks the barrier for all until it is reset", async () => {
  const clock = new TestClock();
  const barrier = new Barrier(3, { name: "end of round", clock });
  const reason = new Error("left");
  const party = Context.derive();
  const waits = [barrier.wait({ signal: party }), barrier.wait()].map((wait) => wait.catch((error: unknown) => error));
  party.cancel(reason);
  expect([barrier.waiting, barrier.broken]).toEqual([0, true]);
  const [first, second] = await Promise.all(waits);
  expect(first).toBe(reason);
  expect(second).toBeInstanceOf(BarrierBrokenError);
  expect(second).toMatchObject({
    cause: reason,
    code: "ERR_BARRIER_BROKEN",
    message: expect.stringContaining("end of round"),
  });
  await expect(barrier.wait()).rejects.toMatchObject({ cause: reason });

  barrier.reset();
  expect(barrier.broken).toBe(false);
  const timed = barrier.wait({ timeout: 10 });
  timed.catch(() => {});
  await clock.advance(10);
  await expect(timed).rejects.toBeInstanceOf(TimeoutError);
  expect(barrier.broken).toBe(true);
});

test("Barrier.reset() sends those who wait away, and starts anew", async () => {
  const barrier = new Barrier(2);
  const waiting = barrier.wait();
  barrier.reset();
  await expect(waiting).rejects.toBeInstanceOf(BarrierBrokenError);
  expect(await Promise.all([barrier.wait(), barrier.wait()])).toEqual([1, 0]);
});

test("who has met all others goes on, even if its signal aborts in the same turn", async () => {
  const barrier = new Barrier(2);
  const party = Context.derive();
  const both = Promise.all([barrier.wait({ signal: party }), barrier.wait()]);
  party.cancel("too late");
  expect(await both).toEqual([1, 0]);
  expect(barrier.broken).toBe(false);
  await expect(barrier.wait({ signal: party })).rejects.toBe("too late");
  expect(barrier.broken).toBe(false); // it never came
});

test("Barrier refuses what is no number of parties", () => {
  expect(() => new Barrier(0)).toThrow("Cannot create a Barrier: parties must be an integer of at least 1, got 0");
});

test("a barrier cancelled at any step leaves nobody waiting", async () => {
  await cancelSweep(async (signal) => {
    const barrier = new Barrier(2);
    const party = async (pause: number, own?: Context): Promise<void> => {
      for (let round = 0; round < 3; round++) {
        await ticks(pause);
        own?.throwIfCancelled();
        await barrier.wait({ signal: own });
      }
    };
    const all = [party(2, signal), party(3, signal)];
    await Promise.allSettled(all);
    expect(barrier.waiting).toBe(0);
  });
});

test("a barrier agrees with a naive model in any schedule", async () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.constant("come" as const) },
    { weight: 1, arbitrary: fc.constant("leave" as const) },
    { weight: 1, arbitrary: fc.constant("reset" as const) },
  );
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 30 }), async (parties, steps) => {
      const barrier = new Barrier(parties);
      const expected: string[] = [];
      const seen: string[] = [];
      let waiting: { id: number; signal: OwnedContext }[] = [];
      let broken = false;
      for (const [id, kind] of steps.entries()) {
        if (kind === "come") {
          const signal = Context.derive();
          barrier.wait({ signal }).then(
            (missing) => (seen[id] = `${missing}`),
            (error: unknown) => (seen[id] = error instanceof BarrierBrokenError ? "broken" : String(error)),
          );
          if (broken) expected[id] = "broken";
          else {
            waiting.push({ id, signal });
            expected[id] = "waits";
            if (waiting.length === parties) {
              for (const [index, { id }] of waiting.entries()) expected[id] = `${parties - 1 - index}`;
              waiting = [];
            }
          }
        } else if (kind === "leave") {
          const [first, ...others] = waiting;
          if (first !== undefined) {
            expected[first.id] = "left";
            for (const { id } of others) expected[id] = "broken";
            waiting = [];
            broken = true;
            first.signal.cancel("left");
          }
        } else {
          for (const { id } of waiting) expected[id] = "broken";
          waiting = [];
          broken = false;
          barrier.reset();
        }
        expect([barrier.waiting, barrier.broken]).toEqual([waiting.length, broken]);
      }
      await ticks(6);
      for (const { id } of waiting) seen[id] = "waits";
      expect(seen).toEqual(expected);
    }),
    { numRuns: propertyRuns(3_000) },
  );
});
