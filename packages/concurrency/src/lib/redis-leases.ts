// Units fetched ahead from a distant bucket, so that a key in constant use need not ask each time.
import type { Clock } from "./clock.ts";

interface LeasesOptions {
  readonly clock: Clock;
  /** Most units to fetch ahead for a key. */
  readonly lease: number;
  /** Milliseconds to leave an empty bucket alone, so that more than one unit gathers in it. */
  readonly pause: number;
  readonly maxKeys: number;
  /** Takes between `need` and `want` units, or none and tells how long to wait; undefined when nobody answers. */
  fetch(key: string, need: number, want: number): Promise<{ taken: number; wait: number } | undefined>;
}

/** What is known of a key. */
interface Lease {
  units: number;
  /** The units are given up then, so that an idle process does not sit on them. */
  expiresAt: number;
  /** Until then the bucket cannot have as many units as `refusedCost`. */
  refusedUntil: number;
  refusedCost: number;
  /** Then the bucket is asked all the same: it may have been reset. */
  askAgainAt: number;
  /** How many units to fetch next. */
  want: number;
  fetchedAt: number;
  /** What all those together want to spend who wait for a fetch. */
  demand: number;
  fetching: Promise<boolean> | undefined;
}

/** Milliseconds that a lease lasts, and a refusal without another question. */
const lifetime = 1_000;
/** A lease used up sooner than this, in milliseconds, was too small. */
const busy = 50;
/** One that lasted longer than this was too large. */
const quiet = 200;

export class Leases {
  readonly #options: LeasesOptions;
  readonly #leases = new Map<string, Lease>();

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  /** How many keys something is known of. */
  get size(): number {
    return this.#leases.size;
  }

  /** Spends leased units and returns 0; or returns the milliseconds to wait, or undefined when the bucket must say. */
  spend(key: string, cost: number): number | undefined {
    const lease = this.#leases.get(key);
    return lease === undefined ? undefined : this.#spend(lease, cost, this.#options.clock.now());
  }

  /** The same after asking the bucket; undefined when nobody answers. All who ask for a key at a time ask together. */
  async fetchAndSpend(key: string, cost: number): Promise<number | undefined> {
    const lease = this.#lease(key);
    lease.demand += cost;
    try {
      if (lease.fetching !== undefined) {
        if (!(await lease.fetching)) return undefined;
        const wait = this.#spend(lease, cost, this.#options.clock.now());
        if (wait !== undefined) return wait;
      }
      lease.fetching ??= this.#fetch(key, lease, cost);
      if (!(await lease.fetching)) return undefined;
      return this.#spend(lease, cost, this.#options.clock.now()) ?? 1;
    } finally {
      lease.demand -= cost;
    }
  }

  giveBack(key: string, cost: number): void {
    this.#lease(key).units += cost;
  }

  forget(key: string): void {
    this.#leases.delete(key);
  }

  async #fetch(key: string, lease: Lease, need: number): Promise<boolean> {
    const { clock, fetch, pause } = this.#options;
    this.#adapt(lease, clock.now());
    const want = Math.max(lease.demand, lease.want);
    const answer = await fetch(key, need, want);
    lease.fetching = undefined;
    if (answer === undefined) return false;
    const now = clock.now();
    if (now >= lease.expiresAt) lease.units = 0;
    lease.units += answer.taken;
    lease.expiresAt = now + lifetime;
    if (answer.taken < want) {
      lease.refusedUntil = now + Math.max(answer.wait, pause);
      lease.refusedCost = answer.taken === 0 ? need : 1;
      lease.askAgainAt = now + lifetime;
    }
    return true;
  }

  /** As much as is used in some 50 to 200 ms. */
  #adapt(lease: Lease, now: number): void {
    const lasted = now - lease.fetchedAt;
    lease.fetchedAt = now;
    if (lasted < busy) lease.want = Math.min(this.#options.lease, lease.want * 2);
    else if (lasted > quiet) lease.want = 1;
  }

  #spend(lease: Lease, cost: number, now: number): number | undefined {
    if (lease.units >= cost && now < lease.expiresAt) {
      lease.units -= cost;
      return 0;
    }
    if (cost < lease.refusedCost || now >= Math.min(lease.refusedUntil, lease.askAgainAt)) return undefined;
    return Math.max(1, Math.ceil(lease.refusedUntil - now));
  }

  #lease(key: string): Lease {
    const known = this.#leases.get(key);
    if (known !== undefined) return known;
    if (this.#leases.size >= this.#options.maxKeys) this.#makeRoom();
    const never = Number.NEGATIVE_INFINITY;
    const lease: Lease = {
      units: 0,
      expiresAt: never,
      refusedUntil: never,
      refusedCost: 1,
      askAgainAt: never,
      want: 1,
      fetchedAt: never,
      demand: 0,
      fetching: undefined,
    };
    this.#leases.set(key, lease);
    return lease;
  }

  /** Forgets what is out of date, and a sixteenth of the oldest if that is not enough: their units are given up. */
  #makeRoom(): void {
    const now = this.#options.clock.now();
    for (const [key, { demand, expiresAt }] of this.#leases) {
      if (demand === 0 && expiresAt <= now) this.#leases.delete(key);
    }
    let surplus = this.#leases.size - Math.floor((this.#options.maxKeys * 15) / 16);
    for (const [key, { demand }] of this.#leases) {
      if (surplus-- <= 0) break;
      if (demand === 0) this.#leases.delete(key);
    }
  }
}
