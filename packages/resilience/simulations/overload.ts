// Three times as much work as can be done: what is still done in time.
import { type AdaptiveLimit, adaptiveLimit, compose } from "../src/index.ts";
import { round, Series } from "./support/metrics.ts";
import { erlang } from "./support/random.ts";
import { atLeast, atMost, type Report, type Scenario } from "./support/report.ts";
import { Server } from "./support/server.ts";
import { Simulation } from "./support/simulation.ts";
import { arrivals } from "./support/traffic.ts";

const slots = 40;
const latency = 50;
const capacity = (slots / latency) * 1_000;
/** Milliseconds after which nobody wants the answer any more. */
const patience = 500;
/** Half of the calls can wait for another day, a fifth must not fail. */
const classes = [
  { name: "low", priority: -1, share: 0.5 },
  { name: "normal", priority: 0, share: 0.3 },
  { name: "high", priority: 1, share: 0.2 },
] as const;

interface Overload {
  readonly good: Series;
  /** Answers in time, of the calls of each class. */
  readonly success: readonly number[];
  readonly goodput: number;
}

async function overload(
  seed: number,
  until: number,
  factor: number,
  makeLimit?: (random: () => number) => AdaptiveLimit,
): Promise<Overload> {
  const simulation = new Simulation(seed);
  const service = simulation.stream();
  const classOf = simulation.stream();
  const server = new Server(simulation, { slots, service: () => erlang(service, latency) });
  const limit = makeLimit?.(simulation.stream());
  const call = compose({ clock: simulation.clock }, ...(limit === undefined ? [] : [limit]));
  const good = new Series(1_000);
  const offered = classes.map(() => 0);
  const answered = classes.map(() => 0);
  const [from, to] = [until / 4, (3 * until) / 4];
  const measureFrom = from + 5_000;
  arrivals(
    simulation,
    (now) => capacity * (now >= from && now < to ? factor : 0.7),
    () => {
      const startedAt = simulation.now;
      const drawn = classOf();
      const index = drawn < 0.5 ? 0 : drawn < 0.8 ? 1 : 2;
      const isMeasured = startedAt >= measureFrom && startedAt < to;
      if (isMeasured) (offered[index] as number)++;
      const { priority } = classes[index] as (typeof classes)[number]; // one of three
      void call(() => server.handle(), { priority }).then(
        () => {
          if (simulation.now - startedAt > patience) return;
          good.add(simulation.now);
          if (isMeasured) (answered[index] as number)++;
        },
        () => {},
      );
    },
  );
  await simulation.run(until);
  return {
    good,
    success: answered.map((count, index) => round(count / (offered[index] as number))),
    goodput: round(good.sum(measureFrom, to) / ((to - measureFrom) / 1_000) / capacity),
  };
}

async function run(seed: number, scale: number): Promise<Report> {
  const until = Math.max(40_000, 80_000 * scale);
  const none = await overload(seed, until, 3);
  const shed = await overload(seed, until, 3, (random) => adaptiveLimit({ random }));
  const queued = await overload(seed, until, 3, (random) => adaptiveLimit({ random, queue: 200 }));
  const rows: readonly (readonly [string, Overload])[] = [
    ["no limit", none],
    ["adaptiveLimit()", shed],
    ["with a queue", queued],
  ];
  return {
    laws: [
      atLeast("answers in time at 3 times the capacity, of the capacity", 0.9, shed.goodput),
      atLeast("the same with a queue", 0.9, queued.goodput),
      atMost("the same without a limit", 0.1, none.goodput),
      atLeast("calls of high priority that are answered in time", 0.95, shed.success[2] as number),
    ],
    table: [
      [
        "at 3 times the capacity",
        "answers in time, of the capacity",
        ...classes.map(({ name }) => `of the ${name} calls`),
      ],
      ...rows.map(([name, { goodput, success }]) => [name, goodput, ...success]),
    ],
    charts: {
      overload: {
        kind: "lines",
        title: "Answers in time, at three times the capacity",
        x: "seconds",
        y: "answers within 500 ms, per second",
        spans: [{ from: until / 4_000, to: (3 * until) / 4_000, label: "3x overload" }],
        plots: [
          { name: "capacity", style: "dashed", points: [[0, capacity], [until / 1_000, capacity]] }, // biome-ignore format: a line
          { name: "no limit", points: none.good.perSecond(until) },
          { name: "adaptiveLimit()", points: shed.good.perSecond(until) },
        ],
      },
      priorities: {
        kind: "bars",
        title: "Who is answered in time at three times the capacity",
        y: "share of calls",
        unit: "%",
        yMax: 100,
        series: classes.map(({ name }) => `${name} priority`),
        groups: rows.map(([name, { success }]) => ({
          name,
          values: success.map((share) => Math.round(share * 1_000) / 10),
        })),
      },
    },
  };
}

export const overloadScenario: Scenario = {
  name: "overload",
  title: "Overload and priorities",
  story:
    "A server does 40 calls of 50 ms at a time. For half of the time three times as many come as it can do; an answer after 500 ms is none.",
  run,
};
