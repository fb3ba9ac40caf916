import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { end, send } from "../../test/support/balance-calls.ts";
import { type Balancer, balance, type EjectionOptions, roundRobin } from "../index.ts";

function make(endpoints: string[], ejection: EjectionOptions = {}) {
  const clock = new TestClock({ now: 1_000_000 });
  const balancer = balance(endpoints, roundRobin(), { clock, ejection, random: () => 0, slowStart: 0, panic: 0 });
  return { clock, balancer };
}

function stateOf(balancer: Balancer, id: string): string | undefined {
  return balancer.stats().endpoints.find((endpoint) => endpoint.id === id)?.state;
}

/** Sends a call to that endpoint. */
function call(balancer: Balancer, clock: TestClock, id: string, outcome: "ok" | "fail" | "timeout" | "ignore"): void {
  end(
    balancer,
    clock,
    send(balancer, clock, undefined, (endpoint) => endpoint.id === id),
    outcome,
  );
}

test("an endpoint is ejected by as many failures in a row as it takes, timeouts included, and by none in between", () => {
  const { clock, balancer } = make(["a", "b"], { consecutive: 3 });
  for (const outcome of ["fail", "timeout", "ok", "fail", "timeout"] as const) call(balancer, clock, "a", outcome);
  expect(stateOf(balancer, "a")).toBe("healthy");
  call(balancer, clock, "a", "fail");
  expect(stateOf(balancer, "a")).toBe("ejected");
  expect(balancer.stats()).toMatchObject({ known: 2, ready: 1, ejected: 1 });
  for (let left = 5; left > 0; left--) expect(send(balancer, clock).id).toBe("b");
});

test("an outcome that is to be ignored neither counts as a failure nor ends a row of them", () => {
  const { clock, balancer } = make(["a", "b"], { consecutive: 2 });
  for (const outcome of ["ignore", "fail", "ignore", "ignore"] as const) call(balancer, clock, "a", outcome);
  expect(stateOf(balancer, "a")).toBe("healthy");
  call(balancer, clock, "a", "fail");
  expect(stateOf(balancer, "a")).toBe("ejected");
});

test("each ejection takes twice as long as the one before, up to a limit, and good times are to its credit", async () => {
  const { clock, balancer } = make(["a", "b"], { consecutive: 1, duration: 1_000, maxDuration: 3_000 });
  const times: number[] = [];
  for (let ejection = 0; ejection < 4; ejection++) {
    call(balancer, clock, "a", "fail");
    const start = clock.now();
    while (stateOf(balancer, "a") === "ejected") {
      await clock.advance(250);
      end(balancer, clock, send(balancer, clock));
    }
    times.push(clock.now() - start);
  }
  expect(times).toEqual([1_000, 2_000, 3_000, 3_000]);
  await clock.advance(10_000);
  call(balancer, clock, "a", "fail");
  expect(balancer.stats().endpoints[0]).toMatchObject({ ejections: 1 });
});

test("an endpoint that fails too often is ejected, unless the others are no better", () => {
  const { clock, balancer } = make(["a", "b", "c"], { consecutive: 100, failureRate: 0.5, minCalls: 10, maxShare: 1 });
  for (let round = 0; round < 20; round++) {
    for (const id of ["a", "b", "c"]) call(balancer, clock, id, round % 2 === 0 ? "fail" : "ok");
  }
  expect(balancer.stats().ejected).toBe(0);
  for (let round = 0; round < 40 && stateOf(balancer, "a") === "healthy"; round++) {
    call(balancer, clock, "a", round % 2 === 0 ? "fail" : "ok");
    for (const id of ["b", "c"]) for (let left = 3; left > 0; left--) call(balancer, clock, id, "ok");
  }
  expect([stateOf(balancer, "a"), balancer.stats().ejected]).toEqual(["ejected", 1]);
});

test("what failed in an earlier window is forgotten", async () => {
  const { clock, balancer } = make(["a", "b"], { consecutive: 100, minCalls: 10, window: 1_000 });
  for (let round = 0; round < 5; round++) {
    for (let left = 9; left > 0; left--) call(balancer, clock, "a", "fail");
    call(balancer, clock, "b", "ok");
    await clock.advance(2_000);
  }
  expect(stateOf(balancer, "a")).toBe("healthy");
  for (let left = 9; left > 0; left--) call(balancer, clock, "a", "fail");
  await clock.advance(1_000); // the window before counts still
  call(balancer, clock, "b", "ok");
  call(balancer, clock, "a", "fail");
  expect(stateOf(balancer, "a")).toBe("ejected");
});

test("no more are ejected than the share that may be, also when the endpoints become fewer", () => {
  const all = Array.from({ length: 10 }, (_, id) => `${id}`);
  const { clock, balancer } = make(all, { consecutive: 1, maxShare: 0.3 });
  for (const id of all.slice(5)) for (let left = 5; left > 0; left--) call(balancer, clock, id, "ok");
  for (const id of all.slice(0, 5)) call(balancer, clock, id, "fail");
  expect(
    balancer
      .stats()
      .endpoints.map(({ state }) => state[0])
      .join(""),
  ).toBe("hheeehhhhh");
  balancer.update(all.slice(2, 6));
  expect(balancer.stats()).toMatchObject({ known: 4, ejected: 1 });
  balancer.update(all.slice(2, 5));
  expect(balancer.stats()).toMatchObject({ known: 3, ejected: 0, ready: 3 });
});

test("when too few endpoints are healthy, all are used", () => {
  const clock = new TestClock();
  const balancer = balance(["a", "b", "c", "d"], roundRobin(), {
    clock,
    panic: 0.5,
    ejection: { consecutive: 1, maxShare: 1 },
  });
  for (let left = 9; left > 0; left--) call(balancer, clock, "d", "ok");
  for (const id of ["a", "b"]) call(balancer, clock, id, "fail");
  expect(balancer.stats()).toMatchObject({ ready: 2, isPanicking: false });
  call(balancer, clock, "c", "fail");
  expect(balancer.stats()).toMatchObject({ ready: 4, ejected: 3, isPanicking: true });
});

test("what fails everywhere ejects nobody, so that all are there when it is over", () => {
  const { clock, balancer } = make(["a", "b", "c", "d"]);
  for (const id of ["a", "b", "c", "d"]) call(balancer, clock, id, "ok");
  for (let round = 0; round < 50; round++) {
    for (const id of ["a", "b", "c", "d"]) call(balancer, clock, id, "fail");
    expect(balancer.stats().ejected).toBe(0);
  }
});

test("when no more may be ejected, the one that has been out for longest comes back for the next one", () => {
  const { clock, balancer } = make(["a", "b"], { consecutive: 3 });
  for (let left = 3; left > 0; left--) call(balancer, clock, "a", "fail");
  expect([stateOf(balancer, "a"), stateOf(balancer, "b")]).toEqual(["ejected", "healthy"]);
  for (let left = 30; left > 0 && stateOf(balancer, "b") === "healthy"; left--) call(balancer, clock, "b", "fail");
  expect([stateOf(balancer, "a"), stateOf(balancer, "b")]).toEqual(["healthy", "ejected"]);
});

test("with `ejection: false` nobody is ever ejected", () => {
  const clock = new TestClock();
  const balancer = balance(["a", "b"], roundRobin(), { clock, ejection: false });
  for (let left = 100; left > 0; left--) end(balancer, clock, send(balancer, clock), "fail");
  expect(balancer.stats()).toMatchObject({ ready: 2, ejected: 0 });
});
