export { type RedisIdempotencyOptions, redisIdempotency } from "./lib/idempotency-redis.ts";
export {
  type SharedBreakerHints,
  type SharedBreakerHintsEvent,
  type SharedBreakerHintsOptions,
  sharedBreakerHints,
} from "./lib/redis-breaker-hints.ts";
