// Seeded chaos: the same calls are hit again, whatever else goes on.
import { Context } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { CallRecord } from "./call-record.ts";
import { chaos } from "./chaos.ts";
import { type ChaosRule, fault, latency, outcome } from "./chaos-rules.ts";
import type { Endpoint } from "./endpoint.ts";

const runs = Number(process.env["PROPERTY_RUNS"] ?? 300);
const clock = new TestClock();
const error = new Error("injected");

function callOf(key: string, attempt: number, endpoint?: string): CallRecord {
  const place: Endpoint | undefined = endpoint === undefined ? undefined : { id: endpoint, address: endpoint };
  return new CallRecord("users", Context.current(), key, true, 0, attempt, clock, 0, place);
}

const rate = fc.double({ min: 0, max: 1, noNaN: true });
const key = fc.constantFrom("a", "b", "c");
const attempt = fc.integer({ min: 1, max: 3 });
const rule = fc
  .record({ rate, key: fc.option(key, { nil: undefined }), isFault: fc.boolean() })
  .map(
    ({ rate, key, isFault }): ChaosRule =>
      isFault ? fault({ error, rate, key }) : outcome({ value: "fake", rate, key }),
  );
const rules = fc.array(rule, { minLength: 1, maxLength: 4 });
const calls = fc.array(fc.record({ key, attempt }), { maxLength: 60 });

async function fateOf(policy: ReturnType<typeof chaos>, call: CallRecord): Promise<unknown> {
  return await policy.run(call, () => Promise.resolve("real")).catch((reason: unknown) => reason);
}

test("the same seed hits the same calls, another one others", async () => {
  const many = Array.from({ length: 200 }, () => ({ key: "a", attempt: 1 }));
  await fc.assert(
    fc.asyncProperty(fc.integer(), rules, calls, async (seed, rules, calls) => {
      const [one, two] = [chaos(rules, { seed }), chaos(rules, { seed })];
      for (const { key, attempt } of calls) {
        expect(await fateOf(one, callOf(key, attempt))).toBe(await fateOf(two, callOf(key, attempt)));
      }
    }),
    { numRuns: runs },
  );
  const half = [fault({ error, rate: 0.5 })];
  const fates = async (seed: number): Promise<string> => {
    const policy = chaos(half, { seed });
    const results: unknown[] = [];
    for (const { key, attempt } of many) results.push(await fateOf(policy, callOf(key, attempt)));
    return results.map((result) => (result === "real" ? 1 : 0)).join("");
  };
  expect(new Set(await Promise.all([1, 2, 3, 4].map(fates))).size).toBe(4);
});

test("calls with other keys, before, after and meanwhile, change nothing for a key", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), rules, calls, key, async (seed, rules, calls, mine) => {
      const [alone, mixed] = [chaos(rules, { seed }), chaos(rules, { seed })];
      const expected = await Promise.all(
        calls.filter(({ key }) => key === mine).map(({ key, attempt }) => fateOf(alone, callOf(key, attempt))),
      );
      const got = await Promise.all(
        calls.map(async ({ key, attempt }) => ({ key, fate: await fateOf(mixed, callOf(key, attempt)) })),
      );
      expect(got.filter(({ key }) => key === mine).map(({ fate }) => fate)).toEqual(expected);
    }),
    { numRuns: runs },
  );
});

test("with identify, no order of calls changes anything", async () => {
  const shuffled = fc
    .uniqueArray(fc.nat(1_000), { maxLength: 40 })
    .chain((ids) => fc.tuple(fc.constant(ids), fc.shuffledSubarray(ids, { minLength: ids.length })));
  await fc.assert(
    fc.asyncProperty(fc.integer(), rules, shuffled, async (seed, rules, [ids, others]) => {
      const fates = async (order: readonly number[]): Promise<Map<number, unknown>> => {
        const policy = chaos(rules, { seed, identify: (call) => Number(call.key) });
        // Two calls each, one of them another attempt.
        const results = await Promise.all(
          order.map(async (id) => [
            id,
            [await fateOf(policy, callOf(String(id), 1)), await fateOf(policy, callOf(String(id), 2))],
          ]),
        );
        return new Map(results as [number, unknown][]);
      };
      expect(new Map([...(await fates(others))].toSorted())).toEqual(new Map([...(await fates(ids))].toSorted()));
    }),
    { numRuns: runs },
  );
});

test("rates are kept, and rules are independent of each other", async () => {
  const policy = chaos([fault({ error, rate: 0.3, name: "one" }), outcome({ value: 1, rate: 0.3, name: "two" })], {
    seed: 7,
  });
  for (let i = 0; i < 10_000; i++) await fateOf(policy, callOf(`k${i % 50}`, 1));
  const { one = 0, two = 0 } = policy.stats().hits;
  expect(one / 10_000).toBeGreaterThan(0.28);
  expect(one / 10_000).toBeLessThan(0.32);
  expect(two / (10_000 - one)).toBeGreaterThan(0.28);
  expect(two / (10_000 - one)).toBeLessThan(0.32);
});

test("delays are drawn evenly around ms", async () => {
  const own = new TestClock();
  const policy = chaos([latency({ ms: 100, jitter: 50 })], { seed: 3 });
  const ends: number[] = [];
  for (let i = 0; i < 500; i++) {
    const call = new CallRecord("users", Context.current(), "a", false, 0, 1, own, 0, undefined);
    void policy.run(call, async () => ends.push(own.now()));
  }
  await own.advance(200);
  expect(ends.length).toBe(500);
  expect(Math.min(...ends)).toBeGreaterThanOrEqual(50);
  expect(Math.max(...ends)).toBeLessThanOrEqual(150);
  expect(ends.reduce((sum, end) => sum + end, 0) / 500).toBeGreaterThan(96);
  expect(ends.reduce((sum, end) => sum + end, 0) / 500).toBeLessThan(104);
});
