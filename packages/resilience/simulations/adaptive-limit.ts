// An adaptive limit finds what a dependency can do, follows it when that changes, and stays there.
import { adaptiveLimit } from "../src/index.ts";
import { GateClient } from "./support/gate-client.ts";
import { quantileOf, round } from "./support/metrics.ts";
import { erlang, exponential, type Random } from "./support/random.ts";
import { atMost, type Report, type Scenario } from "./support/report.ts";
import { Server } from "./support/server.ts";
import { Simulation } from "./support/simulation.ts";
import { arrivals } from "./support/traffic.ts";

interface World {
  readonly rate: number;
  readonly slots: (now: number) => number;
  readonly latency: (now: number) => number;
  readonly until: number;
  /** How service times are spread around their mean. Default: some. */
  readonly spread?: Spread;
}

/** Draws a service time. */
type Spread = (random: Random, mean: number) => number;

interface Outcome {
  /** The limit, once per second. */
  readonly limits: readonly (readonly [seconds: number, limit: number])[];
  readonly answers: number;
}

function follow(seed: number, world: World): Outcome {
  const simulation = new Simulation(seed);
  const service = simulation.stream();
  const server = new Server(simulation, {
    slots: world.slots(0),
    service: () => (world.spread ?? erlang)(service, world.latency(simulation.now)),
  });
  const limit = adaptiveLimit({ random: simulation.stream() });
  const client = new GateClient(simulation, limit);
  const limits: [number, number][] = [];
  let answers = 0;
  arrivals(
    simulation,
    () => world.rate,
    () => {
      const visit = client.begin();
      if (visit === undefined) return;
      server.request(() => {
        answers++;
        visit.end("ok");
      });
    },
  );
  simulation.every(1_000, () => {
    server.slots = world.slots(simulation.now);
    limits.push([simulation.now / 1_000, limit.limit]);
  });
  simulation.runSync(world.until);
  return { limits, answers };
}

/** Median of the limit over some seconds. */
function settled({ limits }: Outcome, from: number, to: number): number {
  return quantileOf(
    limits.filter(([second]) => second >= from && second < to).map(([, limit]) => limit),
    0.5,
  );
}

const phase = 60_000;
const capacities = [60, 120, 40];
const situations = ["60 places", "120 places", "40 places", "before calls slow down", "2.5 times slower calls"];

interface Steps {
  readonly steps: Outcome;
  readonly slower: Outcome;
  /** In each situation, half a minute after it began: how far the limit is from the optimum, as a share of that. */
  readonly distances: readonly number[];
}

function followSteps(seed: number, spread: Spread): Steps {
  const steps = follow(seed, {
    rate: 2_000,
    slots: (now) => capacities[Math.min(2, Math.floor(now / phase))] as number, // there are three
    latency: () => 100,
    until: 3 * phase,
    spread,
  });
  const slower = follow(seed, {
    rate: 2_000,
    slots: () => 60,
    latency: (now) => (now < phase ? 60 : 150),
    until: 2 * phase,
    spread,
  });
  const distances = [
    ...capacities.map((capacity, index) => settled(steps, index * 60 + 30, index * 60 + 60) / capacity - 1),
    settled(slower, 30, 60) / 60 - 1,
    settled(slower, 90, 120) / 60 - 1,
  ].map((distance) => round(Math.abs(distance)));
  return { steps, slower, distances };
}

/** One number may be luck: the same for other seeds, and for service times that are spread more. */
function otherSeeds(seeds: readonly number[]): Report["table"] {
  const spreads: readonly (readonly [string, Spread])[] = [
    ["spread by half of their mean", erlang],
    ["exponential", exponential],
  ];
  return spreads.flatMap(([what, spread]) => {
    const runs = seeds.map((seed) => followSteps(seed, spread).distances);
    const all = runs.flat();
    const within = all.filter((distance) => distance <= 0.1).length;
    return [
      [`${what}, seeds ${seeds[0]} to ${seeds.at(-1)}: distance, median`, 0, quantileOf(all, 0.5)],
      [`${what}: distance, worst`, 0, Math.max(...all)],
      [`${what}: within 10%, of ${all.length} situations`, all.length, within],
    ];
  });
}

async function run(seed: number, scale: number): Promise<Report> {
  const { steps, slower, distances } = followSteps(seed, erlang);
  const seeds = Array.from({ length: Math.max(1, Math.round(6 * scale)) }, (_, index) => seed + index);
  const long = seeds.map((each) =>
    follow(each, { rate: 400, slots: () => 50, latency: () => 200, until: 3_600_000 * scale }),
  );
  const hours = long[0] as Outcome; // there is one for each seed
  const light = follow(seed, { rate: 100, slots: () => 50, latency: () => 200, until: 3_600_000 * scale });
  const last = hours.limits.length;
  const quarter = Math.floor(last / 4);
  const early = settled(hours, quarter, 2 * quarter);
  const late = settled(hours, 3 * quarter, last);
  const span = hours.limits.length;
  return {
    laws: [
      ...situations.map((what, index) =>
        atMost(`distance from the optimum 30 s later: ${what}`, 0.1, distances[index] as number),
      ),
      atMost(`drift up in ${round(span / 3_600, 2)} h under overload`, 0.05, round(late / early - 1)),
      atMost(
        `highest limit in that time, of the optimum, of ${seeds.length} seeds`,
        1.6,
        round(Math.max(...long.flatMap(({ limits }) => limits.slice(60).map(([, limit]) => limit))) / 50),
      ),
      atMost(
        "highest limit in that time with 40% load, of the optimum",
        1.5,
        round(Math.max(...light.limits.map(([, limit]) => limit)) / 50),
      ),
    ],
    table: [
      ["", "optimum", "limit (median)"],
      ...capacities.map((capacity, index) => [
        `overload, ${capacity} places`,
        capacity,
        settled(steps, index * 60 + 30, index * 60 + 60),
      ]),
      ["overload, calls of 60 ms", 60, settled(slower, 30, 60)],
      ["overload, calls of 150 ms", 60, settled(slower, 90, 120)],
      ["overload, second quarter of the long run", 50, early],
      ["overload, last quarter of the long run", 50, late],
      ["answers per second in the long run, of 250", 250, round(hours.answers / span)],
      ...otherSeeds(seeds),
    ],
    charts: {
      "adaptive-limit": {
        kind: "lines",
        title: "The limit follows what the dependency can do",
        x: "seconds",
        y: "calls in flight",
        plots: [
          {
            name: "optimum",
            style: "dashed",
            points: [[0, 60], [60, 60], [60, 120], [120, 120], [120, 40], [180, 40]], // biome-ignore format: three steps
          },
          { name: "adaptiveLimit()", style: "step", points: steps.limits },
        ],
      },
    },
  };
}

export const adaptiveLimitScenario: Scenario = {
  name: "adaptive-limit",
  title: "Adaptive limit",
  story:
    "A dependency can do 60, then 120, then 40 calls at a time, and more come than it can do. Then, for an hour, nothing changes.",
  run,
};
