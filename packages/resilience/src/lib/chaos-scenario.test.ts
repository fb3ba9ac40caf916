import { sleep } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { chaos } from "./chaos.ts";
import { act, down, freeze, heal, inject } from "./chaos-actions.ts";
import {
  amplificationBelow,
  errorRateBelow,
  latencyBelow,
  noErrorsOtherThan,
  recoveredWithin,
  throughputAbove,
} from "./chaos-expectations.ts";
import { type ChaosRule, fault } from "./chaos-rules.ts";
import { scenario } from "./chaos-scenario.ts";
import { ScenarioError } from "./chaos-scenario-report.ts";

/** A dependency that answers in 10 ms, and fails for `warmUp` after it was down. */
function fakeDb(clock: TestClock, warmUp = 200) {
  let isDown = false;
  let wellAt = 0;
  const clear = (): void => {
    if (isDown) wellAt = clock.now() + warmUp;
    isDown = false;
  };
  return {
    name: "db",
    add: () => {
      isDown = true;
      return { [Symbol.dispose]: clear };
    },
    clear,
    isDown: () => isDown,
    call: async () => {
      await sleep(10, { clock });
      if (isDown) throw Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
      if (clock.now() < wellAt) {
        throw new TypeError("fetch failed", { cause: Object.assign(new Error("cold"), { code: "ECOLD" }) });
      }
      return "ok";
    },
  };
}

test("ten virtual seconds of an outage take no time, and are reported exactly", async () => {
  const clock = new TestClock();
  const db = fakeDb(clock);
  const report = await scenario("db down")
    .load({ rate: 100, task: db.call })
    .at(2_000, down(db))
    .at(5_000, heal(db))
    .expect(
      recoveredWithin(5_000),
      noErrorsOtherThan(["ECONNREFUSED", "ECOLD"]),
      errorRateBelow(0.05, { after: 5_300 }),
    )
    .run({ clock, bucket: 100 });
  expect(report.toString()).toContain("db down: as expected, recovered in");
  expect(report).toMatchObject({ passed: true, durationMs: 10_000, brokenAt: 2_000, healedAt: 5_000, skipped: 0 });
  expect(report.calls.length + report.unfinished).toBe(1_000);
  expect(report.errors).toEqual({ ECONNREFUSED: 300, ECOLD: 20 });
  expect(report.recoveryMs).toBe(200);
  expect(report.events.map(({ at, label }) => [at, label])).toEqual([
    [2_000, "down for db"],
    [5_000, "heal db"],
  ]);
  expect(report.buckets.reduce((sum, { ok, failed }) => sum + ok + failed, 0)).toBe(report.calls.length);
  expect(report.buckets[0]).toEqual({ at: 0, ok: 9, failed: 0, medianMs: 10 });
  expect(clock.timers).toBe(0);
});

test("what is not as expected is told, and assert() throws it", async () => {
  const clock = new TestClock();
  const db = fakeDb(clock, 60_000);
  const report = await scenario("never well")
    .load({ concurrency: 3, pause: 40, task: db.call })
    .at(100, down(db))
    .at(500, heal(db))
    .expect(
      recoveredWithin(1_000),
      errorRateBelow(0.01, { after: "heal" }),
      noErrorsOtherThan(["ECONNREFUSED"]),
      throughputAbove(0.9, { after: "heal" }),
      latencyBelow(5),
      errorRateBelow(0.1, { before: "fault" }),
    )
    .run({ clock });
  expect(report.verdicts.map(({ met }) => met)).toEqual([false, false, false, false, false, true]);
  expect(report.recoveryMs).toBeUndefined();
  expect(() => report.assert()).toThrow(ScenarioError);
  expect(() => report.assert()).toThrow(/NO {3}recovered within 1.00 s: it has not recovered/);
});

test("a call that takes too long has failed, even if its task does not care", async () => {
  const clock = new TestClock();
  const report = await scenario("hangs")
    .load({ concurrency: 1, timeout: 50, pause: 0, task: () => new Promise(() => {}) })
    .for(275)
    .run({ clock });
  expect([report.errors, report.unfinished]).toEqual([{ ERR_TIMEOUT: 5 }, 1]);
});

