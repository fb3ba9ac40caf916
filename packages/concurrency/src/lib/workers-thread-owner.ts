// What a thread has to know, and whom it tells.
import type { Clock } from "./clock.ts";
import type { Job } from "./workers-job.ts";
import type { OpenThread } from "./workers-port.ts";
import type { Thread } from "./workers-thread.ts";

export interface ThreadSettings {
  readonly module: string;
  readonly data: unknown;
  readonly concurrency: number;
  readonly inFlight: number;
  readonly startTimeout: number;
  readonly disposeTimeout: number;
  readonly grace: number;
  readonly clock: Clock;
  readonly open: OpenThread;
}

/** What happens to a thread. */
export interface ThreadOwner {
  onReady(thread: Thread): void;
  /** It has finished something: there may be room. */
  onAnswers(thread: Thread): void;
  /** A cancelled task did not end in time: the thread takes nothing more, and will be gone. */
  onStuck(thread: Thread): void;
  /** It is gone; `unstarted` are those of its jobs that it never began. */
  onGone(thread: Thread, unstarted: readonly Job[]): void;
}

export type ThreadState = "starting" | "ready" | "ending" | "gone";

/** How long a thread may take to be gone after it was terminated. The platform has been seen not to say so at all. */
export const terminateMs = 5_000;
