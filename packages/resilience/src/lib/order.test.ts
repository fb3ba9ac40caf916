import { expect, test } from "vitest";
import {
  adaptive,
  attemptTimeout,
  balance,
  breaker,
  bulkhead,
  CircuitOpenError,
  compose,
  constant,
  fallback,
  hedge,
  type Policy,
  resilient,
  retry,
  retryBudget,
  roundRobin,
  timeout,
  value,
} from "../index.ts";

const balancer = balance(["a", "b"], roundRobin());

test.each<[string, readonly Policy[], RegExp]>([
  [
    "two retries (cockatiel#19: attempts multiply)",
    [retry(), timeout(100), retry()],
    /multiplies their attempts.*two-retries/,
  ],
  [
    "a retry inside of a hedge without a budget",
    [hedge({ after: 10 }), retry()],
    /give both one budget.*unpaid-retry-in-hedge/,
  ],
  [
    "a breaker outside of a retry (Polly#1139, resilience4j#1657)",
    [breaker(), retry()],
    /put it inside.*breaker-outside-retry/,
  ],
  ["a breaker outside of a hedge", [breaker(), hedge({ after: 10 })], /breaker-outside-retry/],
  ["a breaker outside of a balancer", [breaker(), balancer], /breaker-outside-balance/],
  [
    "an attempt timeout as long as the total one (cockatiel#83)",
    [timeout(500), retry(), attemptTimeout(500)],
    /attempt-timeout-too-long/,
  ],
  ["a longer timeout inside of a shorter one", [timeout(500), timeout(600)], /attempt-timeout-too-long/],
  [
    "an attempt timeout outside of a retry (cockatiel#115)",
    [attemptTimeout(500), retry()],
    /say timeout.*attempt-timeout-outside-retry/,
  ],
  [
    "a fallback inside of a retry (resilience4j#614: the retry is never run)",
    [retry(), fallback(value(1))],
    /put it outside.*fallback-inside/,
  ],
  ["a fallback inside of a breaker", [breaker(), fallback(value(1))], /fallback-inside/],
  ["a bulkhead outside of a retry", [bulkhead({ max: 1 }), retry()], /bulkhead-outside-retry/],
])("compose() refuses %s", (_, policies, message) => {
  expect(() => compose(...policies)).toThrow(message);
  expect(() => compose(...policies)).toThrow(TypeError);
});

test("compose() takes orders that are sound, and traps that are asked for", () => {
  const budget = retryBudget();
  compose(fallback(value(1)), timeout(2_000), retry(), hedge({ after: 10 }), balancer, breaker(), bulkhead({ max: 1 }));
  compose(hedge({ after: 10, budget }), retry({ budget }));
  compose(timeout(500), retry(), attemptTimeout(adaptive({ max: 5_000 })));
  compose(timeout(500), attemptTimeout(499));
  compose({ allow: ["breaker-outside-retry"] }, breaker(), retry());
  expect(() => compose({ allow: ["two-retries"] }, breaker(), retry(), retry())).toThrow(/breaker-outside-retry/);
});

test("resilient() refuses an attempt timeout that is not shorter than the total one", () => {
  expect(() => resilient({ timeout: 500, attemptTimeout: 500 })).toThrow(/^Cannot make a stack: a timeout inside/);
});

test("compose() refuses what is no policy", () => {
  expect(() => compose(retry(), { attempts: 3 } as never)).toThrow(/policies must be gates or drivers, got an object/);
  expect(() => compose("retry" as never)).toThrow(TypeError);
});

test("resilience4j#515, resilience4j#920: a retry does not call an open breaker over and over", async () => {
  const circuit = breaker({ consecutive: 1, open: 60_000 });
  const stack = compose({ idempotent: true }, retry({ attempts: 5, backoff: constant(0) }), circuit);
  let calls = 0;
  const error = await stack(async () => {
    calls++;
    throw new Error("down");
  }).catch((error: unknown) => error);
  expect([calls, error instanceof CircuitOpenError, circuit.stats()["rejected"]]).toEqual([1, true, 1]);
});

test("cockatiel#107: a rejection by the breaker is no attempt that the breaker counts", async () => {
  const circuit = breaker({ minCalls: 4, failureRate: 0.5 });
  circuit.force("open");
  const stack = compose({ idempotent: true }, retry({ attempts: 3, backoff: constant(0) }), circuit);
  await expect(stack(async () => 1)).rejects.toThrow(CircuitOpenError);
  circuit.force("auto");
  expect([circuit.counts().calls, await stack(async () => 1)]).toEqual([0, 1]);
});
