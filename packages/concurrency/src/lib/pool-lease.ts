// The two ends of a loan: a caller in line, and the lease that it gets.
import type { PoolLease } from "./pool.ts";
import type { Slot } from "./pool-slots.ts";
import { Waiter } from "./wait-queue.ts";

/** Takes back what was lent. */
export interface LeaseOwner<Resource> {
  giveBack(slot: Slot<Resource>, isBroken: boolean): void;
}

/** A caller in line, and what it is given. */
export class Caller<Resource> extends Waiter {
  slot: Slot<Resource> | undefined;
}

/** Ends once: a second release must not free what somebody else holds by now. */
export class Lease<Resource> implements PoolLease<Resource> {
  readonly resource: Resource;
  readonly #pool: LeaseOwner<Resource>;
  #slot: Slot<Resource> | undefined;

  constructor(pool: LeaseOwner<Resource>, slot: Slot<Resource>) {
    this.#pool = pool;
    this.#slot = slot;
    this.resource = slot.resource;
  }

  release(): void {
    this.#end(false);
  }

  discard(): void {
    this.#end(true);
  }

  [Symbol.dispose](): void {
    this.#end(false);
  }

  #end(isBroken: boolean): void {
    const slot = this.#slot;
    this.#slot = undefined;
    if (slot !== undefined) this.#pool.giveBack(slot, isBroken);
  }
}
