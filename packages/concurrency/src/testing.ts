export { type CancelSweepOptions, cancelSweep } from "./lib/cancel-sweep.ts";
export type { ConformanceCase } from "./lib/conformance.ts";
export { type ClockConformanceOptions, type ClockUnderTest, clockConformance } from "./lib/conformance-clock.ts";
export { type LockUnderTest, lockConformance } from "./lib/conformance-lock.ts";
export { rateLimiterConformance } from "./lib/conformance-rate-limiter.ts";
export { type RedisClientUnderTest, redisClientConformance } from "./lib/conformance-redis.ts";
export {
  type InterleaveOptions,
  type InterleaveResult,
  type Interleaving,
  type InterleavingProgram,
  interleave,
} from "./lib/interleave.ts";
export { InterleavingError } from "./lib/interleaving-error.ts";
export { TestClock, type TestClockOptions } from "./lib/test-clock.ts";
