// What all ready scenarios have in common.
import { checkDuration } from "@proj/concurrency/options";
import { heal, type ScenarioAction } from "./chaos-actions.ts";
import { type Expectation, recoveredWithin } from "./chaos-expectations.ts";
import { type Scenario, scenario } from "./chaos-scenario.ts";
import type { ScenarioLoad } from "./chaos-scenario-load.ts";

/** What each of the ready scenarios takes. The times are those of an afternoon's try; a CI run scales them down. */
export interface ScenarioSetup extends ScenarioLoad {
  /** Milliseconds for which calls have to succeed before it begins; see `Scenario.warmUp`. Default: 200. */
  readonly warmUp?: number | undefined;
  /** Milliseconds in which all is well. Default: 2,000. */
  readonly before?: number | undefined;
  /** Milliseconds in which something is broken. Default: 5,000. */
  readonly lasts?: number | undefined;
  /** Milliseconds that are watched after it was healed, at most. Default: 6,000. */
  readonly after?: number | undefined;
  /** Milliseconds within which it should have recovered. Default: 5,000. */
  readonly recovery?: number | undefined;
  /** Milliseconds of success after which it ends early; see `Scenario.settle`. Default: never. */
  readonly settle?: number | undefined;
}

/** When a fault begins and ends. */
export interface FaultTimes {
  readonly from: number;
  readonly to: number;
  readonly lasts: number;
}

/** Without it, nothing would be proved. That something was called at all is known from the warming up. */
const wellBefore: Expectation = {
  name: "well before the fault",
  check({ calls, brokenAt = 0 }) {
    const earlier = calls.filter(({ endedAt }) => endedAt < brokenAt);
    const failed = earlier.filter(({ error }) => error !== undefined).length;
    return { met: failed <= earlier.length * 0.05, detail: `${failed} of ${earlier.length} failed` };
  },
};

/** All is well, then something breaks, then it is healed, and soon all is well again. */
export function story(
  name: string,
  setup: ScenarioSetup,
  tell: (times: FaultTimes) => readonly (readonly [at: number, action: ScenarioAction])[],
): Scenario {
  const { warmUp = 200, before = 2_000, lasts = 5_000, after = 6_000, recovery = 5_000, settle, ...load } = setup;
  const action = `plan the scenario ${name}`;
  for (const [option, value] of Object.entries({ before, lasts, after, recovery }))
    checkDuration(action, option, value);
  const times: FaultTimes = { from: before, to: before + lasts, lasts };
  let told = scenario(name)
    .warmUp(warmUp)
    .load(loadOf(load))
    .for(times.to + after)
    .expect(wellBefore, recoveredWithin(recovery));
  if (settle !== undefined) told = told.settle(settle);
  for (const [at, action] of tell(times)) told = told.at(at, action);
  return told.at(times.to, heal());
}

/** Without rate or concurrency, 50 calls per second that take 1 second at most. */
function loadOf({ task, rate, concurrency, pause, timeout = 1_000, maxInFlight }: ScenarioLoad): ScenarioLoad {
  const arrivals =
    concurrency === undefined ? { rate: rate ?? 50 } : { concurrency, ...(rate === undefined ? {} : { rate }) };
  return { task, ...arrivals, pause, timeout, maxInFlight };
}
