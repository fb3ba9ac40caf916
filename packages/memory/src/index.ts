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
