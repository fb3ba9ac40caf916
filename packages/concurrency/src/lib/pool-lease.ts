// What a caller holds while a resource is lent to it.
import { keepShape } from "./keep-shape.ts";
import type { PoolLease } from "./pool.ts";
import { Slot } from "./pool-slots.ts";

/** Takes back what was lent. */
export interface LeaseOwner<Resource> {
  giveBack(slot: Slot<Resource>, isBroken: boolean): void;
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

keepShape(new Lease({ giveBack: () => {} }, new Slot({})));
