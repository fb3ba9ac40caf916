// The common surface of p-queue over a Semaphore.
import { checkCount, checkDuration, describe } from "./check.ts";
import { type Clock, systemClock, type Timer } from "./clock.ts";
import { keepingAlive } from "./compat-clock.ts";
import { PQueueEmitter } from "./compat-p-queue-events.ts";
import type { PQueueAddOptions, PQueueOptions, PQueueTask } from "./compat-p-queue-options.ts";
import { PendingCalls } from "./compat-pending.ts";
import type { Context } from "./context.ts";
import type { ContextNode } from "./context-node.ts";
import { derive } from "./derive.ts";
import { asKind } from "./registry-kind.ts";
import { Semaphore } from "./semaphore.ts";
import { until } from "./until.ts";

/**
 * The surface of p-queue that most code uses, for code that moves over one import at a time, with the events of version
 * 10 (`addEventListener`) and of those before (`on`). Left out are queue classes, the sliding window (`strict`), changing
 * a priority, and the events `rateLimit`, `rateLimitCleared` and `pendingZero`. Events that are told in one turn may
 * come in another order.
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
export class PQueue extends PQueueEmitter {
  readonly #semaphore: Semaphore;
  readonly #waiting = new PendingCalls();
  readonly #watchers = new Set<Watcher>();
  readonly #clock: Clock;
  readonly #intervalCap: number;
  readonly #interval: number;
  readonly #timeout: number | undefined;
  /** Those that were sent away by `clear`, which has told of it. */
  readonly #cleared = new WeakSet<ContextNode>();
  #concurrency: number;
  #isPaused: boolean;
  #finished = 0;
  /** Tasks that have started, and of whose end has not been told yet. */
  #active = 0;
  /** How many had been let in when the interval began. */
  #before = 0;
  #intervalTimer: Timer | undefined;

  /** @throws TypeError or RangeError for an option that is none */
  constructor(options: PQueueOptions = {}) {
    super();
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
    this.#letIn();
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
    this.#letIn();
    return this;
  }

  /** Rejects all tasks that wait with an `AbortError`, which is no unhandled rejection if nobody handles it. */
  clear(): void {
    const cleared = this.#waiting.clear(true);
    for (const context of cleared) this.#cleared.add(context);
    if (cleared.length > 0) this.#tellNext();
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
    const isAdded = !context.cancelled;
    let isStarted = false;
    if (isAdded) this.emit("add");
    const start = (own: Context): Promise<T> => {
      isStarted = true;
      this.#active++;
      this.#waiting.delete(context);
      this.#notify();
      const result = isRaced ? this.#race(task, own, timeout) : this.#call(task, own);
      this.emit("active");
      return result;
    };
    try {
      const running = this.#semaphore.run(start, { signal: context, priority });
      this.#openInterval();
      return await running;
    } finally {
      this.#waiting.delete(context);
      if (isStarted) this.#active--;
      if (isAdded && !this.#cleared.has(context)) this.#tellNext();
      context.cancel(); // lets go of a signal that lives longer
      this.#notify();
    }
  }

  /** Gives the place free before the task has ended, if its time or its signal has. */
  async #race<T>(task: PQueueTask<T>, own: Context, timeout: number | undefined): Promise<T> {
    using context = derive({ parent: own, timeout, clock: this.#clock });
    return await this.#outcomeOf(until(context, call(task, context)));
  }

  async #call<T>(task: PQueueTask<T>, context: Context): Promise<T> {
    return await this.#outcomeOf(call(task, context));
  }

  async #outcomeOf<T>(running: Promise<T>): Promise<T> {
    try {
      const result = await running;
      this.emit("completed", result);
      return result;
    } catch (error) {
      this.emit("error", error);
      throw error;
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

  /** More may be let in now. */
  #letIn(): void {
    const before = this.size;
    this.#update();
    if (before > 0 && this.size === 0) this.emit("empty");
  }

  /** One has ended or has left the line. */
  #tellNext(): void {
    if (this.size === 0) this.emit("empty");
    if (this.size === 0 && this.pending === 0 && this.#active === 0) this.emit("idle");
    this.emit("next");
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
