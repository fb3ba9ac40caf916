export {
  type CallOptions,
  type WorkerArguments,
  type WorkerCalls,
  type WorkerDataOption,
  type WorkerFunctions,
  type Workers,
  type WorkersOptions,
  type WorkersStats,
  workers,
} from "./lib/workers.ts";
export { WorkerLostError, WorkerStartError } from "./lib/workers-errors.ts";
