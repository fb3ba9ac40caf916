import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { CancelledError, Context } from "@proj/concurrency";
import { components } from "@proj/concurrency/inspect";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test, vi } from "vitest";
import { CallRecord } from "./call-record.ts";
import { type Chaos, chaos } from "./chaos.ts";
import { ChaosError } from "./chaos-error.ts";
import { type ChaosRule, drop, fault, hang, latency, outcome } from "./chaos-rules.ts";
import { resilienceChannel } from "./events.ts";

interface Given {
  readonly context?: Context;
  readonly key?: string;
  readonly endpoint?: string;
  readonly attempt?: number;
  readonly clock?: TestClock;
}

function callOf({ context = Context.current(), key, endpoint, attempt = 1, clock = new TestClock() }: Given = {}) {
  const place = endpoint === undefined ? undefined : { id: endpoint, address: endpoint };
  return new CallRecord("users", context, key, false, 0, attempt, clock, 0, place);
}

async function run(policy: Chaos, given: Given = {}, work: () => Promise<unknown> = async () => "real") {
  return await policy.run(callOf(given), work).catch((error: unknown) => error);
}

test("a fault leaves the work undone, or replaces its answer", async () => {
  const work = vi.fn(async () => "real");
  expect(await run(chaos([fault()]), {}, work)).toBeInstanceOf(ChaosError);
  expect(work).not.toHaveBeenCalled();
  const error = new Error("read ECONNRESET");
  expect(await run(chaos([fault({ error, phase: "after" })]), {}, work)).toBe(error);
  expect(work).toHaveBeenCalledOnce();
  expect(await run(chaos([fault({ error: ({ key }) => `no ${key}` })]), { key: "a" })).toBe("no a");
});

test("an outcome answers in the place of the work", async () => {
  const work = vi.fn(async () => "real");
  expect(await run(chaos([outcome({ value: "fake" })]), {}, work)).toBe("fake");
  expect(await run(chaos([outcome({ value: () => ["made"] })]), {}, work)).toEqual(["made"]);
  expect(work).not.toHaveBeenCalled();
});

test("latencies add up, and the first other rule that hits decides", async () => {
  const clock = new TestClock();
  const policy = chaos([latency({ ms: 10 }), latency({ ms: 20 }), outcome({ value: "first" }), fault()]);
  const done = run(policy, { clock }).then((value) => [value, clock.now()]);
  await clock.advance(100);
  expect(await done).toEqual(["first", 30]);
});

test("a call that hangs ends with its context, and its work is not begun", async () => {
  const work = vi.fn(async () => "real");
  const context = Context.derive();
  const hanging = run(chaos([hang()]), { context }, work);
  context.cancel("given up");
  expect(await hanging).toBe("given up");
  expect(await run(chaos([hang()]), { context }, work)).toBe("given up");
  expect(work).not.toHaveBeenCalled();
});

test("a call whose answer is dropped has done its work", async () => {
  const work = vi.fn(async () => "real");
  const context = Context.derive();
  const lost = run(chaos([drop()]), { context }, work);
  await Promise.resolve();
  expect(work).toHaveBeenCalledOnce();
  context.cancel();
  expect(await lost).toBeInstanceOf(CancelledError);
});

test("a call that waits can be given up, and leaves no timer", async () => {
  const clock = new TestClock();
  const context = Context.derive();
  const waiting = run(chaos([latency({ ms: 1_000 })]), { context, clock });
  context.cancel("given up");
  expect(await waiting).toBe("given up");
  expect(clock.timers).toBe(0);
});

