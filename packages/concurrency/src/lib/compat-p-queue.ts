// The common surface of p-queue over a Semaphore.
import { checkCount, checkDuration, describe } from "./check.ts";
import { type Clock, systemClock, type Timer } from "./clock.ts";
import { keepingAlive } from "./compat-clock.ts";
import { PendingCalls } from "./compat-pending.ts";
import type { Context } from "./context.ts";
import type { ContextNode } from "./context-node.ts";
import { derive } from "./derive.ts";
import { asKind } from "./registry-kind.ts";
import { Semaphore } from "./semaphore.ts";
import { until } from "./until.ts";

/** How many tasks a {@link PQueue} runs, and how fast. */
export interface PQueueOptions {
  /** How many tasks may run at a time. Default: `Infinity`. */
  readonly concurrency?: number | undefined;
  /** Whether tasks start before `start` is called. Default: `true`. */
  readonly autoStart?: boolean | undefined;
  /** How many tasks may start in an interval. Default: `Infinity`. */
  readonly intervalCap?: number | undefined;
  /** Milliseconds of an interval, which begins with the first start after a rest. Default: 0, no limit. */
  readonly interval?: number | undefined;
  /** Milliseconds that a task may take, from its start, before a `TimeoutError`. Default: no limit. */
  readonly timeout?: number | undefined;
  /** Measures `interval` and `timeout`. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** How one task stands in the line. */
export interface PQueueAddOptions {
  /** Higher goes first; equal ones in order of arrival. Default: 0. */
  readonly priority?: number | undefined;
  /** Takes the task out of the line or, once it runs, gives its place free, and rejects with the reason. */
  readonly signal?: AbortSignal | Context | undefined;
  /** Instead of the queue's. */
  readonly timeout?: number | undefined;
}

/** A task of a {@link PQueue}. Its `signal` aborts with its time or with the one given to `add`. */
export type PQueueTask<T> = (options: { readonly signal: AbortSignal }) => T | PromiseLike<T>;

/**
 * The surface of p-queue 10 that most code uses, for code that moves over one import at a time. Left out are its events,
 * queue classes, the sliding window (`strict`) and changing a priority.
 *
 * A task that times out or is aborted gives its place free, though it may go on if it does not look at its signal. Tasks
 * run in the context and the `AsyncLocalStorage` frames of their `add`.
 *
 * @example
 * ```ts
 * import { PQueue } from "@proj/concurrency/compat";
 *
 * const queue = new PQueue({ concurrency: 1 });
 * const results = queue.addAll([async () => "one", async () => "two"]);
 * console.log(queue.size, queue.pending); // prints: 1 1
 * await queue.onIdle();
 * console.log(await results); // prints: [ 'one', 'two' ]
 * ```
 */
export class PQueue {
  readonly #semaphore: Semaphore;
  readonly #waiting = new PendingCalls();
  readonly #watchers = new Set<Watcher>();
  readonly #clock: Clock;
  readonly #intervalCap: number;
  readonly #interval: number;
  readonly #timeout: number | undefined;
  #concurrency: number;
  #isPaused: boolean;
  #finished = 0;
  /** How many had been let in when the interval began. */
  #before = 0;
  #intervalTimer: Timer | undefined;

  /** @throws TypeError or RangeError for an option that is none */
  constructor(options: PQueueOptions = {}) {
    const action = "create a PQueue";
    const never = Number.POSITIVE_INFINITY;
    const { concurrency = never, autoStart = true, intervalCap = never, interval = 0, timeout } = options;
    this.#concurrency = checkCount(action, "concurrency", concurrency, 1, true);
    this.#interval = checkDuration(action, "interval", interval);
    this.#intervalCap = interval === 0 ? never : checkCount(action, "intervalCap", intervalCap, 1, true);
    if (timeout !== undefined) checkDuration(action, "timeout", timeout);
    this.#timeout = timeout;
    this.#clock = keepingAlive(options.clock ?? systemClock);
    this.#isPaused = !autoStart;
    this.#semaphore = new Semaphore(this.#permits, asKind("PQueue", {}));
  }

  /** How many tasks wait. */
  get size(): number {
    return this.#semaphore.waiting;
  }

  /** How many tasks run. */
  get pending(): number {
    return this.#semaphore.held;
  }

  /** Whether no task starts before `start` is called. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** How many tasks may run at a time, from now on. */
  get concurrency(): number {
    return this.#concurrency;
  }

  set concurrency(value: number) {
    this.#concurrency = checkCount("set up a PQueue", "concurrency", value, 1, true);
    this.#update();
  }

