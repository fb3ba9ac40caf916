export type { IoRedisClient, NodeRedisClient, RedisClient } from "./lib/redis-client.ts";
export { type RedisLeaseOptions, redisLease } from "./lib/redis-load-lease.ts";
export {
  type IoRedisSubscriber,
  type NodeRedisSubscriber,
  type PubsubBusOptions,
  pubsubBus,
} from "./lib/redis-pubsub-bus.ts";
export { type RedisTierOptions, redisTier } from "./lib/redis-tier.ts";
export { type TrackingBusOptions, type TrackingClient, trackingBus } from "./lib/redis-tracking-bus.ts";
