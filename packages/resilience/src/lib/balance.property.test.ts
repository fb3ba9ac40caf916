// The balancer and its strategies against naive models, in random schedules.
import { TestClock } from "@proj/concurrency/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { end, type SentCall, seeded, send } from "../../test/support/balance-calls.ts";
import { balance, leastRequests, NoEndpointError, p2cEwma, ring, roundRobin, weighted } from "../index.ts";

const strategies = { roundRobin, weighted, leastRequests, p2cEwma, ring };

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("send" as const), refused: fc.nat(255), key: fc.nat(9) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("end" as const),
      at: fc.nat(50),
      outcome: fc.constantFrom("ok" as const, "fail" as const, "fail" as const, "timeout" as const, "ignore" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(400) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("update" as const), members: fc.nat(255) }) },
);

/** Those of eight endpoints whose bit is set, with weights of 1 to 3. */
function endpointsOf(members: number) {
  return Array.from({ length: 8 }, (_, id) => ({ id: `${id}`, address: `host-${id}`, weight: (id % 3) + 1 })).filter(
    (_, id) => (members & (1 << id)) !== 0,
  );
}

test.each(Object.entries(strategies))("%s agrees with a naive model about whom it may choose", async (_, strategy) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), fc.integer(), async (steps, seed) => {
      const clock = new TestClock({ now: 1_000_000 });
      const balancer = balance(endpointsOf(0b11111), strategy(), {
        ejection: { consecutive: 2, failureRate: 0.5, minCalls: 3, window: 100, duration: 200, maxShare: 0.4 },
        slowStart: 300,
        panic: 0.3,
        clock,
        random: seeded(seed),
      });
      const flying: SentCall[] = [];
      for (const action of steps) {
        if (action.kind === "send") {
          // What it may choose from, as it tells itself once its clock has been looked at.
          const accept = ({ id }: { readonly id: string }) => (action.refused & (1 << Number(id))) === 0;
          let sent: SentCall | undefined;
          try {
            sent = send(balancer, clock, `${action.key}`, accept);
          } catch (error) {
            expect(error).toBeInstanceOf(NoEndpointError);
          }
          const { endpoints, isPanicking } = balancer.stats();
          const allowed = endpoints.filter((one) => (isPanicking || one.state === "healthy") && accept(one));
          if (sent === undefined) expect(allowed).toEqual([]);
          else {
            expect(allowed.map(({ id }) => id)).toContain(sent.id);
            flying.push(sent);
          }
        } else if (action.kind === "end") {
          const [sent] = flying.splice(action.at % Math.max(1, flying.length), 1);
          if (sent !== undefined) end(balancer, clock, sent, action.outcome);
        } else if (action.kind === "pass") {
          await clock.advance(action.ms);
        } else {
          balancer.update(endpointsOf(action.members));
          expect(balancer.endpoints).toEqual(expect.arrayContaining(endpointsOf(action.members)));
        }
        const stats = balancer.stats();
        expect(stats.inFlight).toBe(flying.length);
        for (const one of stats.endpoints) {
          expect(one.inFlight).toBe(flying.filter(({ id }) => id === one.id).length);
        }
        const ejected = stats.endpoints.filter(({ state }) => state === "ejected").length;
        expect(stats.ejected).toBe(ejected);
        expect(ejected).toBeLessThanOrEqual(Math.floor(0.4 * stats.known));
      }
      for (const sent of flying) end(balancer, clock, sent);
      expect(balancer.stats().inFlight).toBe(0);
    }),
    { numRuns: 150 },
  );
});

