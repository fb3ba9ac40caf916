// One call more while all is well, a tenth less when it is not: for those who know how slow is too slow.
import { type LimitBounds, type LimitWindow, WindowedLimit } from "./limit-window.ts";

const backoff = 0.9;

/** Additive increase, multiplicative decrease. */
export class AimdLimit extends WindowedLimit {
  readonly #target: number;

  constructor(bounds: LimitBounds, target: number) {
    super(bounds);
    this.#target = target;
  }

  protected decide(window: LimitWindow): number {
    const { min, max } = this.bounds;
    if (this.isOverloaded(window) || window.mean > this.#target) this.exact = Math.max(min, this.exact * backoff);
    else if (this.isUsed(window)) this.exact = Math.min(max, this.exact + 1);
    return this.exact;
  }
}
