export { type CancelSweepOptions, cancelSweep } from "./lib/cancel-sweep.ts";
export {
  type InterleaveOptions,
  type InterleaveResult,
  type Interleaving,
  type InterleavingProgram,
  interleave,
} from "./lib/interleave.ts";
export { InterleavingError } from "./lib/interleaving-error.ts";
export { TestClock, type TestClockOptions } from "./lib/test-clock.ts";
