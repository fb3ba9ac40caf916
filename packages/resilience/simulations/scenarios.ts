// All that is simulated.
import { adaptiveLimitScenario } from "./adaptive-limit.ts";
import { balancing } from "./balancing.ts";
import { clientThrottleScenario } from "./client-throttle.ts";
import { grayFailure } from "./gray-failure.ts";
import { hashing } from "./hashing.ts";
import { hedging } from "./hedging.ts";
import { metastable } from "./metastable.ts";
import { overloadScenario } from "./overload.ts";
import { retryStorm } from "./retry-storm.ts";
import type { Scenario } from "./support/report.ts";
import { thunderingHerd } from "./thundering-herd.ts";

export const scenarios: readonly Scenario[] = [
  retryStorm,
  metastable,
  overloadScenario,
  adaptiveLimitScenario,
  clientThrottleScenario,
  hedging,
  balancing,
  grayFailure,
  hashing,
  thunderingHerd,
];

/** Of all results that are committed. */
export const seed = 1;

/** Of the small runs that tests repeat. */
export const smallScale = 0.1;
