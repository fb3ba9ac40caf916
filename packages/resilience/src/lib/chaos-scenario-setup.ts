// What all ready scenarios have in common.
import { checkDuration } from "@proj/concurrency/options";
import { heal, type ScenarioAction } from "./chaos-actions.ts";
import { errorRateBelow, recoveredWithin } from "./chaos-expectations.ts";
import { type Scenario, scenario } from "./chaos-scenario.ts";
import type { ScenarioLoad } from "./chaos-scenario-load.ts";

/** What each of the ready scenarios takes. The times are those of an afternoon's try; a CI run scales them down. */
export interface ScenarioSetup extends ScenarioLoad {
  /** Milliseconds in which all is well. Default: 2,000. */
  readonly before?: number | undefined;
  /** Milliseconds in which something is broken. Default: 5,000. */
  readonly lasts?: number | undefined;
  /** Milliseconds that are watched after it was healed. Default: 6,000. */
  readonly after?: number | undefined;
  /** Milliseconds within which it should have recovered. Default: 5,000. */
  readonly recovery?: number | undefined;
}

/** When a fault begins and ends. */
export interface FaultTimes {
  readonly from: number;
  readonly to: number;
  readonly lasts: number;
}

/** All is well, then something breaks, then it is healed, and soon all is well again. */
export function story(
  name: string,
  setup: ScenarioSetup,
  tell: (times: FaultTimes) => readonly (readonly [at: number, action: ScenarioAction])[],
): Scenario {
  const { before = 2_000, lasts = 5_000, after = 6_000, recovery = 5_000, ...load } = setup;
  const action = `plan the scenario ${name}`;
  for (const [option, value] of Object.entries({ before, lasts, after, recovery }))
    checkDuration(action, option, value);
  const times: FaultTimes = { from: before, to: before + lasts, lasts };
  let told = scenario(name)
    .load(loadOf(load))
    .for(times.to + after)
    .expect(errorRateBelow(0.05, { before: "fault" }), recoveredWithin(recovery));
  for (const [at, action] of tell(times)) told = told.at(at, action);
  return told.at(times.to, heal());
}

/** Without rate or concurrency, 50 calls per second that take 1 second at most. */
function loadOf({ task, rate, concurrency, pause, timeout = 1_000, maxInFlight }: ScenarioLoad): ScenarioLoad {
  const arrivals =
    concurrency === undefined ? { rate: rate ?? 50 } : { concurrency, ...(rate === undefined ? {} : { rate }) };
  return { task, ...arrivals, pause, timeout, maxInFlight };
}