test.each<[string, ChaosRule, Given, Given]>([
  ["a key", fault({ key: "a" }), { key: "a" }, { key: "b" }],
  ["one of several keys", fault({ key: ["a", "b"] }), { key: "b" }, {}],
  ["keys that an expression matches, each time", fault({ key: /^eu-/g }), { key: "eu-1" }, { key: "us-1" }],
  ["an endpoint", fault({ endpoint: "h:1" }), { endpoint: "h:1" }, { endpoint: "h:2" }],
  ["an attempt", fault({ attempt: 2 }), { attempt: 2 }, { attempt: 1 }],
  ["several attempts", fault({ attempt: [1, 3] }), { attempt: 3 }, { attempt: 2 }],
  ["what a predicate says", fault({ when: ({ key }) => key === "a" }), { key: "a" }, {}],
  ["all of them", fault({ key: "a", attempt: 1 }), { key: "a" }, { key: "a", attempt: 2 }],
])("a rule is for %s", async (_, rule, hit, missed) => {
  const policy = chaos([rule]);
  for (let i = 0; i < 3; i++) {
    expect(await run(policy, hit)).toBeInstanceOf(ChaosError);
    expect(await run(policy, missed)).toBe("real");
  }
});

test("a rule hits so many times at most", async () => {
  const policy = chaos([fault({ times: 2 })]);
  const fates = [await run(policy), await run(policy), await run(policy)];
  expect(fates.map((fate) => fate instanceof ChaosError)).toEqual([true, true, false]);
  policy.set(policy.rules);
  expect(await run(policy)).toBeInstanceOf(ChaosError);
});

test("rules are switched while it runs", async () => {
  const policy = chaos();
  expect(await run(policy)).toBe("real");
  const rule = outcome({ value: "fake" });
  const added = policy.add(rule);
  policy.add(rule);
  expect(policy.rules.length).toBe(2);
  added[Symbol.dispose]();
  added[Symbol.dispose]();
  expect(policy.rules.length).toBe(1);
  expect(await run(policy)).toBe("fake");
  policy.enabled = false;
  expect(await run(policy)).toBe("real");
  policy.enabled = true;
  policy.clear();
  expect(await run(policy)).toBe("real");
});

test("nothing is injected in production, unless asked for", async () => {
  vi.stubEnv("NODE_ENV", "production");
  try {
    expect(await run(chaos([fault()]))).toBe("real");
    expect(await run(chaos([fault()], { enabled: true }))).toBeInstanceOf(ChaosError);
  } finally {
    vi.unstubAllEnvs();
  }
});

test("it tells what it does", async () => {
  const told: unknown[] = [];
  const listener = (event: unknown) => told.push(event);
  subscribe(resilienceChannel, listener);
  const policy = chaos([fault({ name: "outage", key: "a" })], { name: "told", seed: 5 });
  await run(policy, { key: "a", attempt: 2 });
  await run(policy, { key: "b" });
  unsubscribe(resilienceChannel, listener);
  expect(told).toEqual([{ kind: "chaos-injected", name: "users", rule: "outage", key: "a", attempt: 2 }]);
  expect(components("chaos").find(({ name }) => name === "told")?.stats).toEqual({
    enabled: true,
    seed: 5,
    rules: 1,
    calls: 2,
    hits: { outage: 1 },
  });
});

test("identities are counted in bounded memory", async () => {
  const policy = chaos([fault({ rate: 0 })], { seed: 1 });
  for (let i = 0; i < 10_050; i++) await run(policy, { key: `k${i}` });
  expect(policy.stats().calls).toBe(10_050);
});

test.each([
  [() => latency({ ms: -1 }), /Cannot make a chaos rule: ms must be 0 ms or more, got -1/],
  [() => fault({ rate: 2 }), /rate must be a number from 0 to 1, got 2/],
  [() => fault({ attempt: 0 }), /attempt must be an integer of at least 1, got 0/],
  [() => hang({ key: 3 as never }), /key must be a text, texts or a RegExp, got 3/],
  [() => chaos([{ kind: "explode" } as never]), /kind must be one of "latency", .*, got "explode"/],
  [() => chaos([], { seed: 0.5 }), /Cannot create chaos: seed must be an integer/],
])("nonsense is refused: %#", (make, message) => {
  expect(make).toThrow(message);
});
