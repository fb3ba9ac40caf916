// Random callers, failures, aborts and crashes of three processes over one store, against what must hold.
import { TestClock } from "@proj/concurrency/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { idempotencyGuard, memoryIdempotency } from "../index.ts";

type Step =
  | { readonly kind: "call"; readonly process: number; readonly key: number }
  | { readonly kind: "finish"; readonly which: number; readonly ok: boolean }
  | { readonly kind: "abort"; readonly which: number }
  | { readonly kind: "crash"; readonly process: number }
  | { readonly kind: "tick"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("call" as const), process: fc.nat(2), key: fc.nat(1) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("finish" as const), which: fc.nat(20), ok: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("abort" as const), which: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("crash" as const), process: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("tick" as const), ms: fc.integer({ min: 1, max: 400 }) }) },
);

interface Run {
  readonly key: number;
  readonly process: number;
  readonly fence: number;
  readonly end: PromiseWithResolvers<string>;
}

for (const onCrash of ["reject", "rerun"] as const) {
  test(`With onCrash '${onCrash}', one at a time runs and everybody is told the same, whatever fails`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        await simulate(steps, onCrash);
      }),
      { numRuns: 200 },
    );
  });
}

async function simulate(steps: readonly Step[], onCrash: "reject" | "rerun"): Promise<void> {
  const clock = new TestClock();
  const store = memoryIdempotency({ clock });
  const dead = new Set<number>(); // of processes: a crash cuts one off from the store for ever
  const live =
    <Args extends unknown[], R>(process: number, ask: (...args: Args) => R) =>
    async (...args: Args): Promise<R> =>
      dead.has(process) ? await new Promise<never>(() => {}) : ask(...args);
  const guards = [0, 1, 2].map((process) =>
    idempotencyGuard({
      clock,
      onCrash,
      lease: 300,
      poll: 20,
      random: () => 0.5,
      store: {
        begin: live(process, (...args: Parameters<typeof store.begin>) => store.begin(...args)),
        renew: live(process, (...args: Parameters<typeof store.renew>) => store.renew(...args)),
        complete: live(process, (...args: Parameters<typeof store.complete>) => store.complete(...args)),
        abandon: live(process, (...args: Parameters<typeof store.abandon>) => store.abandon(...args)),
      },
    }),
  );
  const running: Run[] = [];
  const results = new Map<number, Set<string>>();
  const callers: { readonly process: number; readonly leaving: AbortController; isOpen: boolean }[] = [];
  const fences = new Map<number, number>();
  const crashedKeys = new Set<number>();
  let runs = 0;

  for (const step of steps) {
    if (step.kind === "tick") await clock.advance(step.ms);
    if (step.kind === "crash" && dead.size < 2) {
      dead.add(step.process);
      for (const { key, process } of running) if (process === step.process) crashedKeys.add(key);
    }
    if (step.kind === "call" && !dead.has(step.process)) call(step.process, step.key);
    if (step.kind === "finish") {
      const [run] = running.splice(step.which % Math.max(1, running.length), 1);
      if (step.ok) run?.end.resolve(`result ${runs} of ${run.key}`);
      else run?.end.reject(new Error("failed"));
    }
    if (step.kind === "abort") callers[step.which % Math.max(1, callers.length)]?.leaving.abort(new Error("left"));
    await clock.advance(0);
  }
  // All that runs ends, as often as someone is next in line.
  const isBusy = (): boolean =>
    running.length > 0 || callers.some(({ isOpen, process }) => isOpen && !dead.has(process));
  for (let i = 0; i < 100 && isBusy(); i++) {
    for (const run of running.splice(0)) run.end.resolve(`last result ${i} of ${run.key}`);
    await clock.advance(1_000);
  }
  expect(callers.filter(({ isOpen, process }) => isOpen && !dead.has(process))).toEqual([]);
  for (const told of results.values()) expect(told.size).toBeLessThanOrEqual(1);
  for (const [process, guard] of guards.entries()) if (!dead.has(process)) expect(guard.stats()["keys"]).toBe(0);

  function call(process: number, key: number): void {
    const caller = { process, leaving: new AbortController(), isOpen: true };
    callers.push(caller);
    const result = (guards[process] as (typeof guards)[0]).run(
      `${key}`,
      (_context, { fence }) => {
        runs++;
        if (!running.every((run) => run.key !== key || dead.has(run.process))) throw new TypeError("two run at a time");
        if (onCrash === "reject" && crashedKeys.has(key)) throw new TypeError("a crash was forgotten");
        if (fence <= (fences.get(key) ?? 0)) throw new TypeError("a fence that does not grow");
        fences.set(key, fence);
        const end = Promise.withResolvers<string>();
        running.push({ key, process, fence, end });
        return end.promise;
      },
      { signal: caller.leaving.signal },
    );
    result.then(
      (value) => {
        caller.isOpen = false;
        if (!dead.has(process)) results.set(key, (results.get(key) ?? new Set()).add(value));
      },
      (error: Error) => {
        caller.isOpen = false;
        if (error instanceof TypeError) results.set(key, new Set(["wrong", error.message]));
      },
    );
  }
}
