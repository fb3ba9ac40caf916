// What a pool of threads has done so far, in numbers.
import type { WorkersStats } from "./workers.ts";
import type { Thread } from "./workers-thread.ts";

/** How much the newest task counts in the average runtime. */
const weight = 0.05;

export class WorkersCounts {
  stolen = 0;
  crashes = 0;
  #completed = 0;
  #runtime = 0;

  /** Takes over what a thread has run since the last time. */
  measure(thread: Thread): void {
    const { ms, runs } = thread.takeRuns();
    this.#completed += runs;
    if (runs === 0) return;
    if (this.#runtime === 0) this.#runtime = ms / runs;
    else this.#runtime += (ms / runs - this.#runtime) * (1 - (1 - weight) ** runs);
  }

  stats(threads: readonly Thread[], outstanding: number, queued: number): WorkersStats {
    const ready = threads.filter((thread) => thread.state === "ready");
    const total = ready.reduce((sum, thread) => sum + thread.utilization, 0);
    return {
      threads: ready.length,
      starting: threads.length - ready.length,
      idle: ready.filter((thread) => thread.held === 0).length,
      outstanding,
      queued,
      completed: this.#completed,
      stolen: this.stolen,
      crashes: this.crashes,
      runtimeMs: this.#runtime,
      utilization: ready.length === 0 ? 0 : total / ready.length,
    };
  }
}
