// The mutex against a naive model, in random schedules.
import { Context, Mutex, type OwnedContext, TimeoutError } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "./support/property-runs.ts";

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("enter" as const), timeout: fc.option(fc.nat(30)) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("try" as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("leave" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("abort" as const), at: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: fc.integer({ min: 1, max: 20 }) }) },
);

interface Caller {
  readonly id: number;
  readonly context: OwnedContext;
  readonly due: number;
}

test("a mutex agrees with a naive model in any schedule", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const clock = new TestClock();
      const mutex = new Mutex({ reentry: "ignore", clock });
      const line: Caller[] = [];
      const outcomes = new Map<number, string>();
      const expected = new Map<number, string>();
      let inside: { readonly leave: () => void } | undefined;
      let nextId = 0;

      const enter = (timeout: number | null): void => {
        const id = nextId++;
        const context = Context.derive({ clock });
        const gate = Promise.withResolvers<void>();
        const isFree = inside === undefined;
        const work = async (): Promise<void> => {
          expect(inside).toBeUndefined();
          inside = { leave: gate.resolve };
          expected.set(id, "done");
          if (line[0]?.id === id) line.shift();
          await gate.promise;
          inside = undefined;
        };
        if (!isFree && timeout === 0) expected.set(id, "TimeoutError");
        else if (!isFree) line.push({ id, context, due: clock.now() + (timeout ?? Number.POSITIVE_INFINITY) });
        mutex.run(work, { signal: context, timeout: timeout ?? undefined }).then(
          () => outcomes.set(id, "done"),
          (error: unknown) => outcomes.set(id, error instanceof TimeoutError ? error.name : String(error)),
        );
      };

      for (const action of steps) {
        if (action.kind === "enter") {
          enter(action.timeout);
        } else if (action.kind === "try") {
          const isFree = inside === undefined && line.length === 0;
          const permit = mutex.tryAcquire();
          expect(permit !== undefined).toBe(isFree);
          permit?.release();
        } else if (action.kind === "leave") {
          inside?.leave();
        } else if (action.kind === "abort" && line.length > 0) {
          const [caller] = line.splice(action.at % line.length, 1);
          expected.set(caller?.id ?? -1, "aborted");
          caller?.context.cancel("aborted");
        } else if (action.kind === "advance") {
          await clock.advance(action.ms);
          for (const caller of line.filter(({ due }) => due <= clock.now())) {
            line.splice(line.indexOf(caller), 1);
            expected.set(caller.id, "TimeoutError");
          }
        }
        for (let turn = 0; turn < 12; turn++) await Promise.resolve();
        expect([mutex.locked, mutex.waiting]).toEqual([inside !== undefined, line.length]);
      }
      for (let left = 100; left > 0 && inside !== undefined; left--) {
        (inside as { readonly leave: () => void }).leave();
        for (let turn = 0; turn < 12; turn++) await Promise.resolve();
      }
      expect([mutex.locked, mutex.waiting, clock.timers]).toEqual([false, 0, 0]);
      expect(Object.fromEntries(outcomes)).toEqual(Object.fromEntries(expected));
    }),
    { numRuns: propertyRuns(500) },
  );
});
