// What retries add to the load of a dependency that fails: three times as much, or a fifth.

import { Context } from "@proj/concurrency";
import {
  compose,
  exponential,
  type Resilient,
  type RetryOptions,
  retry,
  retryBudget,
  sharedBudget,
} from "../src/index.ts";
import { round, Series } from "./support/metrics.ts";
import { atLeast, atMost, type Report, type Scenario } from "./support/report.ts";
import { Server } from "./support/server.ts";
import { Simulation } from "./support/simulation.ts";
import { arrivals } from "./support/traffic.ts";

const rate = 500;

interface Storm {
  readonly attempts: Series;
  /** Attempts per request while everything fails. */
  readonly amplification: number;
}

async function storm(seed: number, until: number, withBudget: boolean, hasRetry = true): Promise<Storm> {
  const simulation = new Simulation(seed);
  const { clock } = simulation;
  const server = new Server(simulation, { slots: 1_000, service: () => 20 });
  const options: RetryOptions = {
    attempts: 3,
    backoff: exponential({ base: 50, cap: 1_000, jitter: "full" }),
    random: simulation.stream(),
    budget: withBudget ? retryBudget({ ratio: 0.2, minPerSecond: 0, clock }) : undefined,
  };
  const call = compose({ clock, idempotent: true }, ...(hasRetry ? [retry(options)] : []));
  const attempts = new Series(1_000);
  const requests = new Series(1_000);
  arrivals(
    simulation,
    () => rate,
    () => {
      requests.add(simulation.now);
      void call(() => {
        attempts.add(simulation.now);
        return server.handle();
      }).catch(() => {});
    },
  );
  const [down, up] = [until / 3, (2 * until) / 3];
  simulation.after(down, () => {
    server.failures = 1;
  });
  simulation.after(up, () => {
    server.failures = 0;
  });
  await simulation.run(until);
  return { attempts, amplification: attempts.sum(down, up) / requests.sum(down, up) };
}

/** Attempts at the bottom of three layers, each with three attempts, per request at the top; nothing succeeds. */
async function layers(seed: number, requests: number, retries: (index: number) => RetryOptions, shared: boolean) {
  const simulation = new Simulation(seed);
  const { clock } = simulation;
  const server = new Server(simulation, { slots: 1, service: () => 1 });
  server.failures = 1;
  const random = simulation.stream();
  const stacks: Resilient[] = [0, 1, 2].map((index) =>
    compose({ clock, idempotent: true }, retry({ attempts: 3, random, ...retries(index) })),
  );
  const [front, middle, back] = stacks as [Resilient, Resilient, Resilient];
  const budget = retryBudget({ ratio: 0.2, minPerSecond: 0, clock });
  const context = shared ? Context.derive({ values: [sharedBudget.of(budget)] }) : Context.current();
  arrivals(
    simulation,
    () => rate,
    () => {
      if (requests-- <= 0) return;
      void Context.run(context, () => front(() => middle(() => back(() => server.handle())))).catch(() => {});
    },
  );
  const total = requests;
  await simulation.run((requests / rate) * 1_000 + 120_000);
  return round(server.received / total);
}

async function run(seed: number, scale: number): Promise<Report> {
  const until = Math.max(30_000, 60_000 * scale);
  const none = await storm(seed, until, false, false);
  const three = await storm(seed, until, false);
  const budgeted = await storm(seed, until, true);
  const requests = Math.max(200, 1_000 * scale);
  const deep = {
    repeat: await layers(seed, requests, () => ({ nested: "repeat", maxRetryAfter: 0 }), false),
    once: await layers(seed, requests, () => ({}), false),
    shared: await layers(seed, requests, () => ({}), true),
  };
  return {
    laws: [
      atMost("attempts per request with a budget of 20%", 1.2, round(budgeted.amplification)),
      atLeast("attempts per request with three attempts and no budget", 2.9, round(three.amplification)),
      atMost("attempts per request through three layers of retries", 7, deep.once),
      atMost("attempts per request through three layers that share a budget", 1.6, deep.shared),
    ],
    table: [
      ["while everything fails", "attempts per request"],
      ["no retry", round(none.amplification)],
      ["three attempts", round(three.amplification)],
      ["three attempts, budget of 20%", round(budgeted.amplification)],
      ['three layers of three attempts, `nested: "repeat"`', deep.repeat],
      ["three layers of three attempts", deep.once],
      ["three layers of three attempts, one shared budget of 20%", deep.shared],
    ],
    charts: {
      "retry-storm": {
        kind: "lines",
        title: "Load on a dependency that fails",
        x: "seconds",
        y: "attempts per second",
        spans: [{ from: until / 3_000, to: until / 1_500, label: "every request fails" }],
        plots: [
          { name: "no retry", style: "dashed", points: none.attempts.perSecond(until) },
          { name: "3 attempts", points: three.attempts.perSecond(until) },
          { name: "3 attempts, budget 20%", points: budgeted.attempts.perSecond(until) },
        ],
      },
    },
  };
}

export const retryStorm: Scenario = {
  name: "retry-storm",
  title: "Retry storm",
  story: "500 requests a second, each tried up to three times. For a third of the time every attempt fails.",
  run,
};
