import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Context, sleep } from "@proj/concurrency";
import { cancelSweep, TestClock } from "@proj/concurrency/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { attemptErrors } from "./attempt-errors.ts";
import { constant } from "./backoff.ts";
import { breaker } from "./breaker.ts";
import { repeatedAbove, retryBudget } from "./budget.ts";
import { bulkhead } from "./bulkhead.ts";
import type { Call, ResilientTask } from "./call.ts";
import { compose } from "./compose.ts";
import { type ResilienceEvent, resilienceChannel } from "./events.ts";
import { type HedgeOptions, hedge } from "./hedge.ts";
import { HedgeLostError } from "./hedge-lost-error.ts";
import type { Policy } from "./policy.ts";
import { quantile } from "./quantile.ts";
import { retry } from "./retry.ts";

interface Attempt {
  readonly attempt: number;
  readonly context: Context;
  readonly at: number;
  succeed(value: unknown): void;
  fail(error: unknown): void;
}

/** A stack with a hedge, and attempts that end when the test says so, whatever becomes of their contexts. */
function hedged(options: Partial<HedgeOptions> = {}, ...inside: Policy[]) {
  const clock = new TestClock();
  const policy = hedge({ after: 100, ratio: 1, ...options });
  const stack = compose({ name: "users", clock, idempotent: true }, policy, ...inside);
  const attempts: Attempt[] = [];
  const task: ResilientTask<unknown> = (context, { attempt }) =>
    new Promise((succeed, fail) => attempts.push({ attempt, context, at: clock.now(), succeed, fail }));
  const call = (signal?: AbortSignal | Context) => {
    const promise = stack(task, { signal });
    const settled: { value?: unknown; error?: unknown } = {};
    promise.then(
      (value) => Object.assign(settled, { value }),
      (error: unknown) => Object.assign(settled, { error }),
    );
    return settled;
  };
  const at = (index: number) => attempts[index] as Attempt;
  return { clock, policy, stack, attempts, at, call };
}

test("A second attempt starts when the first takes too long, and the first success counts", async () => {
  const { clock, attempts, at, call, policy } = hedged();
  const settled = call();
  await clock.advance(99);
  expect(attempts.length).toBe(1);
  await clock.advance(1);
  expect(attempts.map(({ attempt }) => attempt)).toEqual([1, 2]);
  at(1).succeed("second");
  await clock.advance(0);
  expect(settled).toEqual({ value: "second" });
  expect(policy.stats()).toEqual({ calls: 1, hedges: 1, won: 1, refused: 0, delayMs: 100 });
  expect(clock.timers).toBe(0);
});

test("The first attempt can still win", async () => {
  const { clock, at, call, policy } = hedged();
  const settled = call();
  await clock.advance(100);
  at(0).succeed("first");
  await clock.advance(0);
  expect(settled).toEqual({ value: "first" });
  expect(policy.stats()).toMatchObject({ hedges: 1, won: 0 });
});

test("A call that is quick costs no second attempt and leaves no timer", async () => {
  const { clock, attempts, at, call } = hedged();
  const settled = call();
  at(0).succeed("quick");
  await clock.advance(1_000);
  expect([settled, attempts.length, clock.timers]).toEqual([{ value: "quick" }, 1, 0]);
});

test("The losers' contexts end with a cause that says so; that of the winner goes on", async () => {
  const { clock, at, call } = hedged({ max: 2, ratio: 2 });
  call();
  await clock.advance(200);
  at(1).succeed("second");
  await clock.advance(0);
  for (const index of [0, 2]) {
    const cause = at(index).context.cause as HedgeLostError;
    expect(cause).toBeInstanceOf(HedgeLostError);
    expect([cause.name, cause.code, cause.attempt]).toEqual(["AbortError", "ERR_HEDGE_LOST", index + 1]);
  }
  expect([at(1).context.cancelled, at(1).context.signal.aborted]).toEqual([false, false]);
});

test("Whatever a loser comes to is dropped: for the breaker and the bulkhead its outcome is to be ignored", async () => {
  const circuit = breaker({ consecutive: 1 });
  const places = bulkhead({ max: 2 });
  const { clock, at, call } = hedged({}, circuit, places);
  call();
  await clock.advance(100);
  at(1).succeed("second");
  await clock.advance(0);
  expect(places.stats()).toMatchObject({ running: 0 });
  at(0).fail(new Error("too late"));
  await clock.advance(0);
  expect([circuit.state(), circuit.counts()]).toEqual(["closed", { calls: 1, failures: 0, timeouts: 0, slow: 0 }]);
});