test("it begins when calls succeed, and ends when they do so again", async () => {
  const clock = new TestClock();
  let startedAt = -1;
  let isDown = false;
  const report = await scenario("settled")
    .load({
      rate: 100,
      task: () => {
        if (clock.now() < 500 || isDown) throw new Error("not yet");
      },
    })
    .warmUp(200)
    .at(
      0,
      act("note", "begin", () => {
        startedAt = clock.now();
      }),
    )
    .at(
      100,
      act("fault", "down", () => {
        isDown = true;
      }),
    )
    .at(
      300,
      act("heal", "up", () => {
        isDown = false;
      }),
    )
    .settle(150)
    .expect(recoveredWithin(60_000))
    .run({ clock });
  expect(startedAt).toBeGreaterThanOrEqual(690);
  expect(startedAt).toBeLessThanOrEqual(720);
  expect(report.calls[0]).toEqual({ startedAt: 0, endedAt: 0, error: undefined });
  expect(report.durationMs).toBeGreaterThanOrEqual(450);
  expect(report.durationMs).toBeLessThanOrEqual(470);
  expect(report.passed).toBe(true);
});

test("with a rate, no more calls than allowed are under way", async () => {
  const clock = new TestClock();
  let most = 0;
  let now = 0;
  const report = await scenario("too many")
    .load({
      rate: 1_000,
      maxInFlight: 20,
      task: async () => {
        most = Math.max(most, ++now);
        await sleep(100, { clock });
        now--;
      },
    })
    .for(1_000)
    .run({ clock });
  expect(most).toBe(20);
  expect(report.skipped).toBeGreaterThan(700);
  expect(report.calls.length + report.skipped + report.unfinished).toBe(1_000);
});

test("what a scenario has broken is undone, last thing first, by heal() and in the end", async () => {
  const clock = new TestClock();
  const done: string[] = [];
  const breaking = (name: string) =>
    act("fault", name, () => ({ [Symbol.dispose]: () => done.push(`${name} undone`) }));
  const later = act("fault", "async", async () => {
    await sleep(30, { clock });
    return {
      async [Symbol.asyncDispose]() {
        await Promise.resolve();
        done.push("async undone");
      },
    };
  });
  const report = await scenario("undone")
    .at(10, breaking("one"), later)
    .at(
      100,
      heal(),
      act("note", "done", () => done.push("healed")),
    )
    .at(200, breaking("two"))
    .for(300)
    .run({ clock });
  expect(done).toEqual(["async undone", "one undone", "healed", "two undone"]);
  expect(report.healedAt).toBeUndefined(); // something broke after it
  expect(report.events.map(({ at, tookMs }) => [at, tookMs]).slice(0, 2)).toEqual([
    [10, 0],
    [10, 30],
  ]);
});

test("an action that fails ends the scenario, and all is undone", async () => {
  const clock = new TestClock();
  const db = fakeDb(clock);
  const error = new Error("cannot");
  const failing = scenario("fails")
    .load({ concurrency: 1, task: db.call })
    .at(10, down(db))
    .at(
      20,
      act("note", "fail", () => Promise.reject(error)),
    );
  await expect(failing.run({ clock })).rejects.toBe(error);
  expect(db.isDown()).toBe(false);
});

test("a scenario can be given up, and all is undone", async () => {
  const db = fakeDb(new TestClock());
  const running = scenario("given up")
    .at(
      0,
      down(db),
      act("note", "leave", () => controller.abort("enough")),
    )
    .for(60_000);
  const controller = new AbortController();
  await expect(running.run({ signal: controller.signal })).rejects.toBe("enough");
  expect(db.isDown()).toBe(false);
});

test("all that was broken is undone, also if undoing some of it fails", async () => {
  const undone: string[] = [];
  const breaking = (name: string, fails = false) =>
    act("fault", name, () => ({
      [Symbol.dispose]: () => {
        if (fails) throw new Error(`cannot undo ${name}`);
        undone.push(name);
      },
    }));
  const story = scenario("stuck").at(0, breaking("a"), breaking("b", true), breaking("c")).for(10);
  await expect(story.run({ clock: new TestClock() })).rejects.toThrow("cannot undo b");
  expect(undone).toEqual(["c", "a"]);
});

test("of several faults none is left behind when one of them is refused", async () => {
  const policy = chaos();
  const wrong = { kind: "latency", ms: -1 } as const;
  const story = scenario("refused").at(0, inject<ChaosRule>(policy, fault(), wrong));
  await expect(story.run({ clock: new TestClock() })).rejects.toThrow(/ms must be 0 ms or more/);
  expect(policy.rules).toEqual([]);
});

