export { type ComponentReport, type ComponentStats, components, register } from "./lib/registry.ts";
export {
  type PoolEvent,
  poolChannel,
  type RefusalEvent,
  refusalChannel,
  type ServiceEvent,
  serviceChannel,
} from "./lib/registry-events.ts";
export { type WaitEvent, waitChannel } from "./lib/registry-waits.ts";