test("An attempt that fails starts the next at once", async () => {
  const { clock, attempts, at, call } = hedged();
  const settled = call();
  at(0).fail(new Error("broken"));
  await clock.advance(0);
  expect([settled, attempts.length]).toEqual([{}, 2]);
  at(1).succeed("second");
  await clock.advance(0);
  expect([settled, clock.timers]).toEqual([{ value: "second" }, 0]);
});

test("With onFailure wait the next attempt starts at its time, even when no other is under way", async () => {
  const { clock, attempts, at, call } = hedged({ onFailure: "wait" });
  const settled = call();
  at(0).fail(new Error("broken"));
  await clock.advance(99);
  expect([settled, attempts.length]).toEqual([{}, 1]);
  await clock.advance(1);
  at(1).succeed("second");
  await clock.advance(0);
  expect(settled).toEqual({ value: "second" });
});

test("A failure does not end the call while another attempt is under way", async () => {
  const { clock, at, call } = hedged();
  const settled = call();
  await clock.advance(100);
  at(1).fail(new Error("broken"));
  await clock.advance(0);
  expect(settled).toEqual({});
  at(0).succeed("first");
  await clock.advance(0);
  expect(settled).toEqual({ value: "first" });
});

test("When all attempts fail the caller gets the last error itself, and the others from attemptErrors", async () => {
  const { clock, at, call } = hedged();
  const settled = call();
  await clock.advance(100);
  const errors = [new Error("first"), new Error("second")];
  at(1).fail(errors[1]);
  at(0).fail(errors[0]);
  await clock.advance(0);
  expect(settled.error).toBe(errors[0]);
  expect(attemptErrors(settled.error)).toEqual([errors[1]]);
});

test("An answer that will always be the same ends the call", async () => {
  const { clock, attempts, at, call } = hedged();
  const settled = call();
  await clock.advance(100);
  const notFound = Object.assign(new Error("not found"), { status: 404 });
  at(1).fail(notFound);
  await clock.advance(0);
  expect([settled, attempts.length]).toEqual([{ error: notFound }, 2]);
  expect(at(0).context.cancelled).toBe(true);
});

test("A response that is a failure is no success: the other one is waited for, else it is returned as it is", async () => {
  const { clock, at, call } = hedged();
  const [settled, other] = [call(), call()];
  await clock.advance(100);
  const bad = [1, 2, 3].map(() => new Response("busy", { status: 503 }));
  const good = new Response("fine");
  at(0).succeed(bad[0]);
  at(2).succeed(good); // the second attempt of the first call
  at(1).succeed(bad[1]);
  at(3).succeed(bad[2]);
  await clock.advance(0);
  expect(settled.value).toBe(good);
  expect(bad[0]?.bodyUsed || bad[0]?.body?.locked === false).toBe(true);
  expect(other.value).toBe(bad[2]);
  expect(await bad[2]?.text()).toBe("busy"); // nobody has cancelled it
});

test("Calls that are not idempotent, and those within a repetition, are not hedged", async () => {
  const { clock, stack, attempts } = hedged();
  const slow: ResilientTask<void> = () => sleep(1_000, { clock });
  void stack(slow, { idempotent: false });
  using repetition = Context.derive({ values: [repeatedAbove.of(true)] });
  void stack(slow, { signal: repetition });
  await clock.advance(1_000);
  expect([attempts.length, clock.timers]).toEqual([0, 0]);
});

test("A second attempt is a repetition for all below it, a first one is not", async () => {
  const { clock, at, call } = hedged();
  call();
  await clock.advance(100);
  expect([0, 1].map((index) => at(index).context.get(repeatedAbove))).toEqual([undefined, true]);
});

test("Nothing starts at the deadline or after it", async () => {
  const { clock, attempts, call } = hedged();
  using tight = Context.derive({ timeout: 100, clock });
  using loose = Context.derive({ timeout: 101, clock });
  call(tight);
  call(loose);
  await clock.advance(500);
  expect(attempts.map(({ attempt }) => attempt)).toEqual([1, 1, 2]);
  expect(clock.timers).toBe(0);
});

