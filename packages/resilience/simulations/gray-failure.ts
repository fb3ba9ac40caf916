// A node that is up, and fails every other call: health checks do not see it.
import { balance, compose, constant, type EjectionOptions, retry, retryBudget, roundRobin } from "../src/index.ts";
import { round, Series } from "./support/metrics.ts";
import { erlang } from "./support/random.ts";
import { atLeast, atMost, type Report, type Scenario } from "./support/report.ts";
import { Server } from "./support/server.ts";
import { Simulation } from "./support/simulation.ts";
import { arrivals } from "./support/traffic.ts";

const nodes = Array.from({ length: 5 }, (_, index) => `node-${index}`);
const rate = 500;
const ill = { from: 10_000, to: 40_000 };

async function failHalf(seed: number, until: number, ejection: EjectionOptions | false, hasRetry: boolean) {
  const simulation = new Simulation(seed);
  const { clock } = simulation;
  const service = simulation.stream();
  const servers = new Map(
    nodes.map((node) => [node, new Server(simulation, { slots: 50, service: () => erlang(service, 20) })]),
  );
  const random = simulation.stream();
  const balancer = balance(nodes, roundRobin(), { clock, random, ejection, slowStart: 5_000 });
  const retries = hasRetry
    ? [retry({ attempts: 2, backoff: constant(10), budget: retryBudget({ clock }), random })]
    : [];
  const call = compose({ clock, idempotent: true }, ...retries, balancer);
  const failures = new Series(1_000);
  arrivals(
    simulation,
    () => rate,
    () => {
      void call((_context, { endpoint }) => (servers.get(endpoint?.id ?? "") as Server).handle()).catch(() => {
        failures.add(simulation.now);
      });
    },
  );
  const node = servers.get("node-0") as Server;
  simulation.after(ill.from, () => {
    node.failures = 0.5;
  });
  simulation.after(ill.to, () => {
    node.failures = 0;
  });
  await simulation.run(until);
  return {
    failures,
    share: round(failures.sum(ill.from, ill.to) / ((rate * (ill.to - ill.from)) / 1_000)),
    isBack: node.busy > 0 || node.received > 0,
  };
}

async function run(seed: number, scale: number): Promise<Report> {
  const until = Math.max(50_000, 60_000 * scale);
  const plain = await failHalf(seed, until, false, false);
  const ejected = await failHalf(seed, until, { failureRate: 0.3, duration: 5_000 }, false);
  const both = await failHalf(seed, until, { failureRate: 0.3, duration: 5_000 }, true);
  return {
    laws: [
      atLeast("failed calls without protection", 0.09, plain.share),
      atMost("failed calls with ejection, of those without", 0.25, round(ejected.share / plain.share)),
      atMost("failed calls with ejection and one retry", 0.005, both.share),
    ],
    table: [
      ["while one node of five fails half of its calls", "failed calls, %"],
      ["roundRobin()", round(plain.share * 100)],
      ["+ ejection", round(ejected.share * 100)],
      ["+ ejection, one retry", round(both.share * 100)],
    ],
    charts: {
      "gray-failure": {
        kind: "lines",
        title: "One node of five fails half of its calls",
        x: "seconds",
        y: "failed calls per second",
        spans: [{ from: ill.from / 1_000, to: ill.to / 1_000, label: "gray failure" }],
        plots: [
          { name: "round robin", points: plain.failures.perSecond(until) },
          { name: "+ ejection", points: ejected.failures.perSecond(until) },
          { name: "+ ejection, one retry", points: both.failures.perSecond(until) },
        ],
      },
    },
  };
}

export const grayFailure: Scenario = {
  name: "gray-failure",
  title: "Gray failure",
  story: "500 calls a second go to five nodes. For 30 seconds one of them fails half of its calls, at once.",
  run,
};