  /**
   * Calls the task when its turn has come, at once if that is now, and gives its result.
   *
   * @throws what the task throws · the signal's reason · TimeoutError · an `AbortError` if it was cleared away
   */
  add<T>(task: PQueueTask<T>, options: PQueueAddOptions = {}): Promise<T> {
    if (typeof task !== "function") {
      return Promise.reject(new TypeError(`Cannot add to a PQueue: task must be a function, got ${describe(task)}`));
    }
    const ticket: Ticket = { context: undefined };
    const call = this.#run(task, options, ticket);
    if (ticket.context !== undefined) this.#waiting.keep(ticket.context, call);
    return call;
  }

  /** Adds each task; gives all results in order, or the first failure. */
  async addAll<T>(tasks: Iterable<PQueueTask<T>>, options?: PQueueAddOptions): Promise<T[]> {
    return await Promise.all(Array.from(tasks, (task) => this.add(task, options)));
  }

  /** Lets no further task start. Those that run go on. */
  pause(): void {
    this.#isPaused = true;
    this.#update();
  }

  /** Lets tasks start again. */
  start(): this {
    this.#isPaused = false;
    this.#update();
    return this;
  }

  /** Rejects all tasks that wait with an `AbortError`, which is no unhandled rejection if nobody handles it. */
  clear(): void {
    this.#waiting.clear(true);
    this.#notify();
  }

  /** Resolves when no task waits. */
  onEmpty(): Promise<void> {
    return this.#when(() => this.size === 0);
  }

  /** Resolves when no task waits and none runs. */
  onIdle(): Promise<void> {
    return this.#when(() => this.size === 0 && this.pending === 0);
  }

  /** Resolves when fewer than `limit` tasks wait. */
  onSizeLessThan(limit: number): Promise<void> {
    return this.#when(() => this.size < limit);
  }

  async #run<T>(task: PQueueTask<T>, options: PQueueAddOptions, ticket: Ticket): Promise<T> {
    const { priority, signal, timeout = this.#timeout } = options;
    if (timeout !== undefined) checkDuration("add to a PQueue", "timeout", timeout);
    const isRaced = signal !== undefined || timeout !== undefined;
    const context = derive({ signal }, "add to a PQueue");
    ticket.context = context;
    this.#waiting.add(context);
    const start = (own: Context): Promise<T> => {
      this.#waiting.delete(context);
      this.#notify();
      return isRaced ? this.#race(task, own, timeout) : this.#call(task, own);
    };
    try {
      const running = this.#semaphore.run(start, { signal: context, priority });
      this.#openInterval();
      return await running;
    } finally {
      this.#waiting.delete(context);
      context.cancel(); // lets go of a signal that lives longer
      this.#notify();
    }
  }

  /** Gives the place free before the task has ended, if its time or its signal has. */
  async #race<T>(task: PQueueTask<T>, own: Context, timeout: number | undefined): Promise<T> {
    using context = derive({ parent: own, timeout, clock: this.#clock });
    try {
      return await until(context, call(task, context));
    } finally {
      this.#finish();
    }
  }

  async #call<T>(task: PQueueTask<T>, context: Context): Promise<T> {
    try {
      return await call(task, context);
    } finally {
      this.#finish();
    }
  }

  /** One task less, before its permit comes back: whether that lets another one in depends on the interval. */
  #finish(): void {
    this.#finished++;
    if (this.#intervalCap !== Number.POSITIVE_INFINITY) this.#update();
  }

  /** How many may be in, those included that came before this interval. */
  get #permits(): number {
    if (this.#isPaused) return 0;
    return Math.min(this.#concurrency, this.#intervalCap + this.#before - this.#finished);
  }

  #update(): void {
    this.#semaphore.resize(this.#permits);
    this.#openInterval();
  }

  /** An interval begins when a task is let in, and goes on while something is left. */
  #openInterval(): void {
    if (this.#intervalCap === Number.POSITIVE_INFINITY || this.pending === 0) return;
    this.#intervalTimer ??= this.#clock.setTimeout((queue) => queue.#nextInterval(), this.#interval, this as PQueue);
  }

  #nextInterval(): void {
    this.#intervalTimer = undefined;
    this.#before = this.#finished + this.pending;
    this.#update();
  }

  async #when(holds: () => boolean): Promise<void> {
    if (holds()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#watchers.add({ holds, resolve });
    await promise;
  }

  #notify(): void {
    for (const watcher of this.#watchers) {
      if (!watcher.holds()) continue;
      this.#watchers.delete(watcher);
      watcher.resolve();
    }
  }
}

async function call<T>(task: PQueueTask<T>, context: Context): Promise<T> {
  return await task({
    // Only a task that asks for its signal costs one.
    get signal() {
      return context.signal;
    },
  });
}

/** Tells `add` the context that its call waits in. */
interface Ticket {
  context: ContextNode | undefined;
}

/** Somebody who waits until something holds. */
interface Watcher {
  readonly holds: () => boolean;
  readonly resolve: () => void;
}
