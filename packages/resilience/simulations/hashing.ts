// A ring keeps keys where they are, and keeps a popular key from drowning its node.
import { balance, ring } from "../src/index.ts";
import { GateClient } from "./support/gate-client.ts";
import { meanOf, round } from "./support/metrics.ts";
import { exponential, type Random, randomFrom } from "./support/random.ts";
import { atMost, type Report, type Scenario } from "./support/report.ts";
import { Simulation } from "./support/simulation.ts";
import { arrivals } from "./support/traffic.ts";

const nodes = Array.from({ length: 10 }, (_, index) => `node-${index}`);
const busy = 400;

/** A few keys are asked for most of the time: the n-th as often as 1/n. */
function zipf(random: Random, keys: number): number {
  return Math.floor(keys ** random()) - 1;
}

/** The highest number of calls in flight on a node, to the mean at that moment: its median over time. */
function peakLoad(seed: number, until: number, boundedLoad: number) {
  const simulation = new Simulation(seed);
  const keys = simulation.stream();
  const service = simulation.stream();
  const balancer = balance(nodes, ring({ boundedLoad }), {
    clock: simulation.clock,
    random: simulation.stream(),
    ejection: false,
    slowStart: 0,
  });
  const client = new GateClient(simulation, balancer);
  const inFlight = new Map(nodes.map((node) => [node, 0]));
  const peaks: number[] = [];
  const loads = nodes.map((): number[] => []);
  arrivals(
    simulation,
    () => busy * 10,
    () => {
      const visit = client.begin(`key-${zipf(keys, 10_000)}`);
      const node = visit?.endpoint?.id;
      if (visit === undefined || node === undefined) return;
      inFlight.set(node, (inFlight.get(node) ?? 0) + 1);
      simulation.after(exponential(service, 100), () => {
        inFlight.set(node, (inFlight.get(node) ?? 0) - 1);
        visit.end("ok");
      });
    },
  );
  simulation.every(50, () => {
    if (simulation.now < 1_000) return;
    const counts = [...inFlight.values()];
    peaks.push(Math.max(...counts) / meanOf(counts));
    for (const [index, count] of counts.toSorted((a, b) => b - a).entries()) loads[index]?.push(count / meanOf(counts));
  });
  simulation.runSync(until);
  return { peak: round(meanOf(peaks)), loads: loads.map((each) => round(meanOf(each))) };
}

/** The share of keys that are elsewhere after a node has come. */
function moved(seed: number, keys: number): number {
  const simulation = new Simulation(seed);
  const options = { clock: simulation.clock, random: randomFrom(seed), ejection: false, slowStart: 0 } as const;
  const strategy = ring({ boundedLoad: Number.POSITIVE_INFINITY });
  const placeOf = (client: GateClient, key: number) => {
    const visit = client.begin(`key-${key}`);
    visit?.end("ok");
    return visit?.endpoint?.id;
  };
  const before = new GateClient(simulation, balance(nodes, strategy, options));
  const after = new GateClient(simulation, balance([...nodes, "node-10"], strategy, options));
  let moves = 0;
  for (let key = 0; key < keys; key++) if (placeOf(before, key) !== placeOf(after, key)) moves++;
  return moves / keys;
}

async function run(seed: number, scale: number): Promise<Report> {
  const until = Math.max(5_000, 30_000 * scale);
  const bounded = peakLoad(seed, until, 1.25);
  const free = peakLoad(seed, until, Number.POSITIVE_INFINITY);
  const share = moved(seed, Math.max(10_000, 100_000 * scale));
  const fair = 1 / (nodes.length + 1);
  return {
    laws: [
      atMost("busiest node to the mean, bounded to 1.25", 1.26, bounded.peak),
      atMost("keys that move when an eleventh node comes, of its fair share", 1.2, round(share / fair)),
    ],
    table: [
      ["", "busiest node to the mean"],
      ["ring({ boundedLoad: Infinity })", free.peak],
      ["ring()", bounded.peak],
      ["keys that move when an eleventh node comes, %", round(share * 100)],
      ["its fair share of the keys, %", round(fair * 100)],
    ],
    charts: {
      hashing: {
        kind: "bars",
        title: "Load of the nodes of a ring, busiest first, with popular keys",
        y: "of the mean",
        series: ["no bound", "boundedLoad: 1.25"],
        groups: nodes.map((_, index) => ({
          name: `${index + 1}`,
          values: [free.loads[index] ?? 0, bounded.loads[index] ?? 0],
        })),
        mark: { value: 1.25, label: "1.25" },
      },
    },
  };
}

export const hashing: Scenario = {
  name: "hashing",
  title: "Hashing with bounded load",
  story: "4,000 calls a second for 10,000 keys, of which a few are asked for most of the time, go to ten nodes.",
  run,
};
