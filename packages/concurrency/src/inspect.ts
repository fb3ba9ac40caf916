export { type ComponentReport, type ComponentStats, components, register } from "./lib/registry.ts";
export { type WaitEvent, waitChannel } from "./lib/registry-waits.ts";
