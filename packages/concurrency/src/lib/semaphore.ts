// A counting semaphore: fair, weighted, resizable, and every wait can be given up.
import { currentNode, runIn } from "./ambient.ts";
import { checkCount, checkDuration, describe } from "./check.ts";
import { type Clock, systemClock } from "./clock.ts";
import { ClosedError } from "./closed-error.ts";
import type { Task } from "./context.ts";
import type { ContextNode } from "./context-node.ts";
import { contextFor } from "./derive.ts";
import { HeldPermit, type Permit } from "./permit.ts";
import { QueueFullError } from "./queue-full-error.ts";
import { ReentryGuard } from "./reentry.ts";
import { type ComponentStats, register } from "./registry.ts";
import { kindOf } from "./registry-kind.ts";
import { tellWait } from "./registry-waits.ts";
import type { AcquireOptions, SemaphoreOptions, TryAcquireOptions } from "./semaphore-options.ts";
import { TimeoutError } from "./timeout-error.ts";
import { Waiter, WaitQueue } from "./wait-queue.ts";

/**
 * Lets at most `permits` pieces of work go on at a time.
 *
 * **Order**: by priority, then by arrival. The first in line waits until its whole weight is free and nobody overtakes
 * it, so a heavy caller does not starve. **Abort**: a caller whose signal or context ends leaves the line in the same
 * turn and rejects with that reason, untouched; once it has its permits, the work decides. **Context**: the work runs
 * in the context and the `AsyncLocalStorage` frames of the caller of `run`, however long it waited.
 *
 * @example
 * ```ts
 * import { Semaphore } from "@proj/concurrency";
 *
 * const connections = new Semaphore(10, { name: "connections", maxQueue: 1_000 });
 *
 * const body = await connections.run(async () => "work with a connection", { timeout: 5_000 });
 *
 * {
 *   using permit = await connections.acquire({ weight: 3 }); // three of the ten, until the end of this block
 *   console.log(body, connections.free); // prints: work with a connection 7
 * }
 * ```
 */
export class Semaphore implements AsyncDisposable {
  /** As in its messages. */
  readonly name: string;
  readonly #kind: string;
  readonly #maxQueue: number;
  readonly #clock: Clock;
  readonly #queue = new WaitQueue(() => this.#serve());
  readonly #guard: ReentryGuard | undefined;
  #permits: number;
  #largest: number;
  #held = 0;
  #closed: PromiseWithResolvers<void> | undefined;

  /** @throws RangeError or TypeError for a count that is none. `permits` may be 0: nobody passes until a `resize`. */
  constructor(permits: number, options: SemaphoreOptions = {}) {
    const action = "create a Semaphore";
    const kind = kindOf(options, "semaphore");
    const { name = kind, maxQueue = Number.POSITIVE_INFINITY, reentry, clock = systemClock } = options;
    this.name = name;
    this.#kind = kind;
    this.#permits = checkCount(action, "permits", permits, 0, true);
    this.#largest = permits;
    this.#maxQueue = checkCount(action, "maxQueue", maxQueue, 0, true);
    this.#clock = clock;
    this.#guard = ReentryGuard.for(action, name, reentry);
    if (options.name !== undefined) register(kind, name, this, statsOf);
  }

  /** How many permits there are, held or free. */
  get permits(): number {
    return this.#permits;
  }

