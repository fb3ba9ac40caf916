export { type RedisIdempotencyOptions, redisIdempotency } from "./lib/idempotency-redis.ts";
