import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, expect, test } from "vitest";
import { type BegunCall, GateCalls, GateClock } from "../../test/support/gate-calls.ts";
import { exponential } from "./backoff.ts";
import { type Breaker, breaker } from "./breaker.ts";
import type { BreakerEvent } from "./breaker-events.ts";
import type { BreakerOptions } from "./breaker-options.ts";
import type { BreakerSnapshot } from "./breaker-snapshot.ts";
import type { OutcomeKind } from "./call.ts";
import { CircuitOpenError } from "./circuit-open-error.ts";
import { type ResilienceEvent, resilienceChannel } from "./events.ts";

function callsOf(options: BreakerOptions = {}, clock?: GateClock): GateCalls<Breaker> {
  return new GateCalls((its) => breaker({ clock: its, random: () => 0.5, open: 5_000, ...options }), clock);
}

function make(calls: GateCalls<Breaker>, outcome: OutcomeKind, count: number, key?: string): void {
  for (let call = 0; call < count; call++) calls.make(outcome, { key });
}

const events: ResilienceEvent[] = [];
const listen = (event: unknown): number => events.push(event as ResilienceEvent);
afterEach(() => {
  unsubscribe(resilienceChannel, listen);
  events.length = 0;
});

test("A rate that is equal to its limit does not trip, the next one above does", () => {
  for (const [failureRate, failures, calls] of [
    [0.5, 10, 20],
    [0.29, 29, 100],
    [0.07, 7, 100],
    [0.3, 6, 20],
  ] as const) {
    // biome-ignore format: a table
    const at = callsOf({ failureRate, minCalls: calls });
    make(at, "ok", calls - failures);
    make(at, "fail", failures);
    expect(at.gate.state()).toBe("closed");
    make(at, "fail", 1);
    expect(at.gate.state()).toBe("open");
  }
});

test("No rate trips before there are minCalls, and any call can be the one that completes them", () => {
  const calls = callsOf({ minCalls: 10 });
  make(calls, "fail", 9);
  expect(calls.gate.state()).toBe("closed");
  make(calls, "ok", 1);
  expect(calls.gate.state()).toBe("open");
});

test("Timeouts have a limit of their own and count as failures", () => {
  const calls = callsOf({ minCalls: 10, timeoutRate: 0.2, failureRate: 0.9 });
  make(calls, "ok", 8);
  make(calls, "timeout", 2);
  expect([calls.gate.state(), calls.gate.counts()]).toEqual([
    "closed",
    { calls: 10, failures: 2, timeouts: 2, slow: 0 },
  ]);
  make(calls, "timeout", 1);
  expect(calls.gate.state()).toBe("open");
});

test("Slow calls trip, whether they fail or not", () => {
  const calls = callsOf({ minCalls: 4, slowCall: 100, slowRate: 0.5, window: 60_000 });
  for (const took of [100, 101, 100, 101]) calls.make("ok", { took });
  expect([calls.gate.state(), calls.gate.counts().slow]).toEqual(["closed", 2]);
  calls.make("ok", { took: 500 });
  expect(calls.gate.state()).toBe("open");
});

test("A slow probe does not close a circuit", () => {
  const calls = callsOf({ consecutive: 1, slowCall: 100, halfOpen: { probes: 1, required: 1 } });
  make(calls, "fail", 1);
  calls.pass(5_000);
  calls.make("ok", { took: 101 });
  expect(calls.gate.state()).toBe("open");
});

test("Failures in a row trip whatever minCalls; a success or an idle window interrupts the row", () => {
  const calls = callsOf({ consecutive: 3 });
  make(calls, "fail", 2);
  make(calls, "ok", 1);
  make(calls, "timeout", 2);
  calls.pass(10_000);
  make(calls, "fail", 2);
  expect(calls.gate.state()).toBe("closed");
  make(calls, "ignore", 1);
  make(calls, "timeout", 1);
  expect(calls.gate.state()).toBe("open");
});

