// Removes what has expired without being asked: one timer for a whole cache.
import type { Clock, Timer } from "@proj/concurrency";
import { type CoarseClock, outside } from "./cache-clock.ts";
import type { Store } from "./cache-store.ts";

/** Entries removed before others get to run. */
const removedAtOnce = 1_000;
/** The finest that the wheel tells apart, in milliseconds. */
const slack = 16;
const never = Number.POSITIVE_INFINITY;

/** Keeps neither the process nor the cache alive, and has no timer when nothing expires. */
export class Sweeper<K, V> {
  readonly #store: Store<K, V>;
  readonly #clock: Clock;
  readonly #coarse: CoarseClock;
  readonly #self = new WeakRef<{ sweep(): void }>(this);
  #timer: Timer | undefined;
  #at = never;

  constructor(store: Store<K, V>, clock: Clock, coarse: CoarseClock) {
    this.#store = store;
    this.#clock = clock;
    this.#coarse = coarse;
  }

  /** Something expires then. */
  expect(deadline: number, now: number): void {
    if (deadline + slack < this.#at) this.#arm(now);
  }

  stop(): void {
    this.#timer?.clear();
    this.#timer = undefined;
    this.#at = never;
  }

  sweep(): void {
    const now = this.#coarse.exact();
    this.#store.sweep(now, removedAtOnce);
    this.#arm(now);
    this.#store.removals.tell();
  }

  #arm(now: number): void {
    this.stop();
    const at = this.#store.expiry?.nextAt() ?? never;
    if (at === never) return;
    this.#at = at;
    this.#timer = outside(() => this.#clock.setTimeout(sweep, Math.max(1, at - now), this.#self));
  }
}

function sweep(sweeper: WeakRef<{ sweep(): void }>): void {
  sweeper.deref()?.sweep();
}
