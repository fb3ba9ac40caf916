// What a pool and its threads say to each other in messages.
import type { Fault } from "./worker-fault.ts";
import type { SharedMemory } from "./worker-memory.ts";

/** What a thread gets when it starts. */
export interface ThreadStart {
  /** The URL of the module. */
  readonly module: string;
  readonly concurrency: number;
  readonly memory: SharedMemory;
  /** For its `init`. */
  readonly data: unknown;
}

/** What it says first: the names of its functions, or why it cannot start. */
export type ThreadReport = { readonly ready: readonly string[] } | { readonly failed: Fault };

/** Slots and what belongs to them in turn: arguments on the way to a thread, results and faults on the way back. */
export type Batch = readonly unknown[];

/** Says that there is something in a ring. No slot has this number. */
export const bell = -1;

/** Tells a thread to end after its `dispose`. */
export const stop = "stop";

/** To a thread: a batch of tasks, the slot of a task that was cancelled, the bell, or the end. */
export type ThreadMessage = Batch | number | typeof stop;

/** From a thread. */
export type PoolMessage = ThreadReport | Batch | typeof bell;