test("An open circuit rejects at once, with the time left, its key and no stack", () => {
  const calls = callsOf({ consecutive: 1 });
  calls.make("fail", { key: "eu" });
  calls.pass(1_234.5);
  const error = calls.make("ok", { key: "eu" }) as CircuitOpenError;
  expect(error).toBeInstanceOf(CircuitOpenError);
  const { name, code, key, retryAfterMs, message, stack } = error;
  expect({ name, code, key, retryAfterMs }).toEqual({ name: "CircuitOpenError", code: "ERR_CIRCUIT_OPEN", key: "eu", retryAfterMs: 3_766 }); // biome-ignore format: one line
  expect(message).toBe("Cannot call test: the circuit of eu is open, retry after 3766 ms");
  expect(stack).not.toContain("\n");
  expect(calls.make("ok", { key: "us" })).toBe(undefined);
});

test("With stack: true a rejection tells where it comes from", () => {
  const calls = callsOf({ consecutive: 1, stack: true });
  make(calls, "fail", 1);
  expect((calls.make("ok") as Error).stack).toContain("breaker.test.ts");
});

test("A half-open circuit lets N probes through and closes when M of them succeed", () => {
  const calls = callsOf({ consecutive: 1, halfOpen: { probes: 5, required: 3 } });
  make(calls, "fail", 1);
  calls.pass(5_000);
  const probes = [1, 2, 3, 4, 5].map(() => calls.begin());
  expect(calls.gate.isOpen()).toBe(true);
  const refused = calls.make("ok") as CircuitOpenError;
  expect([refused.code, refused.retryAfterMs]).toEqual(["ERR_CIRCUIT_OPEN", undefined]);
  const outcomes: OutcomeKind[] = ["ok", "fail", "timeout", "ok"];
  const last = probes.pop() as BegunCall;
  for (const [index, probe] of probes.entries()) calls.end(probe, outcomes[index] ?? "ok");
  expect(calls.gate.state()).toBe("half-open");
  calls.end(last, "ok");
  expect(calls.gate.state()).toBe("closed");
});

test("A half-open circuit opens as soon as its probes cannot succeed any more, and drops the rest", () => {
  const calls = callsOf({ consecutive: 1, halfOpen: { probes: 5, required: 3 } });
  make(calls, "fail", 1);
  calls.pass(5_000);
  const straggler = calls.begin();
  make(calls, "fail", 3);
  expect(calls.gate.state()).toBe("open");
  calls.pass(5_000);
  make(calls, "ok", 2);
  calls.end(straggler, "ok");
  expect(calls.gate.state()).toBe("half-open");
  make(calls, "ok", 1);
  expect(calls.gate.state()).toBe("closed");
});

test("An ignored probe gives its place to the next", () => {
  const calls = callsOf({ consecutive: 1, halfOpen: { probes: 1, required: 1 } });
  make(calls, "fail", 1);
  calls.pass(5_000);
  const probe = calls.begin();
  expect(calls.gate.isOpen()).toBe(true);
  calls.end(probe, "ignore");
  expect([calls.gate.isOpen(), calls.gate.state()]).toEqual([false, "half-open"]);
});

test("A probe that never ends is lost after its time, at that time and not when somebody looks", () => {
  const calls = callsOf({ consecutive: 1, halfOpen: { probes: 1, required: 1 }, probeTimeout: 1_000 });
  make(calls, "fail", 1);
  calls.pass(5_000);
  const lost = calls.begin();
  calls.pass(999);
  expect(calls.gate.state()).toBe("half-open");
  calls.pass(1);
  expect(calls.gate.state()).toBe("open");
  calls.end(lost, "ok");
  expect(calls.gate.state()).toBe("open");
  calls.pass(5_000);
  calls.begin();
  calls.pass(6_000); // lost after one second, open for five: due again
  expect(calls.make("ok")).toBe(undefined);
  expect(calls.gate.state()).toBe("closed");
});