test("Nothing starts when the dependency has asked to be left alone", async () => {
  const { clock, attempts, at, call } = hedged();
  const settled = call();
  const busy = Object.assign(new Error("busy"), { status: 503, headers: { "retry-after": "1" } });
  at(0).fail(busy);
  await clock.advance(500);
  expect([settled.error, attempts.length]).toEqual([busy, 1]);
});

test("Nothing starts into an open circuit, and a rejection inside is not what the caller hears of", async () => {
  const circuit = breaker({ consecutive: 1, open: 60_000 });
  const { clock, attempts, at, call, policy } = hedged({ breaker: circuit }, circuit);
  const settled = call();
  circuit.force("open");
  await clock.advance(200);
  expect([attempts.length, policy.stats()]).toMatchObject([1, { hedges: 0, refused: 0 }]);
  at(0).succeed("first");
  await clock.advance(0);
  expect(settled).toEqual({ value: "first" });

  const unasked = hedged({}, breaker({ consecutive: 1 }));
  const other = unasked.call();
  const broken = new Error("broken");
  unasked.at(0).fail(broken); // which opens the circuit, so that the second attempt is turned away
  await unasked.clock.advance(0);
  expect([other.error, unasked.attempts.length]).toEqual([broken, 1]);
});

test("A call that is turned away before its first attempt is not repeated", async () => {
  const circuit = breaker();
  circuit.force("open");
  const { clock, call, policy } = hedged({}, circuit);
  const settled = call();
  await clock.advance(0);
  expect(settled.error).toMatchObject({ code: "ERR_CIRCUIT_OPEN" });
  expect(policy.stats()).toMatchObject({ hedges: 0 });
  expect(clock.timers).toBe(0);
});

test("Extra attempts are at most 5% of the calls, however slow they are", async () => {
  const { clock, stack, policy } = hedged({ ratio: 0.05 });
  let attempts = 0;
  for (let round = 0; round < 20; round++) {
    const calls = Array.from({ length: 100 }, () =>
      stack(async () => {
        attempts++;
        await sleep(1_000, { clock });
      }),
    );
    await clock.advance(1_000);
    await Promise.all(calls);
  }
  expect(policy.stats()).toMatchObject({ calls: 2_000, hedges: attempts - 2_000 });
  expect(attempts).toBeLessThanOrEqual(2_100);
  expect(attempts).toBeGreaterThan(2_000);
});

test("A budget counts each request once, whether there is a hedge, a retry or both", async () => {
  const parts = (budget: ReturnType<typeof retryBudget>) => ({
    hedge: hedge({ after: 1_000, budget }),
    retry: retry({ attempts: 3, backoff: constant(0), budget }),
  });
  for (const names of [["hedge"], ["retry"], ["retry", "hedge"]] as const) {
    const budget = retryBudget();
    const policies = parts(budget);
    const call = compose({ idempotent: true }, ...names.map((name) => policies[name]));
    let fails = 3;
    for (let request = 0; request < 10; request++) {
      await call(async () => (fails-- > 0 ? Promise.reject(new Error("busy")) : "done")).catch(() => {});
      await call(async () => "done", { idempotent: false });
    }
    expect([names, budget.stats().requests]).toEqual([names, 20]);
  }
});

test("A hedge within a repetition counts as no request", async () => {
  const budget = retryBudget();
  using repetition = Context.derive({ values: [repeatedAbove.of(true)] });
  await compose({ idempotent: true }, hedge({ after: 1_000, budget }))(async () => "done", { signal: repetition });
  expect(budget.stats().requests).toBe(0);
});

test("Extra attempts are paid from the budget that retries have as well, and from that of the call tree", async () => {
  const budget = retryBudget({ minPerSecond: 0.1, window: 10_000 });
  const { clock, attempts, call, policy } = hedged({ budget });
  for (let made = 0; made < 3; made++) call();
  await clock.advance(100);
  expect([attempts.length, policy.stats()]).toMatchObject([4, { hedges: 1, refused: 2 }]);
  expect(budget.stats()).toMatchObject({ retries: 1, refused: 2 });
});

