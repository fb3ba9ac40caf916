// Who gets a job, and who gives some away.
import type { Job } from "./workers-job.ts";
import type { Thread } from "./workers-thread.ts";

/** The thread with the fewest tasks that can be given one more; the oldest among equals, so that the others grow idle. */
export function leastLoaded(threads: readonly Thread[]): Thread | undefined {
  let least: Thread | undefined;
  for (const thread of threads) {
    if (thread.hasRoom && (least === undefined || thread.held < least.held)) least = thread;
  }
  return least;
}

/** From the thread with the longest backlog that can give something: what was moved to a thread stays there. */
export function takeBack(threads: readonly Thread[]): Job[] {
  const victims = threads.filter((thread) => thread.backlog > 0).sort((a, b) => b.backlog - a.backlog);
  for (const victim of victims) {
    const jobs = victim.takeBack();
    if (jobs.length > 0) return jobs;
  }
  return [];
}
