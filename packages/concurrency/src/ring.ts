export { type MpmcRing, type MpmcRingOptions, type MpmcShare, mpmcRing } from "./lib/ring-mpmc.ts";
export type { BlockOptions, Ring } from "./lib/ring-record.ts";
export { type SpscRing, type SpscRingOptions, spscRing } from "./lib/ring-spsc.ts";
