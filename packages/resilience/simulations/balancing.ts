// Ten nodes, one of them ten times as slow: who sends how many calls there.
import { type BalanceStrategy, balance, leastRequests, p2cEwma, roundRobin } from "../src/index.ts";
import { GateClient } from "./support/gate-client.ts";
import { quantileOf, round } from "./support/metrics.ts";
import { erlang } from "./support/random.ts";
import { atMost, type Report, type Scenario } from "./support/report.ts";
import { Server } from "./support/server.ts";
import { Simulation } from "./support/simulation.ts";
import { arrivals } from "./support/traffic.ts";

const nodes = Array.from({ length: 10 }, (_, index) => `node-${index}`);

function spreadOver(seed: number, until: number, strategy: BalanceStrategy) {
  const simulation = new Simulation(seed);
  const service = simulation.stream();
  const servers = new Map(
    nodes.map((node) => [node, new Server(simulation, { slots: 20, service: () => erlang(service, 20) })]),
  );
  const slow = servers.get("node-0") as Server;
  slow.slowness = 10;
  const balancer = balance(nodes, strategy, {
    clock: simulation.clock,
    random: simulation.stream(),
    ejection: false,
    slowStart: 0,
  });
  const client = new GateClient(simulation, balancer);
  const latencies: number[] = [];
  let calls = 0;
  arrivals(
    simulation,
    () => 900,
    () => {
      const startedAt = simulation.now;
      const visit = client.begin();
      if (visit?.endpoint === undefined) return;
      calls++;
      servers.get(visit.endpoint.id)?.request(() => {
        visit.end("ok");
        latencies.push(simulation.now - startedAt);
      });
    },
  );
  simulation.runSync(until);
  const at = (share: number) => round(quantileOf(latencies, share));
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), slowShare: round(slow.received / calls) };
}

async function run(seed: number, scale: number): Promise<Report> {
  const until = Math.max(20_000, 120_000 * scale);
  const rows = [
    ["roundRobin()", spreadOver(seed, until, roundRobin())],
    ["leastRequests()", spreadOver(seed, until, leastRequests())],
    ["p2cEwma()", spreadOver(seed, until, p2cEwma())],
  ] as const;
  const [[, robin], , [, ewma]] = rows;
  return {
    laws: [atMost("P99 of p2cEwma() to that of roundRobin()", 0.5, round(ewma.p99 / robin.p99))],
    table: [
      ["", "P50, ms", "P99, ms", "P99.9, ms", "calls to the slow node"],
      ...rows.map(([name, { p50, p99, p999, slowShare }]) => [name, p50, p99, p999, slowShare]),
    ],
    charts: {
      balancing: {
        kind: "bars",
        title: "Latency with one slow node of ten",
        y: "latency",
        unit: "ms",
        series: rows.map(([name]) => name),
        groups: [
          { name: "P50", values: rows.map(([, { p50 }]) => p50) },
          { name: "P99", values: rows.map(([, { p99 }]) => p99) },
          { name: "P99.9", values: rows.map(([, { p999 }]) => p999) },
        ],
      },
    },
  };
}

export const balancing: Scenario = {
  name: "balancing",
  title: "Balancing around a slow node",
  story: "900 calls a second go to ten nodes. Nine take 20 ms for a call, one takes 200.",
  run,
};
