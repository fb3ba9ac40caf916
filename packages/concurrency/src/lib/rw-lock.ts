// Many readers or one writer, in the order in which they came.
import { currentNode } from "./ambient.ts";
import type { Task } from "./context.ts";
import { contextFor } from "./derive.ts";
import type { LockOptions, MutexOptions } from "./mutex.ts";
import type { Permit } from "./permit.ts";
import { type ComponentStats, register } from "./registry.ts";
import { asKind } from "./registry-kind.ts";
import { type LockMode, LockReentryGuard } from "./rw-lock-reentry.ts";
import { Semaphore } from "./semaphore.ts";
import type { SemaphoreOptions } from "./semaphore-options.ts";

/** How a {@link RwLock} behaves. */
export interface RwLockOptions extends Omit<MutexOptions, "reentry"> {
  /**
   * What happens when a task within `read` or `write` waits for the lock that it holds itself: a warning once per lock, a
   * `ReentryError` for the caller, or nothing. A reader that wants to write is refused with a `LockUpgradeError` in both
   * of the first cases. Default: `"warn"`, and `"ignore"` if `NODE_ENV` is `"production"`, where the bookkeeping is saved.
   */
  readonly reentry?: MutexOptions["reentry"];
}

/** How to wait for one side of a read-write lock. */
export type RwLockWaitOptions = Omit<LockOptions, "priority">;

/**
 * Lets many readers in at a time, or one writer.
 *
 * **Order**: by arrival, where readers that stand next to each other go in together. A reader that comes while a writer
 * waits stands behind it, so readers cannot starve a writer; those that have come before the next writer go before it,
 * so writers cannot starve readers. **Abort**: a caller whose signal or context ends leaves the line in the same turn and
 * rejects with that reason, untouched; readers that stood behind a writer who has left go in at once. **Context**: as for
 * {@link Semaphore.run}. It is not re-entrant, and a reader cannot become a writer: two who tried would wait for each
 * other.
 *
 * @example
 * ```ts
 * import { RwLock } from "@proj/concurrency";
 *
 * const lock = new RwLock({ name: "prices" });
 * const prices = new Map([["apple", 1]]);
 *
 * const read = (name: string) => lock.read(() => prices.get(name));
 * await Promise.all([read("apple"), lock.write(async () => void prices.set("apple", 2))]);
 * console.log(await read("apple")); // prints: 2
 *
 * using guard = await lock.acquireRead(); // until the end of this block
 * console.log(lock.readers, lock.writing); // prints: 1 false
 * ```
 */
export class RwLock {
  readonly #semaphore: Semaphore;
  readonly #guard: LockReentryGuard | undefined;

  /** @throws TypeError or RangeError for an option that is none */
  constructor(options: RwLockOptions = {}) {
    const { name = "rw-lock", reentry, ...rest } = options;
    // Listed below, with its own stats; the semaphore only calls itself by the name.
    const unlisted: SemaphoreOptions = { ...rest, name: undefined, reentry: "ignore" };
    this.#semaphore = new Semaphore(everything, asKind(name, unlisted));
    this.#guard = LockReentryGuard.for(name, reentry);
    if (options.name !== undefined) register("rw-lock", name, this, statsOf);
  }

  /** As in the options; `"rw-lock"` without one. */
  get name(): string {
    return this.#semaphore.name;
  }

  /** How many readers are in. */
  get readers(): number {
    return this.writing ? 0 : this.#semaphore.held;
  }

  /** Whether a writer is in. */
  get writing(): boolean {
    return this.#semaphore.held === everything;
  }

  /** How many callers wait. */
  get waiting(): number {
    return this.#semaphore.waiting;
  }

  /** Calls the task together with other readers. Rejects as {@link RwLock.acquireRead} does, and as the task does. */
  read<T>(task: Task<T>, options?: RwLockWaitOptions): Promise<T> {
    return this.#run("read", task, options);
  }

  /** Calls the task while nobody else is in. Rejects as {@link RwLock.acquireWrite} does, and as the task does. */
  write<T>(task: Task<T>, options?: RwLockWaitOptions): Promise<T> {
    return this.#run("write", task, options);
  }

  /**
   * Waits until it may read. The lock is held until the result is released or disposed.
   *
   * @throws the reason of the signal or context · TimeoutError · QueueFullError · ReentryError
   */
  acquireRead(options?: RwLockWaitOptions): Promise<Permit> {
    return this.#acquire("read", options);
  }

  /**
   * Waits until it may write. The lock is held until the result is released or disposed.
   *
   * @throws the reason of the signal or context · TimeoutError · QueueFullError · ReentryError · LockUpgradeError
   */
  acquireWrite(options?: RwLockWaitOptions): Promise<Permit> {
    return this.#acquire("write", options);
  }

  /** Reads if no writer is in and nobody waits, else returns `undefined`. Never waits. */
  tryAcquireRead(): Permit | undefined {
    return this.#semaphore.tryAcquire();
  }

  /** Writes if nobody is in, else returns `undefined`. Never waits. */
  tryAcquireWrite(): Permit | undefined {
    return this.#semaphore.tryAcquire({ weight: everything });
  }

  async #acquire(mode: LockMode, options?: RwLockWaitOptions): Promise<Permit> {
    const weight = weights[mode];
    if (this.#hasToWait(weight)) this.#guard?.check(contextFor(`${mode} under ${this.name}`, options?.signal), mode);
    return await this.#semaphore.acquire({ ...options, weight });
  }

  async #run<T>(mode: LockMode, task: Task<T>, options?: RwLockWaitOptions): Promise<T> {
    const weight = weights[mode];
    if (this.#guard === undefined) return await this.#semaphore.run(task, { ...options, weight });
    const outer = contextFor(`${mode} under ${this.name}`, options?.signal);
    if (this.#hasToWait(weight)) this.#guard.check(outer, mode);
    const { hold, context } = this.#guard.enter(outer, mode);
    try {
      return await this.#semaphore.run(task, { ...options, weight, signal: context });
    } finally {
      hold.isReleased = true;
      if (outer !== options?.signal && outer !== currentNode()) outer.cancel(); // made here for an AbortSignal
    }
  }

  #hasToWait(weight: number): boolean {
    return this.#semaphore.waiting > 0 || this.#semaphore.free < weight;
  }
}

function statsOf({ readers, writing, waiting }: RwLock): ComponentStats {
  return { readers, writing, waiting };
}

/** More readers than there can be: a writer takes the place of all. */
const everything = 2 ** 31;
const weights: Readonly<Record<LockMode, number>> = { read: 1, write: everything };
