// Locks and semaphores that processes share through Redis: leases with an owner, a fencing number and renewal.
import { randomUUID } from "node:crypto";
import { checkCount, checkDuration, checkPositive, describe } from "./check.ts";
import { type Clock, systemClock } from "./clock.ts";
import { Context } from "./context.ts";
import { contextFor } from "./derive.ts";
import { checkRedisClient, type RedisClient } from "./redis-client.ts";
import { HeldLease, type RedisLease } from "./redis-lease.ts";
import { acquireScript, releaseScript } from "./redis-lock-scripts.ts";
import { isRefusal, type RedisCall } from "./redis-script.ts";
import { TimeoutError } from "./timeout-error.ts";
import { sleep, until } from "./until.ts";

/** How long a lease lasts, and how those who wait ask for it. */
export interface RedisLockOptions {
  /**
   * Milliseconds after which a lease ends unless it is prolonged, which happens every third of it: how long others wait
   * for a holder that has died. At least 100. Default: 10,000.
   */
  readonly ttl?: number | undefined;
  /** Put before each key. Default: `"lock:"`. */
  readonly prefix?: string | undefined;
  /** Milliseconds between two questions of the first in line; others ask more seldom. Default: 25. */
  readonly poll?: number | undefined;
  /** Default: the system's. Leases are measured by the server's. */
  readonly clock?: Clock | undefined;
  /** Numbers from 0 to 1, to spread the questions. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** The same, and how many leases. */
export interface RedisSemaphoreOptions extends RedisLockOptions {
  /** How many leases there may be at a time: the same number for all who use the key. */
  readonly permits: number;
}

/** How long to wait for a lease. */
export interface RedisAcquireOptions {
  /**
   * Gives up the wait, with its own reason. A `Context` replaces the current one; an `AbortSignal` counts in addition to
   * it. The lease ends with it too. Default: the current context.
   */
  readonly signal?: AbortSignal | Context | undefined;
  /** Milliseconds to wait at most, before a `TimeoutError`. Default: no limit. */
  readonly timeout?: number | undefined;
}

/**
 * Hands out leases, at most as many at a time as it has permits: a lock has one.
 *
 * **Order**: those who wait ask again and again, with jitter, and keep a place in a queue on the server while they do;
 * first come, first served. One that stops asking, because its process died, holds up the others for 2 seconds.
 * **Abort**: rejects in the same turn with the reason, untouched; a lease that is granted too late is given back.
 * **Redis away**: waiting goes on, until the timeout; what Redis refuses (a missing right, a wrong type) rejects.
 */
export interface RedisLock {
  /** Asks once. `undefined` when no lease is free or others wait; rejects when Redis does not answer. */
  tryAcquire(options?: Pick<RedisAcquireOptions, "signal">): Promise<RedisLease | undefined>;
  /** Waits for a lease, which is prolonged until it is released or disposed. */
  acquire(options?: RedisAcquireOptions): Promise<RedisLease>;
  /**
   * Waits for a lease, runs the task in its context and gives the lease back. When the lease is lost, the task's context
   * ends with a `LockLostError`; the result of a task that goes on nonetheless is dropped and `run` rejects with it.
   */
  run<T>(task: (context: Context, lease: RedisLease) => T | PromiseLike<T>, options?: RedisAcquireOptions): Promise<T>;
}

/**
 * Makes a lock that one process at a time holds, among all with the same Redis, key and prefix.
 *
 * It is as safe as a lease can be: a holder learns of the end of its lease no later than the server lets another one in,
 * unless the holder stands still (a paused machine, a blocked event loop). Against that, and against a Redis that loses
 * its data, only the fencing number helps: see {@link RedisLease.fence}.
 *
 * @example
 * <!-- check: types-only, needs a Redis -->
 * ```ts
 * import { redisLock } from "@proj/concurrency/redis";
 * import { createClient } from "redis";
 *
 * const client = await createClient({ url: "redis://127.0.0.1:6379" }).on("error", console.error).connect();
 * const lock = redisLock(client, "invoices", { ttl: 5_000 });
 * await lock.run(async ({ signal }, { fence }) => {
 *   await fetch("http://127.0.0.1/invoices", { method: "POST", headers: { "x-fence": `${fence}` }, signal });
 * });
 * ```
 */
export function redisLock(client: RedisClient, key: string, options: RedisLockOptions = {}): RedisLock {
  return new LeaseOffice("create a Redis lock", client, key, 1, options);
}

/**
 * Makes a semaphore whose permits are shared by all processes with the same Redis, key and prefix: a
 * {@link redisLock} with more than one lease.
 *
 * @example
 * <!-- check: types-only, needs a Redis -->
 * ```ts
 * import { redisSemaphore } from "@proj/concurrency/redis";
 * import { Redis } from "ioredis";
 *
 * const exports = redisSemaphore(new Redis(), "exports", { permits: 3 });
 * {
 *   await using lease = await exports.acquire({ timeout: 10_000 });
 *   console.log(lease.fence); // one of three that run at a time
 * }
 * ```
 */
export function redisSemaphore(client: RedisClient, key: string, options: RedisSemaphoreOptions): RedisLock {
  const action = "create a Redis semaphore";
  return new LeaseOffice(action, client, key, checkCount(action, "permits", options.permits, 1), options);
}

/** Milliseconds after which one in line that no longer asks is taken for gone. */
const patience = 2_000;
/** Most milliseconds between two questions, but for jitter. */
const longestPoll = 500;

class LeaseOffice implements RedisLock {
  readonly #key: string;
  readonly #keys: string[];
  readonly #permits: number;
  readonly #ttl: number;
  readonly #poll: number;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #call: RedisCall;

