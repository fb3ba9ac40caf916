// The one implementation of a pool. Every change of state ends in `#serve`, which sends resources on their way to those
// in line: an idle one, checked first if there is a check, or a new one.
import { checkDuration } from "./check.ts";
import type { Timer } from "./clock.ts";
import { ClosedError } from "./closed-error.ts";
import type { Context } from "./context.ts";
import type { ContextNode } from "./context-node.ts";
import { contextFor } from "./derive.ts";
import type { Pool, PoolAcquireOptions, PoolLease, PoolOptions, PoolStats } from "./pool.ts";
import { PoolBackoff } from "./pool-backoff.ts";
import { PoolCounts } from "./pool-counts.ts";
import { Lease, type LeaseOwner } from "./pool-lease.ts";
import { withinTime } from "./pool-limit.ts";
import { CallerLine } from "./pool-line.ts";
import { runWithLease } from "./pool-run.ts";
import { type PoolSettings, settle } from "./pool-settings.ts";
import { IdleStack, Slot } from "./pool-slots.ts";
import { IdleSweep } from "./pool-sweep.ts";
import { TimeoutError } from "./timeout-error.ts";

export class ResourcePool<Resource> implements Pool<Resource>, LeaseOwner<Resource> {
  readonly #settings: PoolSettings<Resource>;
  readonly #slots = new Set<Slot<Resource>>();
  readonly #idle = new IdleStack<Resource>();
  readonly #line: CallerLine<PoolLease<Resource>>;
  readonly #backoff: PoolBackoff;
  /** Resources on their way to those in line: being made or checked. */
  #coming = 0;
  #creating = 0;
  #checking = 0;
  #destroying = 0;
  readonly #counts: PoolCounts;
  readonly #sweep: IdleSweep<Resource>;
  #closed: PromiseWithResolvers<void> | undefined;
  #closeTimer: Timer | undefined;