  /** How many permits nobody holds. Never below zero, even when `resize` left fewer than are held. */
  get free(): number {
    return Math.max(0, this.#permits - this.#held);
  }

  /** How many permits are held. */
  get held(): number {
    return this.#held;
  }

  /** How many callers wait. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Takes permits if they are free and nobody waits in line for them, else returns `undefined`. Never waits. */
  tryAcquire(options: TryAcquireOptions = {}): Permit | undefined {
    const weight = this.#checkWeight(options.weight ?? 1);
    if (this.#closed !== undefined || !this.#isFreeFor(weight)) return undefined;
    this.#held += weight;
    return new HeldPermit(this.#release, weight);
  }

  /**
   * Waits for permits. They are held until the result is released or disposed.
   *
   * @throws the reason of the signal or context · TimeoutError · QueueFullError · ClosedError · RangeError if `weight`
   * is more than this semaphore has ever had
   */
  acquire(options?: AcquireOptions): Promise<Permit> {
    if (options !== undefined || this.#closed !== undefined || !this.#isFreeFor(1) || currentNode().cancelled) {
      return this.#acquireLater(options ?? {});
    }
    this.#held++;
    return Promise.resolve(new HeldPermit(this.#release, 1));
  }

  async #acquireLater(options: AcquireOptions): Promise<Permit> {
    const context = contextFor("acquire a permit", options.signal);
    const weight = this.#checkWeight(options.weight ?? 1);
    const waiter = this.#enter(context, weight, options);
    if (waiter !== undefined) {
      const failure = await waiter.outcome;
      if (failure !== undefined) throw failure();
      if (context.cancelled) {
        this.#release(weight); // it ended before its caller knew of the permit
        throw context.cause;
      }
    }
    return new HeldPermit(this.#release, weight);
  }

  /**
   * Calls the task once it has permits, and gives them back when it is done. Rejects as {@link Semaphore.acquire} does,
   * and with whatever the task throws. The task gets its context, which is also the current one: that of the caller,
   * or the one passed as `signal`; for an `AbortSignal` a new one that ends with the signal or with the task.
   */
  run<T>(task: Task<T>, options?: AcquireOptions): Promise<T> {
    if (options !== undefined || this.#guard !== undefined) return this.#runWith(task, options ?? {});
    // Without options nothing can change between the caller's context and the task's: no frame, no context is made.
    const context = currentNode();
    return this.#isFreeFor(1) && this.#closed === undefined && !context.cancelled
      ? this.#runNow(task, context)
      : this.#runLater(task, context);
  }

  /** No async function, which would cost as much again. Stack traces pass through `then` on their way to the caller. */
  #runNow<T>(task: Task<T>, context: ContextNode): Promise<T> {
    this.#held++;
    try {
      // As `await` does it: a promise with a `then` of its own could call back twice.
      return then.call(Promise.resolve(task(context)), this.#onDone, this.#onFailed) as Promise<T>;
    } catch (error) {
      this.#release(1);
      return Promise.reject(error);
    }
  }

  readonly #onDone = <T>(value: T): T => {
    this.#release(1);
    return value;
  };

  readonly #onFailed = (error: unknown): never => {
    this.#release(1);
    throw error;
  };

  async #runLater<T>(task: Task<T>, context: ContextNode): Promise<T> {
    const waiter = this.#enter(context, 1);
    if (waiter !== undefined) {
      const failure = await waiter.outcome;
      if (failure !== undefined) throw failure();
    }
    try {
      context.throwIfCancelled(); // it may have ended since the permit was given
      return await task(context);
    } finally {
      this.#release(1);
    }
  }

  async #runWith<T>(task: Task<T>, options: AcquireOptions): Promise<T> {
    const caller = currentNode();
    const outer = contextFor("run a task", options.signal);
    const weight = this.#checkWeight(options.weight ?? 1);
    const waiter = this.#enter(outer, weight, options);
    if (waiter !== undefined) {
      const failure = await waiter.outcome;
      if (failure !== undefined) throw failure();
    }
    const hold = this.#guard?.hold(outer, weight);
    try {
      outer.throwIfCancelled();
      const context = hold?.context ?? outer;
      return await (context === caller ? task(context) : runIn(context, task, context));
    } finally {
      hold?.release();
      this.#release(weight);
      if (outer !== caller && outer !== options.signal) outer.cancel(); // made here for an AbortSignal
    }
  }

  /**
   * Changes the number of permits, at once for those who wait. Permits that are held stay valid: with fewer permits than
   * that, nobody passes until enough have come back. 0 pauses.
   */
  resize(permits: number): void {
    this.#permits = checkCount("resize a Semaphore", "permits", permits, 0, true);
    this.#largest = Math.max(this.#largest, permits);
    this.#serve();
  }

  /**
   * Rejects everybody who waits, and everybody who comes later, with a `ClosedError`; resolves when all permits have
   * come back. The work that holds them goes on.
   */
  close(): Promise<void> {
    if (this.#closed === undefined) {
      this.#closed = Promise.withResolvers();
      for (let head = this.#queue.head; head !== undefined; head = this.#queue.head) head.dismiss(this.#closedFailure);
      if (this.#held === 0) this.#closed.resolve();
    }
    return this.#closed.promise;
  }

  /** The same as {@link Semaphore.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Takes the permits at once, or gets in line. */
  #enter(context: ContextNode, weight: number, options?: AcquireOptions): Waiter | undefined {
    if (this.#closed !== undefined) throw this.#closedFailure();
    if (context.cancelled) throw context.cause;
    const priority = options?.priority ?? 0;
    const timeout = options?.timeout;
    if (options !== undefined) this.#checkWait(priority, timeout);
    if (this.#isFreeFor(weight, priority)) {
      this.#held += weight;
      return undefined;
    }
    if (timeout === 0) throw this.#timeoutError(timeout);
    if (this.#queue.size >= this.#maxQueue) throw new QueueFullError(this.name, this.#maxQueue);
    const waiter = new Waiter(this.#queue, weight, priority);
    this.#guard?.wait(context, waiter, this.#permits);
    this.#queue.push(waiter);
    waiter.leaveWith(context);
    if (timeout !== undefined) waiter.leaveAfter(this.#clock, timeout, () => this.#timeoutError(timeout));
    tellWait(this.#kind, this.name, this.#clock, waiter);
    return waiter;
  }

  /** Bound, so that a permit needs no closure. */
  readonly #release = (weight: number): void => {
    this.#held -= weight;
    if (this.#queue.size > 0) this.#serve();
    else if (this.#closed !== undefined && this.#held === 0) this.#closed.resolve();
  };

  /** Permits go from hand to hand: they are taken for the first in line here, before a newcomer can see them free. */
  #serve(): void {
    for (let head = this.#queue.head; head !== undefined; head = this.#queue.head) {
      if (this.#held + head.weight > this.#permits) return;
      this.#held += head.weight;
      this.#queue.remove(head);
      head.serve();
    }
  }

  /** Whether a newcomer can pass at once: the permits are there, and nobody who comes first waits. */
  #isFreeFor(weight: number, priority = 0): boolean {
    if (this.#held + weight > this.#permits) return false;
    const head = this.#queue.head;
    return head === undefined || head.priority < priority;
  }

  #checkWeight(weight: number): number {
    if (weight === 1) return weight;
    checkCount("acquire a permit", "weight", weight, 1);
    if (weight <= this.#largest) return weight;
    throw new RangeError(
      `Cannot acquire a permit: weight must be at most the ${this.#largest} permits of ${this.name}, got ${weight}`,
    );
  }

  #checkWait(priority: number, timeout: number | undefined): void {
    if (typeof priority !== "number" || Number.isNaN(priority)) {
      throw new TypeError(`Cannot acquire a permit: priority must be a number, got ${describe(priority)}`);
    }
    if (timeout !== undefined) checkDuration("acquire a permit", "timeout", timeout);
  }

  #timeoutError(timeout: number): TimeoutError {
    return new TimeoutError(`Cannot acquire a permit of ${this.name}: none was free within ${timeout} ms`, timeout);
  }

  readonly #closedFailure = (): ClosedError => new ClosedError(this.name);
}

const { then } = Promise.prototype;

function statsOf({ permits, held, waiting }: Semaphore): ComponentStats {
  return { permits, held, waiting };
}