test("weighted() gives each endpoint exactly its weight in each round, and stays close to it in between", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 10 }), (weights) => {
      const clock = new TestClock();
      const endpoints = weights.map((weight, id) => ({ id: `${id}`, address: `${id}`, weight }));
      const balancer = balance(endpoints, weighted(), { clock });
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const counts = weights.map(() => 0);
      for (let pick = 1; pick <= 3 * total; pick++) {
        const sent = send(balancer, clock);
        end(balancer, clock, sent);
        counts[Number(sent.id)] = (counts[Number(sent.id)] as number) + 1;
        counts.forEach((count, id) => {
          const fair = (pick * (weights[id] as number)) / total;
          expect(Math.abs(count - fair)).toBeLessThan(1 + weights.length / 2);
          if (pick % total === 0) expect(count).toBe(fair);
        });
      }
    }),
    { numRuns: 300 },
  );
});

const keys = Array.from({ length: 20_000 }, (_, key) => `user:${key}`);

function owners(balancer: ReturnType<typeof balance>, clock: TestClock): string[] {
  return keys.map((key) => {
    const sent = send(balancer, clock, key);
    end(balancer, clock, sent);
    return sent.id;
  });
}

test("ring() moves no key but those of the endpoint that comes or goes, and at most 1.2/n of all", () => {
  fc.assert(
    fc.property(fc.integer({ min: 3, max: 40 }), fc.nat(250), fc.boolean(), (count, subnet, goes) => {
      const clock = new TestClock();
      const all = Array.from({ length: count }, (_, host) => `10.0.${subnet}.${host + 1}:8080`);
      const rest = all.slice(0, -1);
      const changed = all.at(-1) as string;
      const balancer = balance(goes ? all : rest, ring(), { clock });
      const before = owners(balancer, clock);
      balancer.update(goes ? rest : all);
      const after = owners(balancer, clock);
      let moved = 0;
      before.forEach((owner, key) => {
        if (owner === after[key]) return;
        moved++;
        expect(goes ? owner : after[key]).toBe(changed);
      });
      expect(moved / keys.length).toBeLessThanOrEqual(1.2 / count);
      expect(moved / keys.length).toBeGreaterThanOrEqual(0.8 / count);
    }),
    { numRuns: 12 },
  );
});

test("ring() that was changed step by step agrees with one that was made at once, in any order", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 8 }), (memberships) => {
      const clock = new TestClock();
      const stepwise = balance([], ring({ replicas: 40 }), { clock });
      for (const members of memberships) stepwise.update(endpointsOf(members));
      const last = endpointsOf(memberships.at(-1) as number);
      const atOnce = balance(last.toReversed(), ring({ replicas: 40 }), { clock });
      for (const key of keys.slice(0, 300)) {
        const [one, other] = [send(stepwise, clock, key), send(atOnce, clock, key)];
        expect(one.id).toBe(other.id);
        end(stepwise, clock, one);
        end(atOnce, clock, other);
      }
    }),
    { numRuns: 60 },
  );
});

test("ring() never puts more than 1.25 times its share, rounded up, on an endpoint, whatever the keys", () => {
  const one = fc.record({ key: fc.nat(3), ends: fc.nat(3) }); // a few keys, far more popular than any endpoint can bear
  fc.assert(
    fc.property(fc.array(one, { maxLength: 200 }), fc.integer({ min: 1, max: 255 }), (sends, members) => {
      const clock = new TestClock();
      const endpoints = endpointsOf(members);
      const weight = endpoints.reduce((sum, endpoint) => sum + endpoint.weight, 0);
      const balancer = balance(endpoints, ring(), { clock });
      const flying: SentCall[] = [];
      for (const { key, ends } of sends) {
        const sent = send(balancer, clock, `key-${key}`);
        flying.push(sent);
        const { inFlight } = balancer.stats();
        const mine = flying.filter(({ id }) => id === sent.id).length;
        const own = endpoints.find(({ id }) => id === sent.id)?.weight ?? 0;
        expect(mine).toBeLessThanOrEqual(Math.ceil((1.25 * inFlight * own) / weight));
        if (ends === 0) for (const old of flying.splice(0, 2)) end(balancer, clock, old);
      }
    }),
    { numRuns: 150 },
  );
});
