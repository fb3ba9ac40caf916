// What a second attempt for the slowest calls does to the tail, and what it costs.
import { compose, hedge, quantile } from "../src/index.ts";
import { quantileOf, round } from "./support/metrics.ts";
import { exponential } from "./support/random.ts";
import { atLeast, atMost, type Report, type Scenario } from "./support/report.ts";
import { Simulation } from "./support/simulation.ts";
import { arrivals } from "./support/traffic.ts";

interface Tail {
  readonly latencies: readonly number[];
  readonly load: number;
}

/** Most calls take 10 to 20 ms; three in a hundred meet a pause of some 100 ms. */
async function serve(seed: number, calls: number, isHedged: boolean): Promise<Tail> {
  const simulation = new Simulation(seed);
  const { clock } = simulation;
  const service = simulation.stream();
  const call = compose({ clock, idempotent: true }, ...(isHedged ? [hedge({ after: quantile(0.95) })] : []));
  const latencies: number[] = [];
  let received = 0;
  let asked = 0;
  arrivals(
    simulation,
    () => 200,
    () => {
      if (asked++ >= calls) return;
      const startedAt = simulation.now;
      void call(() => {
        received++;
        const pause = service() < 0.03 ? 60 + exponential(service, 60) : 0;
        return simulation.wait(10 + 10 * service() + pause);
      }).then(() => latencies.push(simulation.now - startedAt));
    },
  );
  await simulation.run((calls / 200) * 1_100 + 1_000);
  return { latencies, load: received / Math.min(asked, calls) };
}

async function run(seed: number, scale: number): Promise<Report> {
  const calls = Math.round(60_000 * scale);
  const plain = await serve(seed, calls, false);
  const hedged = await serve(seed, calls, true);
  const at = (tail: Tail, share: number) => round(quantileOf(tail.latencies, share));
  const shares = [0.5, 0.9, 0.95, 0.98, 0.99, 0.999];
  return {
    laws: [
      atLeast("cut of the P99", 0.4, round(1 - at(hedged, 0.99) / at(plain, 0.99))),
      atMost("extra load", 0.05, round(hedged.load - 1)),
    ],
    table: [
      ["", ...shares.map((share) => `P${share * 100}`), "attempts per call"],
      ["no hedge, ms", ...shares.map((share) => at(plain, share)), round(plain.load)],
      ["hedge after P95, ms", ...shares.map((share) => at(hedged, share)), round(hedged.load)],
    ],
    charts: {
      hedging: {
        kind: "bars",
        title: "Hedging the slowest 5% of calls",
        y: "latency",
        unit: "ms",
        series: ["no hedge", "hedge({ after: quantile(0.95) })"],
        groups: shares.map((share) => ({ name: `P${share * 100}`, values: [at(plain, share), at(hedged, share)] })),
      },
    },
  };
}

export const hedging: Scenario = {
  name: "hedging",
  title: "Hedging",
  story: "Calls take 10 to 20 ms, but three in a hundred meet a pause of some 100 ms.",
  run,
};
