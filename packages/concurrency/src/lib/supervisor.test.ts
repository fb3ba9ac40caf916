import { expect, test } from "vitest";
import { Supervisor, type SupervisorEvent } from "../index.ts";
import { cancelSweep, TestClock } from "../testing.ts";

/** A service that writes down what happens to it. */
function recorder<const Name extends string = never>(log: string[], name: string, dependsOn: readonly Name[] = []) {
  const service = {
    dependsOn,
    fail: (_error: unknown) => {},
    start: (_context: unknown, control: { fail(error: unknown): void }): unknown => {
      service.fail = control.fail;
      log.push(`start ${name}`);
      return undefined;
    },
    stop: (): unknown => void log.push(`stop ${name}`),
  };
  return service;
}

test("Supervisor starts services after those they depend on and stops them in reverse", async () => {
  const log: string[] = [];
  const supervisor = new Supervisor({
    http: recorder(log, "http", ["cache", "store"]),
    cache: recorder(log, "cache", ["store"]),
    store: recorder(log, "store"),
  });
  await supervisor.start();
  expect(supervisor.ready).toBe(true);
  await supervisor.stop();
  expect(log).toEqual(["start store", "start cache", "start http", "stop http", "stop cache", "stop store"]);
});

test("Supervisor starts services that do not need each other side by side", async () => {
  const gate = Promise.withResolvers<void>();
  const supervisor = new Supervisor({
    a: { start: () => gate.promise },
    b: { start: () => gate.resolve() },
  });
  await supervisor.start();
  await supervisor.stop();
});

test("Supervisor stops what had started when a service fails to start, and rejects with that very failure", async () => {
  const log: string[] = [];
  const failure = new Error("port in use");
  const supervisor = new Supervisor({
    store: recorder(log, "store"),
    http: { dependsOn: ["store"], start: () => Promise.reject(failure), stop: () => void log.push("stop http") },
    after: recorder(log, "after", ["http"]),
  });
  await expect(supervisor.run()).rejects.toBe(failure);
  expect(log).toEqual(["start store", "stop store"]);
  const report = await supervisor.report();
  expect(report.services.map(({ name, state }) => [name, state])).toEqual([
    ["store", "stopped"],
    ["http", "failed"],
    ["after", "stopped"],
  ]);
  expect(report.services[1]?.lastError).toBe(failure);
});

test("Supervisor gives up the starts under way when another one fails, and cleans up one that succeeds too late", async () => {
  const gate = Promise.withResolvers<void>();
  const stopped = Promise.withResolvers<void>();
  let cause: unknown;
  const failure = new Error("no");
  const supervisor = new Supervisor({
    slow: {
      start(context) {
        context.signal.addEventListener("abort", () => {
          cause = context.cause;
        });
        return gate.promise;
      },
      stop: () => stopped.resolve(),
    },
    bad: { start: () => Promise.reject(failure) },
  });
  await expect(supervisor.start()).rejects.toBe(failure);
  expect(cause).toBe(failure);
  gate.resolve();
  await stopped.promise;
});

test("Supervisor rejects with a TimeoutError when a service is not ready in time", async () => {
  const clock = new TestClock();
  const supervisor = new Supervisor({ hangs: { start: () => new Promise(() => {}) } }, { clock, startTimeout: 500 });
  const started = supervisor.start();
  const outcome = expect(started).rejects.toMatchObject({ name: "TimeoutError", timeoutMs: 500 });
  await clock.advance(500);
  await outcome;
  expect(clock.timers).toBe(0);
});

test("Supervisor restarts a service that crashed, after a delay that doubles, and leaves the others alone", async () => {
  const log: string[] = [];
  const clock = new TestClock();
  const events: SupervisorEvent[] = [];
  const worker = recorder(log, "worker", ["store"]);
  const supervisor = new Supervisor(
    { store: recorder(log, "store"), worker },
    { clock, onEvent: (event) => events.push(event) },
  );
  await supervisor.start();
  log.length = 0;

  worker.fail(new Error("first"));
  expect(supervisor.ready).toBe(false);
  await clock.advance(99);
  expect(log).toEqual(["stop worker"]);
  await clock.advance(1);
  expect(log).toEqual(["stop worker", "start worker"]);

  worker.fail(new Error("second"));
  await clock.advance(199);
  expect(log).toHaveLength(3);
  await clock.advance(1);
  expect(log).toHaveLength(4);
  expect(supervisor.ready).toBe(true);

  const [, report] = (await supervisor.report()).services;
  expect(report).toMatchObject({ name: "worker", state: "running", restarts: 2, lastError: { message: "second" } });
  expect(report?.since).toBe(clock.wall());
  const delays = events.filter((event) => event.kind === "restart-scheduled").map((event) => event.delayMs);
  expect(delays).toEqual([100, 200]);

  await clock.advance(60_001);
  worker.fail(new Error("after a quiet time"));
  await clock.advance(100);
  expect(supervisor.ready).toBe(true);
  await supervisor.stop();
  expect(clock.timers).toBe(0);
});

