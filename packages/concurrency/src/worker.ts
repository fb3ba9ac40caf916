export { hostWorker } from "./lib/worker-host.ts";
export { transfer } from "./lib/worker-transfer.ts";
