export {
  E_ALREADY_LOCKED,
  E_CANCELED,
  E_TIMEOUT,
  Mutex,
  type MutexInterface,
  type Releaser,
  Semaphore,
  type SemaphoreInterface,
  tryAcquire,
  withTimeout,
} from "./lib/compat-async-mutex.ts";
export { limitFunction, type PLimitFunction, type PLimitOptions, pLimit } from "./lib/compat-p-limit.ts";
export {
  type PMapInput,
  type PMapMapper,
  type PMapOptions,
  type PMapped,
  pMap,
  pMapSkip,
  pMapStop,
} from "./lib/compat-p-map.ts";
export { PQueue } from "./lib/compat-p-queue.ts";
export {
  PQueueEmitter,
  type PQueueEvent,
  type PQueueEvents,
  type PQueueListener,
} from "./lib/compat-p-queue-events.ts";
export type { PQueueAddOptions, PQueueOptions, PQueueTask } from "./lib/compat-p-queue-options.ts";
