// Takes away what nobody has needed for a while.
import type { Timer } from "./clock.ts";
import type { PoolSettings } from "./pool-settings.ts";
import type { IdleStack, Slot } from "./pool-slots.ts";

export class IdleSweep<Resource> {
  readonly #settings: PoolSettings<Resource>;
  readonly #stack: IdleStack<Resource>;
  readonly #size: () => number;
  readonly #destroy: (slot: Slot<Resource>) => void;
  #timer: Timer | undefined;

  /** `size` tells how many resources live. */
  constructor(
    settings: PoolSettings<Resource>,
    stack: IdleStack<Resource>,
    size: () => number,
    destroy: (slot: Slot<Resource>) => void,
  ) {
    this.#settings = settings;
    this.#stack = stack;
    this.#size = size;
    this.#destroy = destroy;
  }

  /** A resource has come to rest. */
  later(): void {
    const { idle, min, clock } = this.#settings;
    if (idle === Number.POSITIVE_INFINITY || this.#timer !== undefined || this.#size() <= min) return;
    this.#stack.mark();
    this.#timer = clock.setTimeout(() => this.#now(), idle);
  }

  stop(): void {
    this.#timer?.clear();
  }

  /** What has lain still since the last mark has done so for at least `idle` milliseconds. */
  #now(): void {
    const { idle, min, clock } = this.#settings;
    for (const slot of this.#stack.takeUntouched(this.#size() - min)) this.#destroy(slot);
    const isWorthwhile = this.#stack.length > 0 && this.#size() > min;
    this.#stack.mark();
    this.#timer = isWorthwhile ? clock.setTimeout(() => this.#now(), idle) : undefined;
  }
}
