// A dependency comes back, and all who waited come at once, or not.
import { type Backoff, compose, constant, exponential, retry } from "../src/index.ts";
import { round, Series } from "./support/metrics.ts";
import { atMost, type Report, type Scenario } from "./support/report.ts";
import { Simulation } from "./support/simulation.ts";

const outage = 2_000;
const step = 50;

/** Each client makes one call at the moment at which the dependency goes away, and repeats it until it is answered. */
async function comeBack(seed: number, clients: number, backoff: Backoff) {
  const simulation = new Simulation(seed);
  const call = compose(
    { clock: simulation.clock, idempotent: true },
    retry({ attempts: 20, backoff, random: simulation.stream() }),
  );
  const attempts = new Series(step);
  for (let client = 0; client < clients; client++) {
    void call(async () => {
      attempts.add(simulation.now);
      await simulation.wait(5);
      if (simulation.now < outage) throw new Error("down");
    }).catch(() => {});
  }
  const until = 8_000;
  await simulation.run(until);
  const rates = attempts.perSecond(until);
  // The first attempts come together whatever the backoff: so did the requests.
  const later = rates.filter(([second]) => second > 0.1);
  return { rates, peak: round((Math.max(...later.map(([, rate]) => rate)) * step) / 1_000 / clients) };
}

async function run(seed: number, scale: number): Promise<Report> {
  const clients = Math.max(500, Math.round(2_000 * scale));
  const fixed = await comeBack(seed, clients, constant(500));
  const plain = await comeBack(seed, clients, exponential({ base: 100, cap: 2_000, jitter: "none" }));
  const full = await comeBack(seed, clients, exponential({ base: 100, cap: 2_000, jitter: "full" }));
  const rows = [
    ["constant(500)", fixed],
    ['exponential, jitter: "none"', plain],
    ['exponential, jitter: "full"', full],
  ] as const;
  return {
    laws: [
      atMost(
        "highest share of all clients within 50 ms with full jitter, to that without",
        0.5,
        round(full.peak / plain.peak),
      ),
    ],
    table: [["", "highest share of the clients within 50 ms"], ...rows.map(([name, { peak }]) => [name, peak])],
    charts: {
      "thundering-herd": {
        kind: "lines",
        title: `${clients.toLocaleString("en")} clients wait for one dependency`,
        x: "seconds",
        y: "attempts per second",
        spans: [{ from: 0, to: outage / 1_000, label: "down" }],
        plots: [
          { name: "no jitter", points: plain.rates.slice(2, 100) },
          { name: "full jitter", points: full.rates.slice(2, 100) },
        ],
      },
    },
  };
}

export const thunderingHerd: Scenario = {
  name: "thundering-herd",
  title: "Thundering herd",
  story: "A dependency goes away for two seconds, and 2,000 clients notice at the same moment.",
  run,
};