test("With a retry outside it, repetitions of the call are not hedged again", async () => {
  const clock = new TestClock();
  const stack = compose(
    { clock, idempotent: true },
    retry({ attempts: 3, backoff: constant(0) }),
    hedge({ after: 100, ratio: 1 }),
  );
  let attempts = 0;
  const error = new Error("down");
  const failed = stack(async () => {
    attempts++;
    throw error;
  }).catch((reason: unknown) => reason);
  await clock.advance(1_000);
  expect([await failed, attempts]).toEqual([error, 4]); // two of the first, one of each other
});

test("The delay follows the latencies, and nothing is hedged before they are known", async () => {
  const { clock, attempts, call, policy } = hedged({ after: quantile(0.95, { warmUp: 10 }) });
  for (let made = 0; made < 10; made++) {
    call();
    await clock.advance(40);
    attempts[made]?.succeed(made);
    await clock.advance(0);
  }
  expect([attempts.length, policy.stats()["hedges"]]).toEqual([10, 0]);
  const settled = call();
  await clock.advance(40);
  expect(attempts.length).toBe(11);
  await clock.advance(5);
  expect(attempts.length).toBe(12);
  attempts[11]?.succeed("second");
  await clock.advance(0);
  expect(settled).toEqual({ value: "second" });
  expect(policy.stats()["delayMs"]).toBeLessThan(44);
});

test("Calls that were rescued still count as slow: the delay does not shrink by its own success", async () => {
  const clock = new TestClock();
  const policy = hedge({ after: quantile(0.9, { warmUp: 10 }), ratio: 1 });
  const stack = compose({ clock, idempotent: true }, policy);
  for (let made = 0; made < 300; made++) {
    const isSlow = made > 50 && made % 5 === 0; // a fifth of them
    const call = stack((_context, { attempt }) => sleep(isSlow && attempt === 1 ? 1_000 : 10, { clock }));
    await clock.advance(1_000);
    await call;
  }
  // By those that were not cut short one could think that all calls take 10 ms.
  expect(policy.stats()["delayMs"]).toBeGreaterThan(15);
});

test("The caller's abort ends all attempts with the caller's reason", async () => {
  const { clock, at, call } = hedged();
  const caller = new AbortController();
  const settled = call(caller.signal);
  await clock.advance(100);
  const reason = new Error("the caller has left");
  caller.abort(reason);
  await clock.advance(0);
  expect(settled.error).toBe(reason);
  expect([0, 1].map((index) => at(index).context.cause)).toEqual([reason, reason]);
  expect(clock.timers).toBe(0);
});

test("Every attempt runs in the AsyncLocalStorage frames and below the context of the caller", async () => {
  const clock = new TestClock();
  const storage = new AsyncLocalStorage<string>();
  const stack = compose({ clock, idempotent: true }, hedge({ after: 100, max: 2, ratio: 2 }));
  const seen: unknown[] = [];
  const work = async (context: Context, { attempt }: Call) => {
    seen.push([attempt, storage.getStore(), Context.current() === context]);
    await sleep(attempt === 3 ? 10 : 10_000, { clock });
  };
  const done = storage.run("mine", () => stack(work));
  await clock.advance(300);
  await done;
  expect(seen).toEqual([[1, "mine", true], [2, "mine", true], [3, "mine", true]]); // biome-ignore format: one line
});

test("The stack of an error shows the caller, through every attempt", async () => {
  const stack = compose({ idempotent: true }, hedge({ after: 1, ratio: 1 }), breaker());
  async function leaf(): Promise<never> {
    await Promise.resolve();
    throw new Error("broken");
  }
  async function caller(): Promise<void> {
    await stack(async () => await leaf());
  }
  const error = (await caller().catch((reason: unknown) => reason)) as Error;
  expect(error.stack).toMatch(/leaf[\s\S]*caller/);
});

test("Events tell of extra attempts, and when one wins", async () => {
  const events: ResilienceEvent[] = [];
  const listen = (event: unknown) => void events.push(event as ResilienceEvent);
  subscribe(resilienceChannel, listen);
  try {
    const { clock, at, call } = hedged({ max: 2, ratio: 2 });
    call();
    await clock.advance(100);
    at(0).fail(new Error("broken"));
    await clock.advance(5);
    at(2).succeed("third");
    await clock.advance(0);
  } finally {
    unsubscribe(resilienceChannel, listen);
  }
  const call = { name: "users", key: undefined };
  expect(events.filter(({ kind }) => kind.includes("hedge"))).toEqual([
    { kind: "call-hedged", ...call, attempt: 2, elapsedMs: 100, reason: "time" },
    { kind: "call-hedged", ...call, attempt: 3, elapsedMs: 100, reason: "failure" },
    { kind: "hedge-won", ...call, attempt: 3, elapsedMs: 105 },
  ]);
});

