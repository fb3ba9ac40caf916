// A short disturbance, and a failure that stays when it is over because retries keep the load up.
import {
  adaptiveLimit,
  attemptTimeout,
  breaker,
  compose,
  exponential,
  type Policy,
  type RetryOptions,
  retry,
  retryBudget,
} from "../src/index.ts";
import { round, Series } from "./support/metrics.ts";
import { erlang, type Random } from "./support/random.ts";
import { atLeast, atMost, type Report, type Scenario } from "./support/report.ts";
import { Server } from "./support/server.ts";
import { Simulation } from "./support/simulation.ts";
import { arrivals } from "./support/traffic.ts";

const rate = 140;
const capacity = 200;
const trigger = { from: 20_000, to: 25_000 };

type MakePolicies = (simulation: Simulation, random: Random, retries: RetryOptions) => readonly Policy[];

async function disturb(seed: number, until: number, makePolicies: MakePolicies) {
  const simulation = new Simulation(seed);
  const service = simulation.stream();
  const server = new Server(simulation, { slots: 10, service: () => erlang(service, (10 / capacity) * 1_000) });
  const random = simulation.stream();
  const retries = { attempts: 4, backoff: exponential({ base: 50, cap: 500, jitter: "full" }), random } as const;
  const call = compose(
    { clock: simulation.clock, idempotent: true },
    ...makePolicies(simulation, random, retries),
    attemptTimeout(500),
  );
  const good = new Series(2_000);
  arrivals(
    simulation,
    () => rate,
    () => {
      void call(() => server.handle()).then(
        () => good.add(simulation.now),
        () => {},
      );
    },
  );
  simulation.after(trigger.from, () => {
    server.slowness = 4;
  });
  simulation.after(trigger.to, () => {
    server.slowness = 1;
  });
  await simulation.run(until);
  const last = until - 20_000;
  const recovered = good.perSecond(until).find(([second, count]) => second * 1_000 > trigger.to && count >= 0.9 * rate);
  return {
    good,
    goodput: round(good.sum(last, until) / ((until - last) / 1_000) / rate),
    recovery: recovered === undefined ? Number.POSITIVE_INFINITY : round(recovered[0] - trigger.to / 1_000),
  };
}

async function run(seed: number): Promise<Report> {
  const until = 60_000;
  const plain = await disturb(seed, until, (_simulation, _random, retries) => [retry(retries)]);
  const budgeted = await disturb(seed, until, ({ clock }, _random, retries) => [
    retry({ ...retries, budget: retryBudget({ clock }) }),
  ]);
  const full = await disturb(seed, until, ({ clock }, random, retries) => [
    adaptiveLimit({ random }),
    retry({ ...retries, budget: retryBudget({ clock }) }),
    breaker({ random, open: 1_000 }),
  ]);
  const seconds = (value: number) => (Number.isFinite(value) ? value : "never");
  return {
    laws: [
      atMost("goodput at the end with plain retries, of what is asked for", 0.2, plain.goodput),
      atLeast("the same with limit, budget and breaker", 0.95, full.goodput),
      atMost("seconds until they have recovered", 5, full.recovery),
    ],
    table: [
      ["", "goodput at the end", "recovered after, s"],
      ["4 attempts", plain.goodput, seconds(plain.recovery)],
      ["4 attempts, budget", budgeted.goodput, seconds(budgeted.recovery)],
      ["adaptive limit, 4 attempts, budget, breaker", full.goodput, seconds(full.recovery)],
    ],
    charts: {
      metastable: {
        kind: "lines",
        title: "Five slow seconds, and what comes after",
        x: "seconds",
        y: "answers per second",
        spans: [{ from: trigger.from / 1_000, to: trigger.to / 1_000, label: "4x slower" }],
        plots: [
          { name: "asked for", style: "dashed", points: [[0, rate], [until / 1_000, rate]] }, // biome-ignore format: a line
          { name: "4 attempts", points: plain.good.perSecond(until) },
          { name: "+ budget", points: budgeted.good.perSecond(until) },
          { name: "+ limit and breaker", points: full.good.perSecond(until) },
        ],
      },
    },
  };
}

export const metastable: Scenario = {
  name: "metastable",
  title: "Metastable failure",
  story:
    "A server runs at 70% of its capacity. For five seconds it is four times slower; attempts are given up after 500 ms and repeated, but the server does their work all the same.",
  run,
};
