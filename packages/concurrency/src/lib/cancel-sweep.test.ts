import { expect, test } from "vitest";
import { Context } from "../index.ts";
import { cancelSweep } from "../testing.ts";

test("cancelSweep() cancels once at each step, from before the first microtask to the last step", async () => {
  const cancelledAfter: number[] = [];
  await cancelSweep(
    async (context) => {
      let passed = 0;
      for (; !context.cancelled; passed++) await Promise.resolve();
      cancelledAfter.push(passed);
    },
    { steps: 4 },
  );
  expect(cancelledAfter).toHaveLength(5);
  expect(cancelledAfter).toEqual(cancelledAfter.toSorted((a, b) => a - b));
  expect(new Set(cancelledAfter).size).toBe(5);
});

test("cancelSweep() rejects with the step at which the scenario failed, and its error as the cause", async () => {
  const failure = new Error("something was lost");
  const steps: number[] = [];
  const swept = cancelSweep(async (context, step) => {
    steps.push(step);
    await new Promise((resolve) => Context.after(context, resolve));
    expect(context.cause).toMatchObject({ message: `cancelled at step ${step}` });
    if (step === 3) throw failure;
  });
  await expect(swept).rejects.toMatchObject({
    message: "The scenario failed when cancelled after 3 microtasks",
    cause: failure,
  });
  expect(steps).toEqual([0, 1, 2, 3]);
});

test("cancelSweep() refuses a number of steps that is none", async () => {
  await expect(cancelSweep(async () => {}, { steps: -1 })).rejects.toThrow(
    "Cannot sweep: steps must be an integer of at least 0, got -1",
  );
});