test("Cancelled at any step, a hedged call ends with the caller's reason or its result, and leaves nothing behind", async () => {
  await cancelSweep(
    async (context) => {
      const clock = new TestClock();
      const places = bulkhead({ max: 2 });
      const stack = compose({ clock, idempotent: true }, hedge({ after: 0, ratio: 1 }), places);
      const contexts: Context[] = [];
      const done = stack(
        async (inner, { attempt }) => {
          contexts.push(inner);
          for (let step = 0; step < 3 * attempt; step++) await Promise.resolve();
          if (attempt === 1) throw new Error("broken");
          return "second";
        },
        { signal: context },
      );
      const settled = await done.catch((error: unknown) => error);
      if (settled !== "second" && settled !== context.cause) throw new Error("neither", { cause: settled });
      if (places.stats()["running"] !== 0) throw new Error("a place was lost");
      if (clock.timers !== 0) throw new Error("a timer was left behind");
    },
    { steps: 60 },
  );
});

test("In any schedule of outcomes one attempt decides, and nothing is left behind or unhandled", async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (error: unknown) => void unhandled.push(error);
  process.on("unhandledRejection", onUnhandled);
  const plan = fc.record({
    after: fc.nat({ max: 5 }),
    max: fc.nat({ max: 3 }),
    onFailure: fc.constantFrom("start" as const, "wait" as const),
    attempts: fc.array(fc.record({ took: fc.nat({ max: 12 }), ok: fc.boolean() }), { minLength: 4, maxLength: 4 }),
    deadline: fc.option(fc.integer({ min: 1, max: 15 })),
  });
  await fc.assert(
    fc.asyncProperty(plan, async ({ after, max, onFailure, attempts, deadline }) => {
      const clock = new TestClock();
      const places = bulkhead({ max: 10 });
      const stack = compose(
        { clock, idempotent: true },
        hedge({ after, max, onFailure, ratio: Math.max(1, max) }),
        places,
      );
      let started = 0;
      const context = Context.derive({ clock, timeout: deadline ?? Number.POSITIVE_INFINITY });
      const done = stack(
        async (_inner, { attempt }) => {
          started++;
          const { took, ok } = attempts[attempt - 1] ?? { took: 0, ok: true };
          await sleep(took, { clock });
          if (!ok) throw new Error(`attempt ${attempt}`);
          return attempt;
        },
        { signal: context },
      ).then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      );
      await clock.advance(100);
      const settled = await done;
      expect(started).toBeLessThanOrEqual(1 + max);
      if ("value" in settled) expect(attempts[settled.value - 1]?.ok).toBe(true);
      else if (settled.error !== context.cause) {
        // nobody was left who could have succeeded
        expect(attempts.slice(0, started).some(({ ok }) => ok)).toBe(false);
        if (deadline === null) expect(started).toBe(1 + max);
      }
      context.cancel();
      expect([clock.timers, places.stats()["running"]]).toEqual([0, 0]);
    }),
    { numRuns: propertyRuns(300) },
  );
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", onUnhandled);
  expect(unhandled).toEqual([]);
});

test("hedge() refuses options that are none", () => {
  // @ts-expect-error nothing says when
  expect(() => hedge({})).toThrow(
    "Cannot make a hedge: after must be a number of milliseconds or a quantile, got undefined",
  );
  expect(() => hedge({ after: -1 })).toThrow("after must be 0 ms or more, got -1");
  expect(() => hedge({ after: 1, max: 0.5 })).toThrow("max must be an integer of at least 0, got 0.5");
  expect(() => hedge({ after: 1, ratio: 5 })).toThrow("ratio must be a number from 0 to max, got 5");
  // @ts-expect-error no such answer
  expect(() => hedge({ after: 1, onFailure: "end" })).toThrow('onFailure must be one of "start", "wait", got "end"');
});
