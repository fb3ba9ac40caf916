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
export { estimateBytes } from "./lib/cache-weight.ts";
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
export { WeakCache, type WeakCacheOptions, type WeakCacheStats } from "./lib/weak-cache.ts";
