// Mutual exclusion: one at a time, in order of arrival.
import type { Clock } from "./clock.ts";
import type { Context, Task } from "./context.ts";
import type { Permit } from "./permit.ts";
import type { Reentry } from "./reentry.ts";
import { asKind } from "./registry-kind.ts";
import { Semaphore } from "./semaphore.ts";
import type { AcquireOptions } from "./semaphore-options.ts";

/** How a {@link Mutex} behaves. */
export interface MutexOptions {
  /** Used in error messages and warnings; with a name it is listed by `components()`. Default: `"mutex"`. */
  readonly name?: string | undefined;
  /** How many callers may wait; one more is rejected with a `QueueFullError`. Default: `Infinity`. */
  readonly maxQueue?: number | undefined;
  /**
   * What happens when a task within `run` waits for the mutex that it holds itself: a warning once per mutex, a
   * `ReentryError` for the caller, or nothing. Default: `"warn"`, and `"ignore"` if `NODE_ENV` is `"production"`.
   */
  readonly reentry?: Reentry | undefined;
  /** Measures `timeout`. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** How to wait for a lock. */
export type LockOptions = Omit<AcquireOptions, "weight">;

/**
 * For a condition, whose caller holds the mutex and stays its holder: lets one other in, as if there was one permit more.
 * Made by the class below, whose privates it uses.
 */
export let lend: (mutex: Mutex) => void;

/** Waits until nobody else is in, and ends what {@link lend} has begun. `context` must not end before that. */
export let takeBack: (mutex: Mutex, context: Context) => Promise<void>;

/**
 * Lets one piece of work go on at a time.
 *
 * **Order**: by priority, then by arrival; the mutex goes from hand to hand, so no newcomer overtakes those who wait.
 * **Abort**: a caller whose signal or context ends leaves the line in the same turn and rejects with that reason,
 * untouched. **Context**: as for {@link Semaphore.run}. It is not re-entrant: a task that holds the mutex and waits for
 * it would wait for itself, which is reported by name outside production.
 *
 * @example
 * ```ts
 * import { Mutex } from "@proj/concurrency";
 *
 * const account = new Mutex({ name: "account" });
 * let balance = 100;
 *
 * async function withdraw(amount: number): Promise<number> {
 *   return await account.run(async () => {
 *     const before = balance;
 *     await undefined; // another task could have come in between
 *     return (balance = before - amount);
 *   });
 * }
 *
 * console.log(await Promise.all([withdraw(10), withdraw(20)])); // prints: [ 90, 70 ]
 * using guard = await account.acquire({ timeout: 1_000 }); // until the end of this block
 * console.log(account.locked); // prints: true
 * ```
 */
export class Mutex {
  readonly #semaphore: Semaphore;

  /** @throws TypeError or RangeError for an option that is none */
  constructor(options: MutexOptions = {}) {
    this.#semaphore = new Semaphore(1, asKind("mutex", options));
  }

  /** As in the options; `"mutex"` without one. */
  get name(): string {
    return this.#semaphore.name;
  }

  /** Whether somebody holds it. */
  get locked(): boolean {
    return this.#semaphore.free === 0;
  }

  /** How many callers wait for it. */
  get waiting(): number {
    return this.#semaphore.waiting;
  }

  /** Takes the mutex if it is free, else returns `undefined`. Never waits. */
  tryAcquire(): Permit | undefined {
    return this.#semaphore.tryAcquire();
  }

  /**
   * Waits for the mutex, which is held until the result is released or disposed.
   *
   * @throws the reason of the signal or context · TimeoutError · QueueFullError
   */
  acquire(options?: LockOptions): Promise<Permit> {
    return this.#semaphore.acquire(options);
  }

  /** Calls the task while holding the mutex. Rejects as {@link Mutex.acquire} does, and with whatever the task throws. */
  run<T>(task: Task<T>, options?: LockOptions): Promise<T> {
    return this.#semaphore.run(task, options);
  }

  static {
    lend = (mutex) => mutex.#semaphore.resize(mutex.#semaphore.permits + 1);
    takeBack = async (mutex, context) => {
      const permit = await mutex.#semaphore.acquire({ signal: context });
      mutex.#semaphore.resize(mutex.#semaphore.permits - 1);
      permit.release(); // the holder's own permit, which it kept all the time, counts again
    };
  }
}