test("A circuit stays open for longer with each opening in a row, and anew after it was closed", () => {
  const open = exponential({ base: 1_000, cap: 4_000, jitter: "none" });
  const calls = callsOf({ consecutive: 1, halfOpen: { probes: 1, required: 1 }, open });
  const waits: (number | undefined)[] = [];
  for (let opening = 0; opening < 4; opening++) {
    make(calls, "fail", 1);
    const wait = (calls.make("ok") as CircuitOpenError).retryAfterMs ?? 0;
    waits.push(wait);
    calls.pass(wait);
  }
  make(calls, "ok", 1);
  make(calls, "fail", 1);
  waits.push((calls.make("ok") as CircuitOpenError).retryAfterMs);
  expect(waits).toEqual([1_000, 2_000, 4_000, 4_000, 1_000]);
});

test("A backoff that draws from the pause before gets it", () => {
  const seen: number[][] = [];
  const open = (attempt: number, previous: number) => {
    seen.push([attempt, previous]);
    return 100 * attempt;
  };
  const calls = callsOf({ consecutive: 1, halfOpen: { probes: 1, required: 1 }, open });
  for (let opening = 0; opening < 3; opening++) {
    make(calls, "fail", 1);
    calls.pass(1_000);
  }
  expect(seen).toEqual([[1, 0], [2, 100], [3, 200]]); // biome-ignore format: one line
});

test("Results that come after the state has changed are dropped", () => {
  const calls = callsOf({ consecutive: 2, halfOpen: { probes: 1, required: 1 } });
  const early = [calls.begin(), calls.begin(), calls.begin()] as const;
  make(calls, "fail", 2);
  calls.pass(5_000);
  calls.end(early[0], "ok"); // it was no probe
  expect(calls.gate.state()).toBe("half-open");
  make(calls, "ok", 1);
  calls.end(early[1], "fail");
  calls.end(early[2], "fail");
  expect([calls.gate.state(), calls.gate.counts().calls]).toEqual(["closed", 0]);
});

test("A count window holds the last N calls, however long ago", () => {
  const calls = callsOf({ window: { calls: 4 }, minCalls: 4 });
  make(calls, "fail", 2);
  make(calls, "ok", 2);
  calls.pass(86_400_000);
  expect(calls.gate.counts()).toEqual({ calls: 4, failures: 2, timeouts: 0, slow: 0 });
  make(calls, "ok", 1); // pushes a failure out
  make(calls, "timeout", 1); // and the other
  expect(calls.gate.counts()).toEqual({ calls: 4, failures: 1, timeouts: 1, slow: 0 });
  make(calls, "fail", 2);
  expect(calls.gate.state()).toBe("open");
});

test("Each endpoint or key has a circuit of its own; an endpoint goes before the key", () => {
  const calls = callsOf({ consecutive: 1 });
  const endpoint = { id: "10.0.0.1", address: "http://10.0.0.1" };
  calls.make("fail", { key: "users", endpoint });
  expect([calls.gate.isOpen("10.0.0.1"), calls.gate.isOpen("users"), calls.gate.isOpen()]).toEqual([
    true,
    false,
    false,
  ]);
});

test("The least recently used key is forgotten for a new one", () => {
  const calls = callsOf({ consecutive: 1, maxKeys: 2 });
  calls.make("fail", { key: "a" });
  calls.make("ok", { key: "b" });
  calls.make("ok", { key: "a" }); // rejected, and used all the same
  calls.make("ok", { key: "c" });
  expect(calls.gate.stats()).toMatchObject({ circuits: 2, open: 1 });
  expect(calls.gate.isOpen("a")).toBe(true);
  calls.make("ok", { key: "d" });
  calls.make("ok", { key: "e" });
  expect([calls.gate.isOpen("a"), calls.gate.stats()["open"]]).toEqual([false, 0]);
});

test("Results for a key that was forgotten meanwhile are dropped", () => {
  const calls = callsOf({ consecutive: 1, maxKeys: 1 });
  const late = calls.begin({ key: "a" });
  calls.make("ok", { key: "b" });
  calls.make("ok", { key: "a" });
  calls.end(late, "fail");
  expect(calls.gate.state("a")).toBe("closed");
});

