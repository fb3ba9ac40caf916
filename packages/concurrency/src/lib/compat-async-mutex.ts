// async-mutex's surface: semaphores, mutexes, and both with a limit to the wait.
import { checkDuration, describe } from "./check.ts";
import { MutexLine, type Patience } from "./compat-async-mutex-line.ts";

/** Gives back what was acquired. Only the first call counts. */
export type Releaser = () => void;

/** What a wait rejects with that took too long; {@link withTimeout} takes another one. */
export const E_TIMEOUT: Error = new Error("timeout while waiting for mutex to become available");
/** What {@link tryAcquire} rejects with; it takes another one. */
export const E_ALREADY_LOCKED: Error = new Error("mutex already locked");
/** What `cancel` rejects those with who wait; constructors take another one. */
export const E_CANCELED: Error = new Error("request for lock canceled");

/** The surface that {@link Semaphore} shares with what {@link withTimeout} makes of it. */
export interface SemaphoreInterface {
  /** Waits for `weight` (default: 1). Gives the value before and what gives it back. Higher priorities go first. */
  acquire(weight?: number, priority?: number): Promise<[value: number, release: Releaser]>;
  /** Calls `worker` with the value, and gives back what it took when that is done. */
  runExclusive<T>(worker: (value: number) => PromiseLike<T> | T, weight?: number, priority?: number): Promise<T>;
  /** Waits until `acquire` with the same arguments would pass at once, and takes nothing. */
  waitForUnlock(weight?: number, priority?: number): Promise<void>;
  /** Whether the value is 0 or less. */
  isLocked(): boolean;
  /** What is left. */
  getValue(): number;
  /** Sets what is left, for those who wait as well. */
  setValue(value: number): void;
  /** Adds `weight` (default: 1) to the value, whoever has taken it. */
  release(weight?: number): void;
  /** Rejects all who wait in `acquire`. */
  cancel(): void;
}

/** The surface that {@link Mutex} shares with what {@link withTimeout} makes of it. */
export interface MutexInterface {
  /** Waits for the mutex. Gives what gives it back. Higher priorities go first. */
  acquire(priority?: number): Promise<Releaser>;
  /** Calls `worker` while holding the mutex. */
  runExclusive<T>(worker: () => PromiseLike<T> | T, priority?: number): Promise<T>;
  /** Waits until the mutex is free, and does not take it. */
  waitForUnlock(priority?: number): Promise<void>;
  /** Whether somebody holds it. */
  isLocked(): boolean;
  /** Frees it, whoever holds it. */
  release(): void;
  /** Rejects all who wait in `acquire`. */
  cancel(): void;
}

/** Made by the classes below, whose privates they use: the same semaphore or mutex, seen with less patience. */
let hurrySemaphore: (semaphore: Semaphore, patience: Patience) => Semaphore;
let hurryMutex: (mutex: Mutex, patience: Patience) => Mutex;

/**
 * async-mutex's `Semaphore`, for code that moves over one import at a time; new code is better served by the one of the
 * main entry. A caller also gives up when its context ends, and one that gave up for whatever reason is gone at once.
 *
 * @example
 * ```ts
 * import { Semaphore } from "@proj/concurrency/compat";
 *
 * const semaphore = new Semaphore(2);
 * const [value, release] = await semaphore.acquire();
 * console.log(value, semaphore.getValue()); // prints: 2 1
 * release();
 * console.log(await semaphore.runExclusive((value) => `one of ${value}`)); // prints: one of 2
 * ```
 */
export class Semaphore implements SemaphoreInterface {
  #line: MutexLine;
  #patience: Patience | undefined;

  /** `cancelError` is what `cancel` rejects those with who wait. */
  constructor(value: number, cancelError: Error = E_CANCELED) {
    this.#line = new MutexLine(value, cancelError);
  }

  static {
    hurrySemaphore = (semaphore, patience) => {
      const same = new Semaphore(0);
      same.#line = semaphore.#line;
      same.#patience = patience;
      return same;
    };
  }

  async acquire(weight = 1, priority = 0): Promise<[value: number, release: Releaser]> {
    const value = await this.#line.take(weight, priority, this.#patience);
    let isHeld = true;
    const release = (): void => {
      if (isHeld) this.#line.give(weight);
      isHeld = false;
    };
    return [value, release];
  }

