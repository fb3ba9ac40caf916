export {
  type Chaos,
  type ChaosEvent,
  type ChaosOptions,
  type ChaosStats,
  chaos,
} from "./lib/chaos.ts";
export { ChaosError } from "./lib/chaos-error.ts";
export {
  type ChaosMatch,
  type ChaosPattern,
  type ChaosRule,
  type DropRule,
  drop,
  type FaultRule,
  fault,
  type HangRule,
  hang,
  type LatencyRule,
  latency,
  type OutcomeRule,
  outcome,
} from "./lib/chaos-rules.ts";