test("Keys that nobody uses are forgotten when others come", () => {
  const calls = callsOf({ maxIdle: 1_000 });
  for (let key = 0; key < 100; key++) calls.make("ok", { key: `${key}` });
  calls.pass(1_000);
  calls.make("ok", { key: "new" });
  expect(calls.gate.stats()["circuits"]).toBe(1);
});

test("force() lets nobody through, or everybody, until auto, which starts with nothing counted", () => {
  const calls = callsOf({ consecutive: 2 });
  make(calls, "fail", 1);
  calls.gate.force("open");
  expect([calls.gate.state(), calls.gate.isOpen("any")]).toEqual(["open", true]);
  expect((calls.make("ok") as CircuitOpenError).retryAfterMs).toBe(undefined);
  calls.gate.force("closed");
  const late = calls.begin();
  make(calls, "fail", 10);
  expect(calls.gate.state()).toBe("closed");
  calls.gate.force("auto");
  calls.end(late, "fail");
  make(calls, "fail", 1);
  expect(calls.gate.state()).toBe("closed");
  make(calls, "fail", 1);
  expect(calls.gate.state()).toBe("open");
  calls.gate.force("auto");
  expect(calls.gate.state()).toBe("closed");
});

test("The last word on a key counts, whether it was said of the key or of all", () => {
  const { gate } = callsOf();
  gate.force("open", "a");
  gate.force("closed");
  expect(gate.state("a")).toBe("closed");
  gate.force("open", "a");
  expect([gate.state("a"), gate.state("b")]).toEqual(["open", "closed"]);
  gate.force("auto", "a");
  gate.force("open");
  expect([gate.state("a"), gate.state("b")]).toEqual(["open", "open"]);
  // @ts-expect-error no such state
  expect(() => gate.force("half-open")).toThrow('state must be one of "open", "closed", "auto", got "half-open"');
});

test("A snapshot is JSON, and what it is restored into goes on as if the time since then had passed", () => {
  const calls = callsOf({ consecutive: 5, minCalls: 4 });
  calls.make("ok", { key: "well" });
  for (let call = 0; call < 4; call++) calls.make("fail", { key: "ill" });
  for (const outcome of ["ok", "fail", "timeout"] as const) calls.make(outcome, { key: "weak" });
  calls.gate.force("open", "banned");
  const snapshot = JSON.parse(JSON.stringify(calls.gate)) as BreakerSnapshot;

  const later = new GateClock();
  later.pass(4_999);
  const copy = callsOf({ consecutive: 5, minCalls: 4 }, later);
  copy.gate.restore(snapshot);
  expect(["well", "ill", "weak", "banned"].map((key) => copy.gate.state(key))).toEqual([
    "closed",
    "open",
    "closed",
    "open",
  ]);
  expect(copy.gate.counts("weak")).toEqual({ calls: 3, failures: 2, timeouts: 1, slow: 0 });
  expect(copy.gate.stats()).toMatchObject({ circuits: 3, open: 1, halfOpen: 0 });
  later.pass(1);
  expect(copy.gate.state("ill")).toBe("half-open");
  copy.make("fail", { key: "weak" });
  expect(copy.gate.state("weak")).toBe("open");
});

test("Counts of a snapshot that is older than the window do not count", () => {
  const calls = callsOf({ minCalls: 2 });
  make(calls, "fail", 1);
  const snapshot = calls.gate.toJSON();
  const later = new GateClock();
  later.pass(10_000);
  const copy = callsOf({}, later);
  copy.gate.restore(snapshot);
  expect(copy.gate.counts().calls).toBe(0);
});

test("A larger count window is restored into a smaller one by its rates", () => {
  const calls = callsOf({ window: { calls: 100 } });
  make(calls, "ok", 80);
  make(calls, "fail", 20);
  const copy = callsOf({ window: { calls: 10 } });
  copy.gate.restore(calls.gate.toJSON());
  expect(copy.gate.counts()).toEqual({ calls: 10, failures: 2, timeouts: 0, slow: 0 });
});

