// What it costs to choose an endpoint. Ours counts the call in and out, which the peers do not.

import { Context, systemClock } from "@proj/concurrency";
import { type BalanceStrategy, balance, leastRequests, p2cEwma, ring, roundRobin, weighted } from "@proj/resilience";
import { benchmark } from "@tooling/bench";
import { CallRecord } from "../src/lib/call-record.ts";

type Runner = () => number;

const picks = 10_000;

const keys = Array.from({ length: picks }, (_, key) => `user:${key}`);

function addresses(count: number): string[] {
  return Array.from({ length: count }, (_, host) => `http://10.0.${host >> 8}.${host & 255}:8080`);
}

/** Makes picks, each of which ends before the next. The calls are all the same object, so nothing of it is measured. */
function ours(count: number, strategy: BalanceStrategy): () => Promise<Runner> {
  return async () => {
    const balancer = balance(addresses(count), strategy);
    const context = Context.detach();
    const calls = keys.map((key) => new CallRecord("bench", context, key, true, 0, 1, systemClock, 0, undefined));
    let now = systemClock.now();
    return () => {
      for (const call of calls) {
        call.startedAt = now;
        const token = balancer.pick(call);
        now += 0.01;
        call.endedAt = now;
        balancer.exit(call, token);
      }
      return calls.length;
    };
  };
}

function undici(count: number): () => Promise<Runner> {
  return async () => {
    const { BalancedPool } = await import("undici");
    const pool = new BalancedPool(addresses(count));
    const name = Object.getOwnPropertySymbols(BalancedPool.prototype).find(
      ({ description }) => description === "get dispatcher",
    );
    const pick = name && (pool as unknown as Record<symbol, unknown>)[name];
    if (typeof pick !== "function") throw new Error("Cannot find how a BalancedPool picks");
    return () => {
      for (let left = picks; left > 0; left--) if (pick.call(pool) === undefined) throw new Error("It picked nothing");
      return picks;
    };
  };
}

function hashring(count: number): () => Promise<Runner> {
  return async () => {
    const { default: HashRing } = await import("hashring");
    const peer = new HashRing(addresses(count));
    return () => {
      for (const key of keys) if (peer.get(key) === undefined) throw new Error("It picked nothing");
      return picks;
    };
  };
}

function effect(count: number): () => Promise<Runner> {
  return async () => {
    const [HashRing, PrimaryKey] = await Promise.all([import("effect/HashRing"), import("effect/PrimaryKey")]);
    const peer = HashRing.make<{ [PrimaryKey.symbol](): string }>();
    for (const address of addresses(count)) HashRing.add(peer, { [PrimaryKey.symbol]: () => address });
    return () => {
      for (const key of keys) if (HashRing.get(peer, key) === undefined) throw new Error("It picked nothing");
      return picks;
    };
  };
}

export const benchmarks = [10, 100, 1_000].flatMap((count) => [
  benchmark(`A turn among ${count} endpoints`, {
    ours: "roundRobin",
    operationsPerCall: picks,
    cases: {
      roundRobin: ours(count, roundRobin()),
      weighted: ours(count, weighted()),
      leastRequests: ours(count, leastRequests()),
      p2cEwma: ours(count, p2cEwma()),
      "undici BalancedPool": undici(count),
    },
    check: (result) => result,
  }),
  benchmark(`The endpoint of a key among ${count}`, {
    ours: "ring",
    operationsPerCall: picks,
    goal: { hashring: 0.2, effect: 1 },
    cases: { ring: ours(count, ring()), hashring: hashring(count), effect: effect(count) },
    check: (result) => result,
  }),
]);