  constructor(options: PoolOptions<Resource>) {
    this.#settings = settle(options);
    this.#counts = new PoolCounts(this.name);
    const { clock, timeout, createBackoff, warmUp } = this.#settings;
    const destroyIdle = (slot: Slot<Resource>): void => void this.#destroy(slot);
    this.#sweep = new IdleSweep(this.#settings, this.#idle, () => this.#slots.size, destroyIdle);
    const onLeft = (): void => this.#finishIfEmpty();
    this.#line = new CallerLine(clock, timeout, (timeout) => this.#timeoutError(timeout), onLeft);
    this.#backoff = new PoolBackoff(clock, createBackoff, () => {
      this.#serve();
      this.#fill();
    });
    if (warmUp) this.#fill();
  }

  get name(): string {
    return this.#settings.name;
  }

  get lastError(): unknown {
    return this.#counts.lastError;
  }

  get stats(): PoolStats {
    const size = this.#slots.size;
    const idle = this.#idle.length;
    return {
      size,
      idle,
      leased: size - idle - this.#checking,
      creating: this.#creating,
      destroying: this.#destroying,
      waiting: this.#line.size,
      ...this.#counts.totals,
    };
  }

  acquire(options?: PoolAcquireOptions): Promise<PoolLease<Resource>> {
    try {
      const context = contextFor("acquire a resource", options?.signal);
      if (context.cancelled) return Promise.reject(context.cause);
      const timeout = options?.timeout;
      if (timeout !== undefined) checkDuration("acquire a resource", "timeout", timeout);
      // The usual case, an idle resource and nothing to check or to wait for, costs one object and one promise.
      const lease = this.tryAcquire();
      return lease === undefined ? this.#wait(context, timeout) : Promise.resolve(lease);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  tryAcquire(): PoolLease<Resource> | undefined {
    if (this.#settings.validate !== undefined || this.#closed !== undefined) return undefined;
    const slot = this.#idle.pop();
    return slot === undefined ? undefined : new Lease(this, slot);
  }

  run<T>(task: (resource: Resource, context: Context) => T | PromiseLike<T>, options?: PoolAcquireOptions): Promise<T> {
    return runWithLease(this, task, options);
  }

  evict(resource: Resource): boolean {
    for (const slot of this.#slots) {
      if (slot.resource === resource) {
        this.#retire(slot);
        return true;
      }
    }
    return false;
  }

  health(): PoolStats {
    if (this.#closed !== undefined) throw new ClosedError(this.name);
    if (this.#slots.size === 0 && this.#backoff.failures > 0) throw this.lastError;
    return this.stats;
  }

  close({ timeout = Number.POSITIVE_INFINITY }: { readonly timeout?: number | undefined } = {}): Promise<void> {
    checkDuration("close a pool", "timeout", timeout);
    if (this.#closed === undefined) {
      this.#closed = Promise.withResolvers();
      this.#sweep.stop();
      for (let slot = this.#idle.pop(); slot !== undefined; slot = this.#idle.pop()) void this.#destroy(slot);
      this.#finishIfEmpty();
    }
    if (timeout !== Number.POSITIVE_INFINITY && this.#closeTimer === undefined) {
      this.#closeTimer = this.#settings.clock.setTimeout(() => this.#force(), timeout);
      this.#closeTimer.ref(); // somebody waits for what it does
      this.#finishIfEmpty();
    }
    return this.#closed.promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A lease is over. */
  giveBack(slot: Slot<Resource>, isBroken: boolean): void {
    if (isBroken) slot.isDoomed = true;
    if (slot.isDoomed || this.#line.size > 0 || this.#closed !== undefined) this.#reuse(slot);
    else this.#rest(slot);
  }

  #wait(context: ContextNode, timeout: number | undefined): Promise<PoolLease<Resource>> {
    if (this.#closed !== undefined) throw new ClosedError(this.name);
    const { given } = this.#line.push(context, timeout);
    this.#serve();
    this.#backoff.keepAlive();
    return given;
  }

  #timeoutError(timeout: number): TimeoutError {
    this.#counts.timeouts++;
    const text = `Cannot acquire a resource of ${this.name}: none was free within ${timeout} ms`;
    return new TimeoutError(text, timeout, this.#backoff.failures === 0 ? {} : { cause: this.lastError });
  }

  /** Sends as many resources on their way as there are callers in line, as far as there are any or may be any. */
  #serve(): void {
    while (this.#line.size > this.#coming) {
      const slot = this.#idle.pop();
      if (slot !== undefined) this.#reuse(slot);
      else if (this.#mayCreate) void this.#create();
      else return;
    }
    this.#finishIfEmpty();
  }

  get #mayCreate(): boolean {
    return !this.#backoff.isPaused && this.#slots.size + this.#creating + this.#destroying < this.#settings.max;
  }

  /** Keeps the minimum. */
  #fill(): void {
    const { min } = this.#settings;
    while (this.#closed === undefined && this.#slots.size + this.#creating < min && this.#mayCreate)
      void this.#create();
  }

  async #create(): Promise<void> {
    const { clock, create, createTimeout } = this.#settings;
    const startedAt = clock.now();
    this.#creating++;
    this.#coming++;
    let slot: Slot<Resource> | undefined;
    try {
      const onLate = (resource: Resource): void => void this.#destroy(this.#adopt(resource, startedAt));
      slot = this.#adopt(await withinTime(clock, createTimeout, create, onLate), startedAt);
    } catch (error) {
      this.#backoff.fail();
      this.#counts.onCreateFailed(error, clock.now() - startedAt, this.#backoff.failures);
      if (this.#line.size > 1) this.#backoff.keepAlive();
      this.#line.first?.reject(error);
    }
    this.#creating--;
    this.#coming--;
    if (slot !== undefined) {
      this.#backoff.succeed();
      this.#give(slot);
    }
    this.#fill();
    this.#serve();
  }

  /** From now on the resource is one of ours. */
  #adopt(resource: Resource, startedAt: number): Slot<Resource> {
    const { clock, maxAge, random } = this.#settings;
    const slot = new Slot(resource);
    this.#slots.add(slot);
    if (maxAge !== Number.POSITIVE_INFINITY) {
      slot.ageTimer = clock.setTimeout(() => this.#retire(slot), maxAge * (1 - random() / 10));
    }
    this.#counts.onCreated(clock.now() - startedAt, this.#slots.size);
    return slot;
  }

  /** A resource that was used before is free: it goes to whoever is in line, once it is known to be good. */
  #reuse(slot: Slot<Resource>): void {
    if (slot.isDoomed) void this.#destroy(slot);
    else if (this.#settings.validate === undefined || this.#line.size === 0) this.#give(slot);
    else void this.#check(slot, this.#settings.validate);
  }

  async #check(slot: Slot<Resource>, validate: NonNullable<PoolOptions<Resource>["validate"]>): Promise<void> {
    const { clock, validateTimeout } = this.#settings;
    this.#checking++;
    this.#coming++;
    let isValid = false;
    try {
      isValid = await withinTime(clock, validateTimeout, (context) => validate(slot.resource, context));
      if (!isValid) this.#counts.onInvalid();
    } catch (error) {
      this.#counts.onCheckFailed(error);
    }
    this.#checking--;
    this.#coming--;
    if (isValid && !slot.isDoomed) this.#give(slot);
    else void this.#destroy(slot);
    this.#serve();
  }

  /** To the head of the line, never past it; to the stack if nobody waits. */
  #give(slot: Slot<Resource>): void {
    const { first } = this.#line;
    if (first !== undefined) {
      first.serve(new Lease(this, slot));
    } else if (slot.isDoomed || this.#closed !== undefined) {
      void this.#destroy(slot);
    } else {
      this.#rest(slot);
    }
  }

  #rest(slot: Slot<Resource>): void {
    this.#idle.push(slot);
    this.#sweep.later();
  }

  /** Destroys a resource, now or as soon as it comes back. */
  #retire(slot: Slot<Resource>): void {
    slot.isDoomed = true;
    if (this.#idle.remove(slot)) void this.#destroy(slot);
  }

  async #destroy(slot: Slot<Resource>): Promise<void> {
    if (!this.#slots.delete(slot)) return; // it was destroyed under its holder
    const { clock, destroy, destroyTimeout } = this.#settings;
    slot.ageTimer?.clear();
    this.#destroying++;
    try {
      if (destroy !== undefined) {
        await withinTime<unknown>(clock, destroyTimeout, (context) => destroy(slot.resource, context));
      }
      this.#counts.onDestroyed(this.#slots.size);
    } catch (error) {
      this.#counts.onDestroyFailed(error, this.#slots.size);
    }
    this.#destroying--;
    this.#fill();
    this.#serve();
  }

  /** The time for closing is over. */
  #force(): void {
    for (let { first } = this.#line; first !== undefined; first = this.#line.first) {
      first.fail(() => new ClosedError(this.name));
    }
    for (const slot of this.#slots) void this.#destroy(slot);
  }

  #finishIfEmpty(): void {
    if (this.#closed === undefined) return;
    if (this.#line.size + this.#slots.size + this.#creating + this.#destroying > 0) return;
    this.#backoff.stop();
    this.#closeTimer?.clear();
    this.#closed.resolve();
  }
}