test.each([
  null,
  {},
  { version: 2, savedAt: 0, circuits: [], forced: [] },
  { version: 1, savedAt: -1, circuits: [], forced: [] },
  { version: 1, savedAt: 0, circuits: {}, forced: [] },
  { version: 1, savedAt: 0, circuits: [1], forced: [] },
  { version: 1, savedAt: 0, circuits: [{ key: 5 }], forced: [] },
  {
    version: 1,
    savedAt: 0,
    circuits: [{ key: "a", counts: { calls: 1, failures: 2, timeouts: 0, slow: 0 } }],
    forced: [],
  },
  { version: 1, savedAt: 0, circuits: [{ key: "a" }], forced: [] },
  { version: 1, savedAt: 0, circuits: [], forced: [{ key: null, state: "half-open" }] },
])("restore() refuses %j, and nothing has changed", (snapshot) => {
  const calls = callsOf({ consecutive: 1 });
  make(calls, "fail", 1);
  // what a file may hold
  expect(() => calls.gate.restore(snapshot as unknown as BreakerSnapshot)).toThrow(/Cannot restore a breaker/);
  expect(calls.gate.state()).toBe("open");
});

test("Events tell what has happened, why, and by which counts", () => {
  subscribe(resilienceChannel, listen);
  const calls = callsOf({ name: "users", minCalls: 4, timeoutRate: 0.5, halfOpen: { probes: 2, required: 1 } });
  make(calls, "ok", 1, "eu");
  make(calls, "timeout", 3, "eu");
  calls.pass(5_000);
  make(calls, "fail", 1, "eu");
  make(calls, "ok", 1, "eu");
  calls.gate.force("open");
  calls.gate.force("auto");
  const eu = { name: "users", key: "eu" };
  const none = { calls: 0, failures: 0, timeouts: 0, slow: 0 };
  expect(events as BreakerEvent[]).toEqual([
    {
      kind: "breaker-opened",
      ...eu,
      reason: "failure-rate",
      counts: { calls: 4, failures: 3, timeouts: 3, slow: 0 },
      openMs: 5_000,
    },
    { kind: "breaker-half-opened", ...eu, reason: "time" },
    { kind: "breaker-closed", ...eu, reason: "probes", counts: { calls: 2, failures: 1, timeouts: 0, slow: 0 } },
    {
      kind: "breaker-opened",
      name: "users",
      key: undefined,
      reason: "forced",
      counts: none,
      openMs: Number.POSITIVE_INFINITY,
    },
    { kind: "breaker-closed", name: "users", key: undefined, reason: "forced", counts: none },
  ]);
});

test("Each way to trip has its reason", () => {
  subscribe(resilienceChannel, listen);
  make(callsOf({ consecutive: 1 }), "fail", 1);
  make(callsOf({ minCalls: 1, failureRate: 1, timeoutRate: 0.5 }), "timeout", 1);
  callsOf({ minCalls: 1, slowCall: 1 }).make("ok", { took: 2 });
  const probed = callsOf({ consecutive: 1, halfOpen: { probes: 1 } });
  make(probed, "fail", 1);
  probed.pass(5_000);
  make(probed, "fail", 1);
  const reasons = (events as BreakerEvent[]).map(({ kind, reason }) => `${kind} ${reason}`);
  expect(reasons).toEqual([
    "breaker-opened consecutive",
    "breaker-opened timeout-rate",
    "breaker-opened slow-rate",
    "breaker-opened consecutive",
    "breaker-half-opened time",
    "breaker-opened probes",
  ]);
});

