export { type CancelSweepOptions, cancelSweep } from "./lib/cancel-sweep.ts";
export { TestClock, type TestClockOptions } from "./lib/test-clock.ts";
