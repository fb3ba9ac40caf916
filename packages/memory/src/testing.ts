export { type BusUnderTest, busConformance } from "./lib/conformance-bus.ts";
export { type LeaseUnderTest, leaseConformance } from "./lib/conformance-lease.ts";
export { type TierUnderTest, tierConformance } from "./lib/conformance-tier.ts";
export { MemoryBus } from "./lib/memory-bus.ts";
export { MemoryLease, type MemoryLeaseOptions } from "./lib/memory-lease.ts";
export { MemoryTier, type MemoryTierOptions, type TierOperation } from "./lib/memory-tier.ts";