  constructor(action: string, client: RedisClient, key: string, permits: number, options: RedisLockOptions) {
    const { ttl = 10_000, prefix = "lock:", poll = 25, clock = systemClock, random = Math.random } = options;
    checkRedisClient(action, client);
    if (typeof key !== "string") throw new TypeError(`Cannot ${action}: key must be a string, got ${describe(key)}`);
    this.#key = key;
    // The braces keep the keys of one semaphore on one node of a cluster.
    this.#keys = ["holders", "queue", "patience", "fence"].map((part) => `${prefix}{${key}}:${part}`);
    this.#permits = permits;
    this.#ttl = checkCount(action, "ttl", ttl, 100);
    this.#poll = checkPositive(action, "poll", poll);
    this.#clock = clock;
    this.#random = random;
    this.#call = { client, clock, timeout: Math.min(1_000, ttl / 3) };
  }

  async tryAcquire(options: Pick<RedisAcquireOptions, "signal"> = {}): Promise<RedisLease | undefined> {
    const parent = contextFor("acquire a Redis lock", options.signal);
    parent.throwIfCancelled();
    const token = randomUUID();
    const answer = this.#ask(token, 0, parent);
    try {
      return (await until(parent, answer)).lease;
    } catch (error) {
      this.#forget(token); // it may have been granted nonetheless
      throw error;
    }
  }

  async acquire(options: RedisAcquireOptions = {}): Promise<HeldLease> {
    const action = "acquire a Redis lock";
    const timeout = checkDuration(action, "timeout", options.timeout ?? Number.POSITIVE_INFINITY);
    const parent = contextFor(action, options.signal);
    parent.throwIfCancelled();
    const giveUpAt = this.#clock.now() + timeout;
    const token = randomUUID();
    let failure: unknown;
    try {
      for (;;) {
        let pause = this.#pauseBehind(0);
        try {
          const { lease, ahead, freeIn } = await until(parent, this.#ask(token, patience, parent, giveUpAt));
          if (lease !== undefined) return lease;
          failure = undefined;
          pause = ahead === 0 ? Math.min(this.#pauseBehind(0), freeIn + 1) : this.#pauseBehind(ahead);
        } catch (error) {
          if (parent.cancelled || isRefusal(error)) throw error;
          failure = error; // it may be back by the next time
        }
        const left = giveUpAt - this.#clock.now();
        if (left <= 0)
          throw new TimeoutError(`Cannot ${action}: none was free within ${timeout} ms`, timeout, { cause: failure });
        await sleep(parent, this.#clock, Math.min(pause, left));
      }
    } catch (error) {
      this.#forget(token); // it may have been granted nonetheless, and leaves the queue
      throw error;
    }
  }

  async run<T>(
    task: (context: Context, lease: RedisLease) => T | PromiseLike<T>,
    options?: RedisAcquireOptions,
  ): Promise<T> {
    const lease = await this.acquire(options);
    try {
      const result = await Context.run(lease.context, () => task(lease.context, lease));
      lease.throwIfLost();
      return result;
    } finally {
      await lease.release();
    }
  }

  async #ask(
    token: string,
    wait: number,
    parent: Context,
    giveUpAt = Number.POSITIVE_INFINITY,
  ): Promise<{ lease?: HeldLease; ahead: number; freeIn: number }> {
    const sentAt = this.#clock.now();
    const timeout = Math.min(this.#call.timeout, Math.max(1, giveUpAt - sentAt));
    const terms = [token, this.#ttl, this.#permits, wait];
    const [fence = 0, ahead = 0, freeIn = 0] = await acquireScript.numbers(
      { ...this.#call, timeout },
      this.#keys,
      terms,
    );
    if (fence === 0) return { ahead, freeIn };
    if (parent.cancelled || this.#clock.now() >= sentAt + this.#ttl) {
      this.#forget(token); // nobody is there to take it any more, or the answer came too late to be of use
      return { ahead, freeIn };
    }
    const { key, keys, ttl } = { key: this.#key, keys: this.#keys, ttl: this.#ttl };
    return { lease: new HeldLease({ key, keys, token, fence, ttl, sentAt, parent }, this.#call), ahead, freeIn };
  }

  /** Behind the scenes: whoever asked does not wait for it. Commands keep their order, so it undoes a late grant too. */
  #forget(token: string): void {
    releaseScript.numbers(this.#call, this.#keys, [token]).catch(() => {}); // then it ends by itself
  }

  /** Between half and one and a half times what is right for the place in line. */
  #pauseBehind(ahead: number): number {
    return Math.min(longestPoll, this.#poll * (1 + ahead)) * (0.5 + this.#random());
  }
}
