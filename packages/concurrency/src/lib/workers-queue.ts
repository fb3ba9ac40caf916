// Calls that no thread has: first in, first out, each free to leave at any moment in constant time.
import type { Job } from "./workers-job.ts";

export class JobQueue {
  first: Job | undefined;
  #last: Job | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(job: Job): void {
    this.#insert(job, this.#last, undefined);
  }

  /** Takes back a job that left before others did: it gets its old place. */
  restore(job: Job): void {
    let next = this.first;
    while (next !== undefined && next.id < job.id) next = next.next;
    this.#insert(job, next === undefined ? this.#last : next.previous, next);
  }

  remove(job: Job): void {
    const { previous, next } = job;
    if (previous === undefined) this.first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    job.previous = undefined;
    job.next = undefined;
    this.#size--;
  }

  #insert(job: Job, previous: Job | undefined, next: Job | undefined): void {
    job.previous = previous;
    job.next = next;
    if (previous === undefined) this.first = job;
    else previous.next = job;
    if (next === undefined) this.#last = job;
    else next.previous = job;
    this.#size++;
  }
}
