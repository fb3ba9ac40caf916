// What has gone wrong with other breakers, each by the thread or the package where it was seen.
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { GateCalls } from "../../test/support/gate-calls.ts";
import { type Breaker, breaker } from "./breaker.ts";
import type { BreakerOptions } from "./breaker-options.ts";
import type { CircuitOpenError } from "./circuit-open-error.ts";
import { compose } from "./compose.ts";

const minute = 60_000;

function callsOf(options: BreakerOptions): GateCalls<Breaker> {
  return new GateCalls((clock) => breaker({ clock, open: 5_000, ...options }));
}

function fail(calls: GateCalls<Breaker>, count: number, key?: string): void {
  for (let call = 0; call < count; call++) calls.make("fail", { key });
}

test("cockatiel 4, one bucket per push: failures of an hour ago do not count in a window of ten seconds", () => {
  const calls = callsOf({ window: 10_000, minCalls: 5 });
  fail(calls, 4);
  calls.pass(60 * minute);
  fail(calls, 2);
  expect([calls.gate.state(), calls.gate.counts().calls]).toEqual(["closed", 2]);
});

test("cockatiel 4, half-open waiters ignore their signal: who is no probe is rejected at once and never waits", async () => {
  const clock = new TestClock();
  const stack = compose({ clock }, breaker({ consecutive: 1, open: 100, halfOpen: { probes: 1, required: 1 } }));
  await stack(() => Promise.reject(new Error("down"))).catch(() => {});
  await clock.advance(100);
  const probe = Promise.withResolvers<string>();
  const first = stack(() => probe.promise);
  const error = await stack(async () => "never called").catch((reason: unknown) => reason);
  expect((error as CircuitOpenError).code).toBe("ERR_CIRCUIT_OPEN");
  expect(clock.timers).toBe(0);
  probe.resolve("well");
  expect(await first).toBe("well");
});

test("opossum 10, a stall of 7 ms per failure with 50k calls in the window: a failure costs the same whatever the window holds", () => {
  const calls = callsOf({ window: minute, failureRate: 1 });
  for (let call = 0; call < 50_000; call++) calls.make("ok", { took: 0 });
  fail(calls, 50_000); // six minutes there; the time limit of the test is one
  expect(calls.gate.counts()).toMatchObject({ calls: 100_000, failures: 50_000 });
});

test("opossum#119: half-open lets the probes through and no flood, and a failed probe opens whatever the rate is by then", () => {
  const calls = callsOf({ minCalls: 20, halfOpen: { probes: 1, required: 1 } });
  fail(calls, 20);
  calls.pass(minute); // the window is empty
  const probe = calls.begin();
  for (let call = 0; call < 100; call++) expect(calls.make("ok")).toBeInstanceOf(Error);
  calls.end(probe, "fail");
  expect(calls.gate.state()).toBe("open");
  calls.pass(5_000);
  expect(calls.gate.state()).toBe("half-open"); // and not rejecting for ever
});

test("opossum#276: a half-open circuit is not stuck when its probe never ends, or ends with something that does not count", () => {
  const calls = callsOf({ consecutive: 1, halfOpen: { probes: 1, required: 1 }, probeTimeout: minute });
  fail(calls, 1);
  calls.pass(5_000);
  calls.begin();
  calls.pass(minute + 5_000);
  calls.make("ignore");
  expect(calls.make("ok")).toBe(undefined);
  expect(calls.gate.state()).toBe("closed");
});

test("opossum#385: calls that fail together with the one that trips do not keep it from getting half-open", () => {
  const calls = callsOf({ consecutive: 5 });
  const together = Array.from({ length: 20 }, () => calls.begin());
  for (const call of together) {
    calls.end(call, "fail");
    calls.pass(100);
  }
  calls.pass(5_000 - 1_500); // since the fifth
  expect(calls.gate.state()).toBe("half-open");
});

test("opossum#613, cockatiel#73: it takes more than one lucky call to close, and more than one unlucky one to open", () => {
  const calls = callsOf({ consecutive: 1, halfOpen: { probes: 10, required: 7 } });
  fail(calls, 1);
  calls.pass(5_000);
  for (let call = 0; call < 6; call++) calls.make("ok");
  fail(calls, 3);
  expect(calls.gate.state()).toBe("half-open");
  calls.make("ok");
  expect(calls.gate.state()).toBe("closed");
});

test("cockatiel#91: an open circuit gets half-open by time alone, for whoever looks", () => {
  const calls = callsOf({ minCalls: 1, failureRate: 0.01 });
  fail(calls, 1);
  calls.pass(4_999);
  expect([calls.gate.state(), calls.gate.isOpen()]).toEqual(["open", true]);
  calls.pass(1);
  expect([calls.gate.state(), calls.gate.isOpen()]).toEqual(["half-open", false]);
});

test("opossum#817: the last calls can be counted instead of the last seconds, for those who call rarely", () => {
  const calls = callsOf({ window: { calls: 5 }, minCalls: 5 });
  for (let call = 0; call < 5; call++) {
    calls.make("fail");
    calls.pass(60 * minute);
  }
  expect(calls.gate.stats()).toMatchObject({ opened: 1 });
});

test("opossum#550, opossum#675, cockatiel#89, gobreaker#85: what a process has learnt can be kept for the next one", () => {
  const options: BreakerOptions = { minCalls: 3 };
  let kept = "";
  let state = "closed";
  for (let invocation = 0; invocation < 3; invocation++) {
    const calls = callsOf(options);
    if (kept !== "") calls.gate.restore(JSON.parse(kept));
    fail(calls, 1);
    kept = JSON.stringify(calls.gate);
    state = calls.gate.state();
  }
  expect(state).toBe("open");
});

test("opossum#321, opossum#648, opossum#668, opossum#809, undici#4700: a circuit per host costs no timer, and there is a bound to them", () => {
  const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;
  const before = timers();
  const calls = callsOf({ consecutive: 1, maxKeys: 1_000 });
  for (let host = 0; host < 100_000; host++) calls.make(host % 2 === 0 ? "ok" : "fail", { key: `host-${host}` });
  expect(calls.gate.stats()).toEqual({ circuits: 1_000, open: 500, halfOpen: 0, rejected: 0, opened: 50_000 });
  expect(timers()).toBe(before);
  expect(calls.gate.isOpen("host-99999")).toBe(true);
  calls.pass(600_000);
  calls.make("ok", { key: "another" });
  expect(calls.gate.stats()["circuits"]).toBe(1);
});

test("Polly#1139, resilience4j#1657, cockatiel#107: an open circuit does not count its own rejections, nor those of others", async () => {
  const clock = new TestClock();
  const inner = breaker({ consecutive: 1 });
  const outer = breaker({ consecutive: 1 });
  const stack = compose({ clock }, outer, inner);
  inner.force("open");
  for (let call = 0; call < 10; call++) await stack(async () => "never called").catch(() => {});
  expect([outer.state(), outer.counts().calls]).toEqual(["closed", 0]);
});
