// A lock for each key, kept only while somebody uses it.
import { checkCount, describe } from "./check.ts";
import type { Task } from "./context.ts";
import type { Permit } from "./permit.ts";
import { QueueFullError } from "./queue-full-error.ts";

/** What {@link Keyed} needs of a lock to stand for it: a `Mutex` or a `Semaphore` has it. */
export interface Lockable<Options> {
  /** Takes it if it is free, else returns `undefined`. */
  tryAcquire(options?: Options): Permit | undefined;
  /** Waits for it. */
  acquire(options?: Options): Promise<Permit>;
  /** Calls the task while holding it. */
  run<T>(task: Task<T>, options?: Options): Promise<T>;
}

/** How many keys a {@link Keyed} has at a time. */
export interface KeyedOptions {
  /** How many keys may be in use at a time; one more is refused with a `QueueFullError`. Default: `Infinity`. */
  readonly max?: number | undefined;
  /** Used in error messages. Default: `"keyed"`. */
  readonly name?: string | undefined;
}

/**
 * Keeps one lock, or anything else, for each key that is in use: it is made for the first user and dropped with the last,
 * so memory is bounded by what is going on, and by `max`.
 *
 * **Use** of a key begins with a call and ends when its task is done, its wait is given up, or its permit is given back:
 * until then everybody with the same key gets the same lock. Keys are compared as in a `Map`.
 *
 * @example
 * ```ts
 * import { Keyed, Mutex, RwLock } from "@proj/concurrency";
 *
 * const accounts = new Keyed(() => new Mutex(), { max: 10_000 });
 * const order: string[] = [];
 * const deposit = (account: string) => accounts.for(account).run(async () => void order.push(account));
 * await Promise.all([deposit("a"), deposit("a"), deposit("b")]);
 * console.log(order, accounts.size); // prints: [ 'a', 'b', 'a' ] 0
 *
 * const tables = new Keyed((name: string) => new RwLock({ name }));
 * console.log(await tables.use("users", (lock) => lock.read(() => lock.name))); // prints: users
 * ```
 */
export class Keyed<T, Key = unknown> {
  /** As in the options; `"keyed"` without one. */
  readonly name: string;
  readonly #make: (key: Key) => T;
  readonly #max: number;
  readonly #entries = new Map<Key, Entry<T>>();

  /** `make` is called for each key that comes into use. */
  constructor(make: (key: Key) => T, options: KeyedOptions = {}) {
    const action = "create a Keyed";
    const { max = Number.POSITIVE_INFINITY, name = "keyed" } = options;
    if (typeof make !== "function") {
      throw new TypeError(`Cannot ${action}: make must be a function, got ${describe(make)}`);
    }
    this.#make = make;
    this.#max = checkCount(action, "max", max, 1, true);
    this.name = name;
  }

  /** How many keys are in use. */
  get size(): number {
    return this.#entries.size;
  }

  /** Whether somebody uses this key. */
  has(key: Key): boolean {
    return this.#entries.has(key);
  }

  /** Stands for the lock of this key, which is looked up, and made if need be, at each call. */
  for<Options>(this: Keyed<Lockable<Options>, Key>, key: Key): Lockable<Options> {
    return new KeyedLock(
      () => this.#enter(key),
      () => this.#leave(key),
    );
  }

  /**
   * Calls `task` with what belongs to the key, which stays in use until the task is done.
   *
   * @throws QueueFullError, as a rejection · whatever the task throws
   */
  async use<R>(key: Key, task: (value: T) => R | PromiseLike<R>): Promise<R> {
    const value = this.#enter(key);
    try {
      return await task(value);
    } finally {
      this.#leave(key);
    }
  }

  #enter(key: Key): T {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      if (this.#entries.size >= this.#max) throw new QueueFullError(this.name, this.#max);
      entry = { value: this.#make(key), users: 0 };
      this.#entries.set(key, entry);
    }
    entry.users++;
    return entry.value;
  }

  #leave(key: Key): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined && --entry.users === 0) this.#entries.delete(key);
  }
}

interface Entry<T> {
  readonly value: T;
  users: number;
}

/** Enters with each call, and leaves when its effect is over. */
class KeyedLock<Options> implements Lockable<Options> {
  readonly #enter: () => Lockable<Options>;
  readonly #leave: () => void;

  constructor(enter: () => Lockable<Options>, leave: () => void) {
    this.#enter = enter;
    this.#leave = leave;
  }

  tryAcquire(options?: Options): Permit | undefined {
    const permit = this.#enter().tryAcquire(options);
    if (permit !== undefined) return new KeyedPermit(permit, this.#leave);
    this.#leave();
    return undefined;
  }

  async acquire(options?: Options): Promise<Permit> {
    const lock = this.#enter();
    try {
      return new KeyedPermit(await lock.acquire(options), this.#leave);
    } catch (error) {
      this.#leave();
      throw error;
    }
  }

  async run<T>(task: Task<T>, options?: Options): Promise<T> {
    const lock = this.#enter();
    try {
      return await lock.run(task, options);
    } finally {
      this.#leave();
    }
  }
}

class KeyedPermit implements Permit {
  readonly weight: number;
  #permit: Permit | undefined;
  readonly #leave: () => void;

  constructor(permit: Permit, leave: () => void) {
    this.weight = permit.weight;
    this.#permit = permit;
    this.#leave = leave;
  }

  release(): void {
    const permit = this.#permit;
    if (permit === undefined) return;
    this.#permit = undefined;
    permit.release();
    this.#leave();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
