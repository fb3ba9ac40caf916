// A client that sees its calls rejected sends fewer of them.
import { clientThrottle, compose } from "../src/index.ts";
import { round, Series } from "./support/metrics.ts";
import { atLeast, atMost, type Report, type Scenario } from "./support/report.ts";
import { Server } from "./support/server.ts";
import { Simulation } from "./support/simulation.ts";
import { arrivals } from "./support/traffic.ts";

const rate = 1_000;
const capacity = 100;

async function throttle(seed: number, until: number, k: number | undefined) {
  const simulation = new Simulation(seed);
  // Ten at a time for 100 ms each; whoever comes then is rejected, which is work as well.
  const server = new Server(simulation, { slots: 10, service: () => 100, queue: 0 });
  const throttle = k === undefined ? [] : [clientThrottle({ k, window: 10_000, random: simulation.stream() })];
  const call = compose({ clock: simulation.clock }, ...throttle);
  const received = new Series(1_000);
  const answered = new Series(1_000);
  arrivals(
    simulation,
    (now) => (now < until / 6 ? 50 : now < (4 * until) / 6 ? rate : 50),
    () => {
      void call(() => {
        received.add(simulation.now);
        return server.handle();
      }).then(
        () => answered.add(simulation.now),
        () => {},
      );
    },
  );
  await simulation.run(until);
  const [from, to] = [until / 3, (4 * until) / 6];
  const seconds = (to - from) / 1_000;
  return { received, perSecond: received.sum(from, to) / seconds, accepted: answered.sum(from, to) / seconds };
}

async function run(seed: number, scale: number): Promise<Report> {
  const until = Math.max(60_000, 120_000 * scale);
  const none = await throttle(seed, until, undefined);
  const two = await throttle(seed, until, 2);
  const near = await throttle(seed, until, 1.1);
  const rows = [
    ["no throttle", none],
    ["k: 2", two],
    ["k: 1.1", near],
  ] as const;
  return {
    laws: [
      atMost("requests per accepted one with k = 2", 2.5, round(two.perSecond / two.accepted)),
      atLeast("requests per accepted one without", 8, round(none.perSecond / none.accepted)),
      atLeast("accepted with k = 2, of the capacity", 0.8, round(two.accepted / capacity)),
    ],
    table: [
      [`${rate} calls a second to a server that can do ${capacity}`, "sent, per second", "accepted, per second"],
      ...rows.map(([name, { perSecond, accepted }]) => [name, round(perSecond), round(accepted)]),
    ],
    charts: {
      "client-throttle": {
        kind: "lines",
        title: "Requests that reach an overloaded server, with clientThrottle()",
        x: "seconds",
        y: "requests per second",
        spans: [{ from: until / 6_000, to: (4 * until) / 6_000, label: "10x the capacity wanted" }],
        plots: [
          { name: "capacity", style: "dashed", points: [[0, capacity], [until / 1_000, capacity]] }, // biome-ignore format: a line
          ...rows.map(([name, { received }]) => ({ name, points: received.perSecond(until) })),
        ],
      },
    },
  };
}

export const clientThrottleScenario: Scenario = {
  name: "client-throttle",
  title: "Client throttle",
  story:
    "A server accepts 100 calls a second and rejects the rest. For half of the time, 1,000 a second want to call it.",
  run,
};
