export { checkRedisClient, type IoRedisClient, type NodeRedisClient, type RedisClient } from "./lib/redis-client.ts";
export type { RedisLease } from "./lib/redis-lease.ts";
export {
  type RedisAcquireOptions,
  type RedisLock,
  type RedisLockOptions,
  type RedisSemaphoreOptions,
  redisLock,
  redisSemaphore,
} from "./lib/redis-lock.ts";
export { LockLostError } from "./lib/redis-lock-lost-error.ts";
export type { RedisRateLimiterEvent } from "./lib/redis-outage.ts";
export { type RedisRateLimiter, type RedisRateLimiterOptions, redisRateLimiter } from "./lib/redis-rate-limiter.ts";
export { type RedisCall, RedisScript } from "./lib/redis-script.ts";