test("Hints open a closed circuit as it would itself, and are told only of its own experience", () => {
  const told: unknown[] = [];
  let suggest: (key: string | undefined) => void = () => {};
  const hints = {
    connect: (onOpen: typeof suggest) => {
      suggest = onOpen;
    },
    opened: (key: string | undefined, openMs: number) => told.push(["opened", key, openMs]),
    closed: (key: string | undefined) => told.push(["closed", key]),
    touch: () => {},
  };
  const calls = callsOf({ hints, consecutive: 1, maxKeys: 2, halfOpen: { probes: 1 } });
  suggest("eu");
  expect([calls.gate.state("eu"), told]).toEqual(["open", []]);
  calls.pass(5_000);
  calls.make("fail", { key: "eu" });
  calls.pass(5_000);
  calls.make("ok", { key: "eu" });
  expect(told).toEqual([["opened", "eu", 5_000], ["closed", "eu"]]); // biome-ignore format: one line
  calls.gate.force("closed", "us");
  suggest("us");
  expect(calls.gate.state("us")).toBe("closed");
  suggest("asia");
  suggest("africa"); // of which nothing is known here, and there is no room
  expect([calls.gate.isOpen("asia"), calls.gate.isOpen("africa")]).toEqual([true, false]);
});

test("breaker() refuses options that are none", () => {
  const bad: [BreakerOptions, string][] = [
    [{ failureRate: 50 }, "Cannot make a breaker: failureRate must be a number from 0 to 1, got 50"],
    [{ window: 0 }, "window must be a positive number, got 0"],
    [{ window: { calls: 0 } }, "window.calls must be an integer of at least 1, got 0"],
    [{ window: { calls: 5 }, minCalls: 6 }, "minCalls must be at most the 5 calls of the window, got 6"],
    [{ halfOpen: { probes: 2, required: 3 } }, "halfOpen.required must be at most halfOpen.probes, got 3"],
    [{ consecutive: 0 }, "consecutive must be an integer of at least 1 or Infinity, got 0"],
    [{ slowCall: -1 }, "slowCall must be 0 ms or more, got -1"],
    [{ open: "1s" as unknown as number }, 'open must be a number of milliseconds or a function, got "1s"'],
    [{ maxKeys: 0 }, "maxKeys must be an integer of at least 1, got 0"],
  ];
  for (const [options, message] of bad) expect(() => breaker(options)).toThrow(message);
});

test.each([
  [
    "throws",
    () => {
      throw new Error("the backoff is broken");
    },
  ],
  ["gives NaN", () => Number.NaN],
  ["gives nothing", () => undefined as unknown as number],
])("A backoff that %s opens the circuit for 5 s, and not for ever", (_what, open) => {
  const at = callsOf({ open, consecutive: 1 });
  make(at, "fail", 1);
  at.pass(4_999);
  expect(at.gate.state()).toBe("open");
  at.pass(1);
  expect(at.gate.state()).toBe("half-open");
});

test("A result counts for the key by which its call was let in, when a balancer inside has chosen an endpoint since", () => {
  const at = callsOf({ consecutive: 1, halfOpen: { probes: 1, required: 1 } });
  const endLate = (outcome: OutcomeKind) => {
    const begun = at.begin({ key: "users" });
    begun.call.endpoint = { id: "a", address: "a" };
    at.end(begun, outcome);
  };
  endLate("fail");
  expect([at.gate.state("users"), at.gate.state("a")]).toEqual(["open", "closed"]);
  at.pass(5_000);
  endLate("ok");
  expect(at.gate.state("users")).toBe("closed");
});

test("the message of a CircuitOpenError is made when it is read, and can be set like any other", () => {
  const error = new CircuitOpenError("users", "eu", 1_500);
  const message = "Cannot call users: the circuit of eu is open, retry after 1500 ms";
  expect([error.message, String(error), error.stack?.split("\n")[0]]).toEqual([
    message,
    `CircuitOpenError: ${message}`,
    `CircuitOpenError: ${message}`,
  ]);
  expect(Object.keys(error)).not.toContain("message");
  error.message = "mine";
  expect([error.message, Object.keys(error).includes("message")]).toEqual(["mine", false]);
  expect(CircuitOpenError.prototype.message).toBe("");
});
