import type { promises } from "node:dns";
import { expectTypeOf, test } from "vitest";
import { consul, type Discovery, type DnsResolver, dns } from "../discovery.ts";
import {
  type Balancer,
  type BalanceStrategy,
  balance,
  type Endpoint,
  type Gate,
  type Policy,
  roundRobin,
} from "../index.ts";

test("a balancer is a policy, and takes arrays and discoveries alike", () => {
  expectTypeOf(balance(["a", { id: "b", address: "b" }], roundRobin())).toEqualTypeOf<Balancer>();
  expectTypeOf<Balancer>().toExtend<Gate & Policy & AsyncDisposable>();
  expectTypeOf(dns("users")).toEqualTypeOf<Discovery>();
  expectTypeOf(balance).toBeCallableWith(dns("users"), roundRobin());
  expectTypeOf<Balancer["endpoints"]>().toEqualTypeOf<readonly Endpoint[]>();
});

test("the resolver of Node fits the port", () => {
  expectTypeOf<promises.Resolver>().toExtend<DnsResolver>();
});

test("what is no strategy, no endpoint or no service does not compile", () => {
  // @ts-expect-error a strategy is made by a call
  balance(["a"], roundRobin);
  // @ts-expect-error an endpoint has an id
  balance([{ address: "a" }], roundRobin());
  // @ts-expect-error a service has a name
  consul({ url: "http://127.0.0.1:8500" });
  // @ts-expect-error strategies make a picker
  const strategy: BalanceStrategy = { name: "mine", open: () => 1 };
  return strategy;
});