  async runExclusive<T>(worker: (value: number) => PromiseLike<T> | T, weight = 1, priority = 0): Promise<T> {
    const value = await this.#line.take(weight, priority, this.#patience);
    try {
      return await worker(value);
    } finally {
      this.#line.give(weight);
    }
  }

  async waitForUnlock(weight = 1, priority = 0): Promise<void> {
    await this.#line.watch(weight, priority, this.#patience);
  }

  isLocked(): boolean {
    return this.#line.value <= 0;
  }

  getValue(): number {
    return this.#line.value;
  }

  setValue(value: number): void {
    this.#line.value = value;
  }

  release(weight = 1): void {
    this.#line.give(weight);
  }

  cancel(): void {
    this.#line.cancel();
  }
}

/**
 * async-mutex's `Mutex`, for code that moves over one import at a time; new code is better served by the one of the main
 * entry, whose `release` cannot free what somebody else holds.
 *
 * @example
 * ```ts
 * import { Mutex } from "@proj/concurrency/compat";
 *
 * const mutex = new Mutex();
 * const release = await mutex.acquire();
 * const later = mutex.runExclusive(() => "free again");
 * release();
 * console.log(await later, mutex.isLocked()); // prints: free again false
 * ```
 */
export class Mutex implements MutexInterface {
  #semaphore: Semaphore;

  /** `cancelError` is what `cancel` rejects those with who wait. */
  constructor(cancelError?: Error) {
    this.#semaphore = new Semaphore(1, cancelError);
  }

  static {
    hurryMutex = (mutex, patience) => {
      const same = new Mutex();
      same.#semaphore = hurrySemaphore(mutex.#semaphore, patience);
      return same;
    };
  }

  async acquire(priority?: number): Promise<Releaser> {
    const [, release] = await this.#semaphore.acquire(1, priority);
    return release;
  }

  runExclusive<T>(worker: () => PromiseLike<T> | T, priority?: number): Promise<T> {
    return this.#semaphore.runExclusive(() => worker(), 1, priority);
  }

  waitForUnlock(priority?: number): Promise<void> {
    return this.#semaphore.waitForUnlock(1, priority);
  }

  isLocked(): boolean {
    return this.#semaphore.isLocked();
  }

  release(): void {
    if (this.isLocked()) this.#semaphore.release();
  }

  cancel(): void {
    this.#semaphore.cancel();
  }
}

/**
 * The same semaphore or mutex, where nobody waits longer than `timeout` milliseconds. It limits the wait, not how long
 * something is held.
 *
 * @example
 * ```ts
 * import { E_TIMEOUT, Mutex, withTimeout } from "@proj/concurrency/compat";
 *
 * const mutex = new Mutex();
 * const release = await mutex.acquire();
 * const error = await withTimeout(mutex, 5).acquire().catch((error: unknown) => error);
 * release();
 * console.log(error === E_TIMEOUT, mutex.isLocked()); // prints: true false
 * ```
 */
export function withTimeout(sync: Mutex, timeout: number, timeoutError?: Error): Mutex;
export function withTimeout(sync: Semaphore, timeout: number, timeoutError?: Error): Semaphore;
export function withTimeout(sync: Mutex | Semaphore, timeout: number, error = E_TIMEOUT): Mutex | Semaphore {
  const patience = { timeout: checkDuration("limit a wait", "timeout", timeout), error };
  if (sync instanceof Mutex) return hurryMutex(sync, patience);
  if (sync instanceof Semaphore) return hurrySemaphore(sync, patience);
  throw new TypeError(`Cannot limit a wait: expected a Mutex or a Semaphore made here, got ${describe(sync)}`);
}

/**
 * The same semaphore or mutex, where nobody waits: as {@link withTimeout} with a time of 0.
 *
 * @example
 * ```ts
 * import { E_ALREADY_LOCKED, Mutex, tryAcquire } from "@proj/concurrency/compat";
 *
 * const mutex = new Mutex();
 * await mutex.acquire();
 * const error = await tryAcquire(mutex).acquire().catch((error: unknown) => error);
 * console.log(error === E_ALREADY_LOCKED); // prints: true
 * ```
 */
export function tryAcquire(sync: Mutex, alreadyAcquiredError?: Error): Mutex;
export function tryAcquire(sync: Semaphore, alreadyAcquiredError?: Error): Semaphore;
export function tryAcquire(sync: Mutex | Semaphore, error = E_ALREADY_LOCKED): Mutex | Semaphore {
  return sync instanceof Mutex ? withTimeout(sync, 0, error) : withTimeout(sync, 0, error);
}
