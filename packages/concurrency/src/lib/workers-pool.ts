// The scheduler: one queue for all threads, and the decisions who gets what, when a thread comes and when it goes.
import type { Transferable } from "node:worker_threads";
import { currentNode, outside } from "./ambient.ts";
import { checkDuration, describe } from "./check.ts";
import type { Timer } from "./clock.ts";
import { ClosedError } from "./closed-error.ts";
import type { ContextNode } from "./context-node.ts";
import { contextFor, derive } from "./derive.ts";
import { PoolBackoff } from "./pool-backoff.ts";
import { QueueFullError } from "./queue-full-error.ts";
import type { CallOptions, WorkersStats } from "./workers.ts";
import { leastLoaded, takeBack } from "./workers-balance.ts";
import { WorkersCounts } from "./workers-counts.ts";
import { WorkerStartError } from "./workers-errors.ts";
import { Job, type JobOwner } from "./workers-job.ts";
import type { OpenThread } from "./workers-port.ts";
import { JobQueue } from "./workers-queue.ts";
import type { WorkersSettings } from "./workers-settings.ts";
import { Thread } from "./workers-thread.ts";
import type { ThreadOwner } from "./workers-thread-owner.ts";

const action = "call a worker";
/** How long a thread must have lived for its crash to count as the first in a row. */
const wellMs = 10_000;

export class WorkerPool implements JobOwner, ThreadOwner, AsyncDisposable {
  readonly name: string;
  lastError: unknown;
  readonly #settings: WorkersSettings & { readonly open: OpenThread };
  readonly #queue = new JobQueue();
  /** Those that start or can be given something. */
  readonly #threads: Thread[] = [];
  /** Those that end. */
  readonly #ending = new Set<Thread>();
  readonly #backoff: PoolBackoff;
  #closed: PromiseWithResolvers<void> | undefined;
  #closeTimer: Timer | undefined;
  #sweepTimer: Timer | undefined;
  #isDispatchDue = false;
  #isAlive = false;

  #ids = 0;
  #threadIds = 0;
  #outstanding = 0;
  readonly #counts = new WorkersCounts();

  constructor(settings: WorkersSettings, open: OpenThread) {
    this.#settings = { ...settings, open };
    this.name = settings.name;
    this.#backoff = new PoolBackoff(settings.clock, settings.restartBackoff, () => this.#dispatch());
    if (settings.warmUp) this.#grow();
  }

  get stats(): WorkersStats {
    return this.#counts.stats(this.#threads, this.#outstanding, this.#queue.size);
  }

  call(name: string, args: readonly unknown[], options?: CallOptions): Promise<unknown> {
    try {
      return this.#submit(name, args, options).result;
    } catch (error) {
      return Promise.reject(error); // never thrown: whoever calls gets a promise
    }
  }