test("Supervisor does not listen to an earlier life of a service", async () => {
  const clock = new TestClock();
  const worker = recorder([], "worker");
  const supervisor = new Supervisor({ worker }, { clock });
  await supervisor.start();
  const { fail } = worker;
  fail(new Error("crash"));
  fail(new Error("crash again, before the restart"));
  await clock.advance(100);
  fail(new Error("late news"));
  expect(supervisor.ready).toBe(true);
  expect((await supervisor.report()).services[0]).toMatchObject({ restarts: 1, lastError: { message: "crash" } });
  await supervisor.stop();
  worker.fail(new Error("after the end"));
  expect((await supervisor.report()).services[0]?.state).toBe("stopped");
});

test("Supervisor restarts all services with one-for-all, in order", async () => {
  const log: string[] = [];
  const clock = new TestClock();
  const store = recorder(log, "store");
  const supervisor = new Supervisor(
    { store, http: recorder(log, "http", ["store"]) },
    { clock, strategy: "one-for-all" },
  );
  await supervisor.start();
  log.length = 0;
  store.fail(new Error("gone"));
  await clock.advance(100);
  expect(log).toEqual(["stop http", "stop store", "start store", "start http"]);
  expect(supervisor.ready).toBe(true);
  await supervisor.stop();
});

test("Supervisor tries again when a restart fails, and gives up beyond its intensity", async () => {
  const clock = new TestClock();
  let starts = 0;
  let fail = (_error: unknown): void => {};
  const log: string[] = [];
  const supervisor = new Supervisor(
    {
      store: recorder(log, "store"),
      worker: {
        dependsOn: ["store"],
        start(_context, control) {
          fail = control.fail;
          if (++starts > 1) throw new Error(`start ${starts}`);
        },
      },
    },
    { clock, intensity: { restarts: 3, period: 60_000 }, backoff: () => 10 },
  );
  const running = supervisor.run();
  const outcome = expect(running).rejects.toMatchObject({
    code: "ERR_RESTART_LIMIT",
    service: "worker",
    restarts: 3,
    cause: { message: "start 4" },
  });
  await clock.advance(0);
  fail(new Error("crash"));
  await clock.advance(1_000);
  await outcome;
  expect(starts).toBe(4);
  expect(log).toEqual(["start store", "stop store"]);
});

test("Supervisor does not start a service again while one that it needs is down, whichever crashed last", async () => {
  const clock = new TestClock();
  const log: string[] = [];
  const crashes = new Map<string, (error: unknown) => void>();
  const service = (name: string, stopMs: number) => ({
    start(_context: unknown, { fail }: { fail(error: unknown): void }): void {
      log.push(name);
      crashes.set(name, fail);
    },
    stop: () => new Promise<void>((resolve) => void clock.setTimeout(resolve, stopMs)),
  });
  const supervisor = new Supervisor(
    {
      store: service("store", 0),
      queue: service("queue", 1),
      http: { ...service("http", 0), dependsOn: ["store", "queue"] },
    },
    { clock, backoff: () => 5 },
  );
  await supervisor.start();
  for (const name of ["http", "queue"]) crashes.get(name)?.(new Error("crash"));
  await clock.advance(5); // from here on http waits for the queue
  crashes.get("store")?.(new Error("crash"));
  await clock.advance(20);
  expect(log.slice(3)).toEqual(["queue", "store", "http"]);
  await Promise.all([supervisor.stop(), clock.advance(10)]);
});

test("Supervisor.stop() during a restart gives up the restart", async () => {
  const clock = new TestClock();
  const log: string[] = [];
  const worker = recorder(log, "worker");
  const supervisor = new Supervisor({ worker }, { clock });
  const running = supervisor.run();
  await clock.advance(0);
  worker.fail(new Error("crash"));
  await clock.advance(50);
  await supervisor.stop();
  await running;
  expect(log).toEqual(["start worker", "stop worker"]);
  expect((await supervisor.report()).services[0]?.state).toBe("stopped");
  expect(clock.timers).toBe(0);
});

