export { ByteCache, type ByteCacheOptions, type ByteCacheStats } from "./lib/byte-cache.ts";
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
