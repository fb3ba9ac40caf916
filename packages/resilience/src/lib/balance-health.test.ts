import { type Context, Semaphore } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { share } from "../../test/support/balance-calls.ts";
import { balance, type Endpoint, type HealthCheckOptions, roundRobin } from "../index.ts";

function make(endpoints: string[], healthCheck: HealthCheckOptions) {
  const clock = new TestClock();
  const balancer = balance(endpoints, roundRobin(), { clock, healthCheck, random: () => 0.5, slowStart: 0, panic: 0 });
  const states = () => Object.fromEntries(balancer.stats().endpoints.map(({ id, state }) => [id, state]));
  return { clock, balancer, states };
}

test("an endpoint is left out after so many bad checks, and used again after so many good ones", async () => {
  let answer: () => unknown = () => true;
  const { clock, balancer, states } = make(["a", "b"], {
    check: ({ id }) => (id === "a" ? answer() : undefined),
    interval: 1_000,
    unhealthy: 3,
    healthy: 2,
  });
  await clock.advance(10_000);
  expect(states()).toEqual({ a: "healthy", b: "healthy" });
  answer = () => false;
  await clock.advance(2_000);
  expect(states()).toEqual({ a: "healthy", b: "healthy" });
  answer = () => Promise.reject(new Error("connection refused"));
  await clock.advance(1_000);
  expect(states()).toEqual({ a: "down", b: "healthy" });
  expect([...share(balancer, clock, 10).keys()]).toEqual(["b"]);
  answer = () => Promise.resolve(true);
  await clock.advance(1_000);
  expect(states()).toEqual({ a: "down", b: "healthy" });
  await clock.advance(1_000);
  expect(states()).toEqual({ a: "healthy", b: "healthy" });
  await balancer.close();
  expect(clock.timers).toBe(0);
});

test("a check that is late counts as bad and its context ends; it is not begun again before it has ended", async () => {
  let running = 0;
  let most = 0;
  const contexts: Context[] = [];
  const { clock, balancer, states } = make(["a"], {
    interval: 1_000,
    timeout: 200,
    unhealthy: 3,
    check: async (_endpoint, context) => {
      most = Math.max(most, ++running);
      contexts.push(context);
      await new Promise(() => {}); // does not listen to its context
    },
  });
  await clock.advance(5_000);
  expect(states()).toEqual({ a: "down" });
  expect([running, most, contexts.length, contexts[0]?.cancelled]).toEqual([1, 1, 1, true]);
  await balancer.close();
});

test("no more checks run at a time than may, and those that wait for one another are not to blame", async () => {
  let running = 0;
  let most = 0;
  const gate = new Semaphore(0);
  const endpoints = Array.from({ length: 20 }, (_, id) => `${id}`);
  const { clock, balancer } = make(endpoints, {
    interval: 100,
    timeout: 1_000_000,
    unhealthy: 1,
    concurrency: 3,
    check: async (_endpoint: Endpoint, context) => {
      most = Math.max(most, ++running);
      await gate.run(() => {}, { signal: context }).catch(() => {});
      running--;
    },
  });
  await clock.advance(1_000);
  const down = balancer.stats().endpoints.filter(({ state }) => state === "down").length;
  expect([running, most, down]).toEqual([3, 3, 3]); // those that run for too long, and none of the seventeen that wait
  gate.resize(100);
  await clock.advance(1_000);
  expect([running, most]).toEqual([0, 3]);
  await balancer.close();
});

test("checks of many endpoints are spread over the interval, each a little different from time to time", async () => {
  const clock = new TestClock();
  const times: number[] = [];
  let draws = 0;
  const balancer = balance(
    Array.from({ length: 10 }, (_, id) => `${id}`),
    roundRobin(),
    {
      clock,
      random: () => (draws++ % 10) / 10,
      healthCheck: { check: () => void times.push(clock.now()), interval: 1_000 },
    },
  );
  await clock.advance(899);
  expect([times.length, new Set(times).size]).toEqual([9, 9]);
  await balancer.close();
});

test("endpoints that come are checked, those that go are not", async () => {
  const asked = new Set<string>();
  const { clock, balancer } = make(["a", "b"], { check: ({ id }) => void asked.add(id), interval: 1_000 });
  await clock.advance(1_000);
  expect(asked).toEqual(new Set(["a", "b"]));
  balancer.update(["b", "c"]);
  asked.clear();
  await clock.advance(2_000);
  expect(asked).toEqual(new Set(["b", "c"]));
  await balancer.close();
  asked.clear();
  await clock.advance(5_000);
  expect([asked.size, clock.timers]).toEqual([0, 0]);
});