test("Supervisor.stop() while services start lets run() resolve", async () => {
  const supervisor = new Supervisor({ slow: { start: () => new Promise(() => {}) } });
  const running = supervisor.run();
  await supervisor.stop();
  await running;
  expect((await supervisor.report()).services[0]).toMatchObject({ state: "stopped", lastError: undefined });
});

test("Supervisor stops exactly what it has started, whenever it is told to stop", async () => {
  await cancelSweep(
    async (context) => {
      const running = new Set<string>();
      const service = (name: string, ...dependsOn: ("a" | "b")[]) => ({
        dependsOn,
        async start() {
          await Promise.resolve();
          running.add(name);
          await Promise.resolve();
        },
        async stop() {
          await Promise.resolve();
          running.delete(name);
        },
      });
      const supervisor = new Supervisor({ a: service("a"), b: service("b", "a"), c: service("c", "a", "b") });
      await supervisor.run({ signal: context });
      await new Promise(setImmediate); // a start that was given up is cleaned up when it gets there
      expect([...running]).toEqual([]);
      const { services } = await supervisor.report();
      expect(services.map(({ state }) => state)).toEqual(["stopped", "stopped", "stopped"]);
    },
    { steps: 60 },
  );
});

test("Supervisor leaves services behind that do not stop in time, and names them", async () => {
  const clock = new TestClock();
  const log: string[] = [];
  const supervisor = new Supervisor(
    {
      store: recorder(log, "store"),
      stuck: { dependsOn: ["store"], start: () => {}, stop: () => new Promise(() => {}) },
    },
    { clock, stopTimeout: 5_000 },
  );
  await supervisor.start();
  const outcome = expect(supervisor.stop()).rejects.toMatchObject({
    code: "ERR_STOP_TIMEOUT",
    services: ["store", "stuck"], // the store could not be stopped before it
    timeoutMs: 5_000,
  });
  await clock.advance(5_000);
  await outcome;
  expect((await supervisor.report()).services.map(({ state }) => state)).toEqual(["stopping", "stopping"]);
});

test("Supervisor stops the other services when one fails to stop, and keeps every failure", async () => {
  const log: string[] = [];
  const supervisor = new Supervisor({
    store: recorder(log, "store"),
    a: { dependsOn: ["store"], start: () => {}, stop: () => Promise.reject(new Error("a")) },
    b: {
      dependsOn: ["store"],
      start: () => {},
      stop() {
        throw new Error("b");
      },
    },
  });
  await supervisor.start();
  const error = await supervisor.stop().catch((error: unknown) => error);
  expect(error).toBeInstanceOf(AggregateError);
  expect((error as AggregateError).errors.map(String).sort()).toEqual(["Error: a", "Error: b"]);
  expect(log).toEqual(["start store", "stop store"]);
});

test("Supervisor.report() asks for health, bounded in time", async () => {
  const clock = new TestClock();
  const supervisor = new Supervisor(
    {
      good: { start: () => {}, health: () => ({ connections: 3 }) },
      bad: {
        start: () => {},
        health() {
          throw new Error("no answer");
        },
      },
      hangs: { start: () => {}, health: () => new Promise(() => {}) },
      plain: { start: () => {} },
    },
    { clock, healthTimeout: 100 },
  );
  await supervisor.start();
  const asked = supervisor.report();
  await clock.advance(100);
  const health = (await asked).services.map((service) => service.health);
  expect(health).toMatchObject([
    { status: "healthy", detail: { connections: 3 } },
    { status: "unhealthy", error: { message: "no answer" } },
    { status: "unhealthy", error: { name: "TimeoutError" } },
    { status: "unknown" },
  ]);
  await supervisor.stop();
});

test("Supervisor refuses circles, unknown names and bad options by name", () => {
  const start = (): void => {};
  expect(() => new Supervisor({ a: { start, dependsOn: ["b"] }, b: { start, dependsOn: ["a"] } })).toThrow(
    new TypeError("Cannot create a Supervisor: services must not depend on each other in a circle, got a -> b -> a"),
  );
  // @ts-expect-error: no service has that name
  expect(() => new Supervisor({ a: { start, dependsOn: ["c"] } })).toThrow(
    /dependsOn of a must name services, got "c"/,
  );
  // @ts-expect-error: not a service
  expect(() => new Supervisor({ a: {} })).toThrow(/service a must have a function start, got an object/);
  expect(() => new Supervisor({ a: { start } }, { stopTimeout: -1 })).toThrow(
    /stopTimeout must be 0 ms or more, got -1/,
  );
  // @ts-expect-error: not a strategy
  expect(() => new Supervisor({ a: { start } }, { strategy: "none" })).toThrow(/strategy must be/);
});