test("a scenario can be given up while an action takes its time, and what that breaks later is undone", async () => {
  const slow = Promise.withResolvers<Disposable>();
  const undone = Promise.withResolvers<string>();
  const leaving = new AbortController();
  const running = scenario("slow")
    .at(
      0,
      act("fault", "slow", () => slow.promise),
    )
    .run({ signal: leaving.signal });
  setImmediate(() => leaving.abort("enough"));
  await expect(running).rejects.toBe("enough");
  slow.resolve({ [Symbol.dispose]: () => undone.resolve("undone") });
  expect(await undone.promise).toBe("undone");
});

test("a call may fail with anything", async () => {
  const reasons = [
    Object.create(null),
    Symbol("s"),
    undefined,
    "text",
    { code: 1 },
    new DOMException("x", "AbortError"),
  ];
  const report = await scenario("odd")
    .load({ rate: 100, task: (_, number) => Promise.reject(reasons[number]) })
    .for(59)
    .run({ clock: new TestClock() });
  expect(report.errors).toEqual({ "an object": 2, "Symbol(s)": 1, undefined: 1, text: 1, AbortError: 1 });
});

test("calls that do not answer any more after it was healed are no recovery", async () => {
  let calls = 0;
  const report = await scenario("deaf")
    .load({ rate: 50, task: () => (++calls > 12 ? new Promise(() => {}) : "ok") })
    .at(
      100,
      act("fault", "down", () => {}),
    )
    .at(
      200,
      act("heal", "up", () => {}),
    )
    .expect(recoveredWithin(5_000))
    .run({ clock: new TestClock() });
  expect([report.passed, report.recoveryMs, report.unfinished]).toEqual([false, undefined, 249]);
});

test("each method gives another scenario", async () => {
  const first = scenario("story").for(10);
  const second = first.at(
    0,
    act("note", "something", () => {}),
  );
  expect((await first.run({ clock: new TestClock() })).events).toEqual([]);
  expect((await second.run({ clock: new TestClock() })).events.length).toBe(1);
});

test("the rules of chaos are injected like everything else", async () => {
  const clock = new TestClock();
  const policy = chaos([], { name: "users" });
  const report = await scenario("rules")
    .at(10, inject(policy, fault({ name: "outage" })))
    .at(
      20,
      act("note", "look", () => expect(policy.rules.length).toBe(1)),
    )
    .at(30, heal(policy))
    .for(50)
    .run({ clock });
  expect(report.events[0]?.label).toBe("outage for users");
  expect(policy.rules).toEqual([]);
});

test("attempts are counted where they arrive", async () => {
  const clock = new TestClock();
  let attempts = 0;
  const story = scenario("storm")
    .load({ concurrency: 1, pause: 10, task: () => (attempts += 2) })
    .for(100);
  const report = await story.expect(amplificationBelow(1.5, () => attempts)).run({ clock });
  expect(report.verdicts[0]).toEqual({ name: "at most 1.5 attempts per call", met: false, detail: "2.00" });
});

test("the picture is well-formed, whatever the names are, and has both colour schemes", async () => {
  const clock = new TestClock();
  const db = fakeDb(clock);
  const report = await scenario(`<"a" & b>`)
    .load({ rate: 50, task: db.call })
    .at(200, down(db))
    .at(400, heal(db))
    .run({ clock });
  const svg = report.toSvg();
  expect(svg).toContain("&#60;&#34;a&#34; &#38; b&#62;");
  expect(svg).toContain("prefers-color-scheme: dark");
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  expect(svg.match(/<rect class="failed"/g)?.length).toBeGreaterThan(3);
});

test.each([
  [() => scenario("x").at(-1), /Cannot plan a scenario: ms must be 0 ms or more, got -1/],
  [() => scenario("x").for(0), /ms must be a positive number, got 0/],
  [() => scenario("x").load({ task: 1 as never }), /task must be a function, got 1/],
  [() => scenario("x").load({ task: () => 1, rate: 1, concurrency: 1 }), /a rate or a concurrency, not both/],
  [() => errorRateBelow(2), /rate must be a number from 0 to 1, got 2/],
  [() => act("note", "x", 1 as never), /run must be a function, got 1/],
  [() => freeze(process), /Cannot freeze a process: this one could not let itself go on/],
  [() => freeze({ pid: 0 }), /Cannot freeze a process: pid must be an integer of at least 1, got 0/],
  [() => act("explode" as never, "x", () => {}), /kind must be one of/],
])("nonsense is refused: %#", (make, message) => {
  expect(make).toThrow(message);
});
