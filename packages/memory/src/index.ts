export { type Alignment, Arena, type ArenaMark, type ArenaOptions, type ArenaStats } from "./lib/arena.ts";
export { BufferPool, type BufferPoolOptions, type BufferPoolStats, type PooledBuffer } from "./lib/buffer-pool.ts";
export { ByteCache, type ByteCacheOptions, type ByteCacheStats } from "./lib/byte-cache.ts";
export { Cache } from "./lib/cache.ts";
export type { CapacityAdvice } from "./lib/cache-advice.ts";
export type {
  CacheEntryMeta,
  CacheEntryOptions,
  CacheOptions,
  CacheStats,
  EvictionCause,
} from "./lib/cache-options.ts";
export type { EvictionPolicy, PolicyName } from "./lib/cache-policy.ts";
export type { CacheEvent } from "./lib/cache-removals.ts";
export { type CacheHealth, type CacheService, cacheService } from "./lib/cache-service.ts";
export { estimateBytes } from "./lib/cache-weight.ts";
export { bytesCodec } from "./lib/codec-bytes.ts";
export { type CompressedOptions, type Compression, compressed, type Lz4 } from "./lib/codec-compressed.ts";
export { jsonCodec } from "./lib/codec-json.ts";
export { v8Codec } from "./lib/codec-v8.ts";
export { type MemoryEvent, memoryChannel } from "./lib/events.ts";
export { Interner, type InternerOptions, type InternerStats } from "./lib/interner.ts";
export {
  type CollectOptions,
  type MemoryMonitor,
  type MemoryMonitorOptions,
  memoryMonitor,
  type PressureEvent,
  type PressureLevel,
  type Shrinkable,
  type ShrinkOptions,
} from "./lib/memory-monitor.ts";
export type { MemoryProbe, MemoryReading } from "./lib/memory-reading.ts";
export { ObjectPool, type ObjectPoolOptions, type ObjectPoolStats } from "./lib/object-pool.ts";
export {
  type ColumnOf,
  type FieldType,
  type RecordOf,
  type RecordSchema,
  type RecordStore,
  type RecordsOptions,
  records,
} from "./lib/records.ts";
export type {
  Bus,
  BusListener,
  Codec,
  Invalidation,
  LoadLease,
  MaybePromise,
  Sealed,
  Tier,
  TierOptions,
} from "./lib/tier.ts";
export { type TieredCache, type TieredStats, tiered } from "./lib/tiered.ts";
export type { TierBreakerOptions, TierState } from "./lib/tiered-breaker.ts";
export type { TieredCounts, TieredEvent } from "./lib/tiered-events.ts";
export type { TieredLeaseOptions } from "./lib/tiered-lease.ts";
export type { TierStats } from "./lib/tiered-link.ts";
export type { BatchLoad, BatchLoadContext, LoadContext, LoadControls } from "./lib/tiered-load.ts";
export type {
  TieredEntryOptions,
  TieredMemoryOptions,
  TieredOptions,
  TieredReadOptions,
} from "./lib/tiered-options.ts";
export type { WarmOptions, WarmReport } from "./lib/tiered-warm.ts";
export { WeakCache, type WeakCacheOptions, type WeakCacheStats } from "./lib/weak-cache.ts";
