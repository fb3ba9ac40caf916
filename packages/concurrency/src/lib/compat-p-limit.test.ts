import { AsyncLocalStorage } from "node:async_hooks";
import fc from "fast-check";
import peer from "p-limit";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { limitFunction, pLimit } from "../compat.ts";
import { Context } from "../index.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Step =
  | { readonly kind: "call"; readonly turns: number; readonly fails: boolean }
  | { readonly kind: "turn" }
  | { readonly kind: "concurrency"; readonly value: number };

/** What can be seen of a limit from outside while the steps happen. */
async function trace(make: typeof pLimit | typeof peer, steps: readonly Step[]): Promise<unknown[]> {
  const limit = make(2);
  const log: unknown[] = [];
  const calls: Promise<unknown>[] = []; // their outcomes
  for (const [id, step] of steps.entries()) {
    if (step.kind === "call") {
      const task = async (name: string): Promise<string> => {
        log.push(`start ${name}`);
        for (let left = step.turns; left > 0; left--) await turn();
        log.push(`end ${name}`);
        if (step.fails) throw name;
        return name;
      };
      calls.push(Promise.allSettled([limit(task, `task ${id}`)]));
    } else if (step.kind === "turn") {
      await turn();
    } else {
      limit.concurrency = step.value;
      await turn();
    }
    log.push([limit.activeCount, limit.pendingCount, limit.concurrency]);
  }
  log.push(await Promise.all(calls));
  log.push([limit.activeCount, limit.pendingCount]);
  return log;
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("call" as const), turns: fc.nat(3), fails: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("turn" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("concurrency" as const), value: fc.integer({ min: 1, max: 4 }) }),
  },
);

test("pLimit() leaves the same trace as p-limit in any schedule", { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
      expect(await trace(pLimit, steps)).toEqual(await trace(peer, steps));
    }),
    { numRuns: propertyRuns(300) },
  );
});

test("pLimit().map() and limitFunction() give what p-limit's do", async () => {
  const mapper = async (item: string, index: number): Promise<string> => `${index}${item}`;
  expect(await pLimit(2).map("abc", mapper)).toEqual(await peer(2).map("abc", mapper));
  const failing = async (item: number): Promise<number> => (item === 2 ? Promise.reject(new Error("two")) : item);
  await expect(pLimit(1).map([1, 2, 3], failing)).rejects.toThrow("two");
  function* broken(): Generator<number> {
    yield 2;
    throw new Error("source");
  }
  await expect(pLimit(1).map(broken(), failing)).rejects.toThrow("source");

  let most = 0;
  let running = 0;
  const one = limitFunction(
    async (value: number) => {
      most = Math.max(most, ++running);
      await turn();
      running--;
      return value;
    },
    { concurrency: 1 },
  );
  expect(await Promise.all([one(1), one(2), one(3)])).toEqual([1, 2, 3]);
  expect(most).toBe(1);
});

test("pLimit() refuses with a TypeError what p-limit refuses", () => {
  for (const wrong of [0, -1, 1.5, Number.NaN]) {
    expect(() => peer(wrong)).toThrow(TypeError);
    expect(() => pLimit(wrong)).toThrow(TypeError);
    expect(() => (pLimit(1).concurrency = wrong)).toThrow(TypeError);
  }
  // @ts-expect-error: no boolean
  expect(() => pLimit({ concurrency: 1, rejectOnClear: "yes" })).toThrow('rejectOnClear must be a boolean, got "yes"');
});

test("[p-limit#25] calls that are cleared away reject, and harm nobody who does not look", async () => {
  const limit = pLimit(1);
  const gate = Promise.withResolvers<void>();
  const running = limit(() => gate.promise.then(() => "ran"));
  const waiting = [limit(() => "never"), limit(() => "never")];
  limit.clearQueue(); // the second of them is not handled by anybody: the run would fail
  await expect(waiting[0]).rejects.toMatchObject({ name: "AbortError" });
  expect(limit.pendingCount).toBe(0);
  gate.resolve();
  expect(await running).toBe("ran");
  expect(await limit(() => "next")).toBe("next");
});

test("[p-limit#83] each call runs in the AsyncLocalStorage frame and the context of its caller", async () => {
  const frames = new AsyncLocalStorage<number>();
  const limit = pLimit(1);
  const seen = await Promise.all(
    [0, 1, 2, 3].map((id) => frames.run(id, () => limit(async () => [await turn(), frames.getStore()][1]))),
  );
  expect(seen).toEqual([0, 1, 2, 3]);
});

test("[p-limit#91] nested use that cannot go on is reported by name", async () => {
  const warning = new Promise<Error>((resolve) => process.once("warning", resolve));
  const limit = pLimit(1);
  const context = Context.derive();
  const nested = Context.run(context, () => limit(() => limit(() => "never")));
  expect(await warning).toMatchObject({ name: "ReentryWarning", message: expect.stringContaining("pLimit") });
  context.cancel("given up");
  await expect(nested).rejects.toBe("given up");
});

test("an error thrown in a limited call shows the leaf and the caller", async () => {
  const limit = pLimit(1);
  async function leaf(): Promise<never> {
    await Promise.resolve();
    throw new Error("deep");
  }
  async function callerOfLimit(): Promise<void> {
    await limit(leaf);
  }
  const error = await callerOfLimit().catch((error: Error) => error);
  expect(error?.stack).toMatch(/leaf[\s\S]*callerOfLimit/);
});