  close({ timeout = Number.POSITIVE_INFINITY }: { readonly timeout?: number | undefined } = {}): Promise<void> {
    checkDuration("close workers", "timeout", timeout);
    this.#closed ??= Promise.withResolvers();
    this.#closeTimer?.clear();
    this.#closeTimer = this.#settings.clock.setTimeout(() => this.#closeNow(), timeout);
    this.#dispatch();
    return this.#closed.promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #submit(name: string, args: readonly unknown[], options: CallOptions | undefined): Job {
    if (this.#closed !== undefined) throw new ClosedError(this.name);
    const caller = currentNode();
    const context = options === undefined ? caller : contextOf(options, caller);
    if (context.cancelled) throw context.cause;
    const { maxQueue, inFlight, max } = this.#settings;
    if (this.#outstanding >= maxQueue + inFlight * max) throw new QueueFullError(this.name, maxQueue);
    const isOwn = context !== caller && context !== options?.signal; // made here
    const job = new Job(this, this.#ids++, name, args, transferOf(options), context, isOwn);
    this.#outstanding++;
    this.#queue.push(job);
    this.#dispatchSoon();
    return job;
  }

  onSettled(): void {
    this.#outstanding--;
    // There may be room, the process may end, or the pool be closed.
    if (this.#outstanding === 0 || this.#queue.size > 0) this.#dispatchSoon();
  }

  onCancelled(job: Job): void {
    if (job.thread === undefined) {
      this.#queue.remove(job);
      return;
    }
    job.thread.cancel(job);
    this.#dispatchSoon(); // those behind it may go to another thread
  }

  onReady(): void {
    this.#dispatchSoon();
  }

  onAnswers(thread: Thread): void {
    this.#counts.measure(thread);
    this.#dispatchSoon();
  }

  onStuck(thread: Thread): void {
    this.#retire(thread);
    thread.terminate();
    this.#dispatch();
  }

  onGone(thread: Thread, unstarted: readonly Job[]): void {
    const wasExpected = this.#ending.delete(thread);
    if (thread.error !== undefined) this.lastError = thread.error;
    for (const job of unstarted) this.#queue.restore(job);
    if (!wasExpected) {
      this.#threads.splice(this.#threads.indexOf(thread), 1);
      this.#fail(thread);
    }
    this.#dispatch();
  }

  /** A thread ended that nobody told to: the next one comes after a pause, longer each time. */
  #fail(thread: Thread): void {
    this.#counts.crashes++;
    if (this.#settings.clock.now() - thread.readyAt >= wellMs) this.#backoff.succeed(); // it had been well for long
    if (!this.#backoff.isPaused) this.#backoff.fail();
    if (thread.readyAt !== Number.POSITIVE_INFINITY || this.#threads.length > 0) return;
    // Nobody knows whether a thread can start at all, so those who wait are told, instead of waiting for ever.
    const { error } = thread;
    this.#refuse(() => new WorkerStartError(this.name, error === undefined ? undefined : { cause: error }));
  }

  #refuse(make: () => unknown): void {
    for (let job = this.#queue.first; job !== undefined; job = this.#queue.first) {
      this.#queue.remove(job);
      job.fail(make);
    }
  }

  /** All calls of one turn, and those that follow from the results of one batch, go out together. */
  #dispatchSoon(): void {
    if (this.#isDispatchDue) return;
    this.#isDispatchDue = true;
    process.nextTick(this.#dispatchDue);
  }

  readonly #dispatchDue = (): void => {
    this.#isDispatchDue = false;
    this.#dispatch();
  };

  #dispatch(): void {
    this.#grow();
    for (let job = this.#queue.first; job !== undefined; job = this.#queue.first) {
      const thread = leastLoaded(this.#threads);
      if (thread === undefined) break;
      this.#queue.remove(job);
      thread.give(job);
    }
    if (this.#queue.size === 0) this.#steal();
    for (const thread of this.#threads) thread.flush();
    this.#keepAlive();
    if (this.#closed !== undefined && this.#outstanding === 0) this.#finish(this.#closed);
  }

  /** Starts threads while there are fewer than needed. */
  #grow(): void {
    const { min, max, growAbove, warmUp } = this.#settings;
    if (this.#closed !== undefined && this.#outstanding === 0) return;
    while (this.#threads.length < max && !this.#backoff.isPaused) {
      const count = this.#threads.length;
      const isNeeded = this.#outstanding > (count === 0 ? 0 : count * growAbove);
      const isMissing = count < min && (warmUp || this.#outstanding > 0);
      if (!isNeeded && !isMissing) break;
      this.#open();
    }
    if (this.#threads.length > min) this.#sweepLater();
  }

  #open(): void {
    try {
      const name = `${this.name} ${++this.#threadIds}`;
      const thread = outside(() => new Thread(this.#settings, this, name));
      if (this.#isAlive) thread.setAlive(true);
      this.#threads.push(thread);
    } catch (cause) {
      // The platform refuses: `data` that cannot be copied, flags that it does not know, no memory.
      this.lastError = cause;
      this.#backoff.fail();
      if (this.#threads.length === 0) this.#refuse(() => new WorkerStartError(this.name, { cause }));
    }
  }

  /** A thread that could begin with more takes over what others hold and have not begun with: half of it, the oldest first. */
  #steal(): void {
    for (const thief of this.#threads) {
      while (thief.isIdle) {
        const jobs = takeBack(this.#threads);
        if (jobs.length === 0) return;
        this.#counts.stolen += jobs.length;
        for (const job of jobs) {
          if (thief.hasRoom) thief.give(job);
          else this.#queue.restore(job);
        }
      }
    }
  }

  /** Threads keep the process alive while somebody waits for one, and no longer. */
  #keepAlive(): void {
    const isAlive = this.#outstanding > 0 || this.#closed !== undefined;
    if (isAlive && this.#threads.length === 0) this.#backoff.keepAlive();
    if (isAlive === this.#isAlive) return;
    this.#isAlive = isAlive;
    for (const thread of this.#threads) thread.setAlive(isAlive);
  }

  /** From now on it is given nothing. */
  #retire(thread: Thread): void {
    const index = this.#threads.indexOf(thread);
    if (index >= 0) this.#threads.splice(index, 1);
    this.#ending.add(thread);
  }

  #sweepLater(): void {
    const { clock, idle } = this.#settings;
    if (this.#sweepTimer !== undefined || idle === Number.POSITIVE_INFINITY) return;
    for (const thread of this.#threads) thread.isTouched = thread.held > 0;
    const sweep = () => {
      this.#sweepTimer = undefined;
      this.#sweep();
    };
    this.#sweepTimer = outside(() => clock.setTimeout(sweep, idle));
  }

  /** Ends threads that had nothing to do for a whole period, the newest first. */
  #sweep(): void {
    for (const thread of this.#threads.toReversed()) {
      if (this.#threads.length <= this.#settings.min) break;
      if (thread.isTouched || thread.state !== "ready" || thread.held > 0) continue;
      this.#retire(thread);
      thread.stop();
    }
    if (this.#threads.length > this.#settings.min) this.#sweepLater();
  }

  /** Nobody waits any more: all threads may go, and then it is closed. */
  #finish(closed: PromiseWithResolvers<void>): void {
    this.#backoff.stop();
    this.#sweepTimer?.clear();
    for (const thread of this.#threads.toReversed()) {
      this.#retire(thread);
      thread.stop();
    }
    for (const thread of this.#ending) thread.setAlive(true); // somebody waits for their end
    if (this.#ending.size > 0) return;
    this.#closeTimer?.clear();
    closed.resolve();
  }

  /** Time is up: whoever waits is told, and threads end wherever they are. */
  #closeNow(): void {
    const make = () => new ClosedError(this.name);
    this.#refuse(make);
    const all = [...this.#threads, ...this.#ending];
    for (const thread of all) for (const job of thread.jobs) job.fail(make);
    for (const thread of all) {
      if (!this.#ending.has(thread)) this.#retire(thread);
      thread.terminate();
    }
    this.#dispatch();
  }
}

function contextOf(options: CallOptions, caller: ContextNode): ContextNode {
  const { signal, timeout } = options;
  if (timeout !== undefined) return derive({ signal, timeout }, action);
  return signal === undefined ? caller : contextFor(action, signal);
}

function transferOf(options: CallOptions | undefined): readonly Transferable[] | undefined {
  const transfer = options?.transfer;
  if (transfer === undefined || Array.isArray(transfer)) return transfer;
  throw new TypeError(`Cannot ${action}: transfer must be an array, got ${describe(transfer)}`);
}
