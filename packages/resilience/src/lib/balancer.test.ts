import { Context } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { balance, leastRequests, p2cEwma, ring, roundRobin, weighted } from "../index.ts";
import { CallRecord } from "./call-record.ts";

test.each([roundRobin, weighted, leastRequests, p2cEwma, ring])(
  "%o gives each endpoint some of the calls",
  (strategy) => {
    const clock = new TestClock();
    const balancer = balance(["a", "b", "c"], strategy(), { clock });
    const counts = new Map<string, number>();
    for (let i = 0; i < 3_000; i++) {
      const call = new CallRecord("test", Context.detach(), undefined, true, 0, 1, clock, clock.now(), undefined);
      const token = balancer.enter(call);
      const id = call.endpoint?.id as string;
      counts.set(id, (counts.get(id) ?? 0) + 1);
      call.endedAt = clock.now() + 1;
      balancer.exit(call, token);
    }
    expect(counts.size).toBe(3);
  },
);
