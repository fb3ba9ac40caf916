// A supervisor under random crashes, failures and delays: what each service sees must always make sense.
import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { Context, type Service, Supervisor } from "../index.ts";
import { TestClock } from "../testing.ts";

const names = ["a", "b", "c", "d"] as const;
type Name = (typeof names)[number];

const plans = fc.record({
  strategy: fc.constantFrom("one-for-one" as const, "one-for-all" as const),
  services: fc.array(
    fc.record({
      needs: fc.subarray([0, 1, 2]),
      startMs: fc.nat(3),
      stopMs: fc.nat(3),
      /** Which of its starts fails, counted from 1. */
      failsAt: fc.nat(8),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  steps: fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("crash" as const), at: fc.nat(3) }) },
      {
        weight: 4,
        arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: fc.integer({ min: 1, max: 15 }) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("turn" as const) }) },
    ),
    { maxLength: 12 },
  ),
});

test("whatever crashes and fails when, no service runs twice, before its needs or after the end", async () => {
  await fc.assert(
    fc.asyncProperty(plans, async ({ strategy, services, steps }) => {
      const clock = new TestClock();
      const wrong: string[] = [];
      /** From the call of `start` until `stop` is done, or the start has failed. */
      const alive = new Set<Name>();
      const running = new Set<Name>();
      const fails = new Map<Name, (error: unknown) => void>();
      const wait = (ms: number, context?: Context) =>
        new Promise<void>((resolve, reject) => {
          if (ms === 0) resolve();
          else clock.setTimeout(resolve, ms);
          if (context !== undefined) Context.after(context, reject);
        });
      let restarts = -services.length;

      const made = services.map(({ needs, startMs, stopMs, failsAt }, index): [Name, Service<Name>] => {
        const name = names[index] as Name; // there are as many names as services at most
        const dependsOn = needs.filter((need) => need < index).map((need) => names[need] as Name);
        let starts = 0;
        const service: Service<Name> = {
          dependsOn,
          async start(context, { fail }) {
            if (alive.has(name)) wrong.push(`${name} was started while it was alive`);
            const missing = dependsOn.filter((need) => !running.has(need));
            if (missing.length > 0) wrong.push(`${name} was started before ${missing.join()}`);
            alive.add(name);
            restarts++;
            try {
              await wait(startMs, context);
              if (++starts === failsAt) throw new Error(`start ${starts} of ${name} failed`);
            } catch (error) {
              alive.delete(name); // it cleans up after itself
              throw error;
            }
            running.add(name);
            fails.set(name, (error) => {
              running.delete(name);
              fail(error);
            });
          },
          async stop() {
            if (!alive.has(name)) wrong.push(`${name} was stopped while it was not alive`);
            const above = made.filter(([other, { dependsOn }]) => alive.has(other) && dependsOn?.includes(name));
            // One that has crashed is stopped alone, to be started again.
            if (running.has(name) && above.length > 0)
              wrong.push(`${name} was stopped before ${above.map(([n]) => n).join()}`);
            fails.delete(name);
            running.delete(name);
            await wait(stopMs);
            alive.delete(name);
          },
        };
        return [name, service];
      });

      const supervisor = new Supervisor<Name>(Object.fromEntries(made) as Record<Name, Service<Name>>, {
        clock,
        strategy,
        intensity: { restarts: 3, period: 1_000 },
        backoff: () => 5,
        signals: [],
      });
      const ended = supervisor.run().then(
        () => "stopped",
        () => "failed",
      );
      for (const step of steps) {
        if (step.kind === "advance") await clock.advance(step.ms);
        else if (step.kind === "turn") await Promise.resolve();
        else fails.get(names[step.at] as Name)?.(new Error("crash"));
      }
      void supervisor.stop().catch(() => {});
      await clock.advance(100);
      await ended;

      expect(wrong).toEqual([]);
      expect([...alive]).toEqual([]);
      if (strategy === "one-for-one") expect(restarts).toBeLessThanOrEqual(3);
      const { services: reports } = await supervisor.report();
      expect(reports.filter(({ state }) => state !== "stopped" && state !== "failed")).toEqual([]);
    }),
    { numRuns: propertyRuns(500) },
  );
});
