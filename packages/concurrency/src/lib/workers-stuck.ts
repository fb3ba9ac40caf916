// Cancelled jobs that still run, each with the time that it is given to end.
import type { Timer } from "./clock.ts";
import type { Job } from "./workers-job.ts";
import type { ThreadSettings } from "./workers-thread-owner.ts";

export class StuckJobs {
  readonly #settings: ThreadSettings;
  readonly #timers = new Map<Job, Timer>();

  constructor(settings: ThreadSettings) {
    this.#settings = settings;
  }

  get size(): number {
    return this.#timers.size;
  }

  /** `onOverdue` is told when the job goes on for too long. */
  add(job: Job, onOverdue: (error: Error) => void): void {
    const { clock, grace } = this.#settings;
    const message = `A task of this thread was cancelled and did not end within ${grace} ms`;
    this.#timers.set(
      job,
      clock.setTimeout(() => onOverdue(new Error(message)), grace),
    );
  }

  /** The job has ended, or was none of these. */
  delete(job: Job): void {
    if (this.#timers.size === 0) return;
    this.#timers.get(job)?.clear();
    this.#timers.delete(job);
  }

  /** The thread has ended. */
  clear(): void {
    for (const timer of this.#timers.values()) timer.clear();
  }
}
