// What somebody holds of a semaphore or a lock.
import { keepShape } from "./keep-shape.ts";

/** Permits that somebody holds. */
export interface Permit extends Disposable {
  /** How many. */
  readonly weight: number;
  /** Gives the permits back. Only the first call counts. */
  release(): void;
}

export class HeldPermit implements Permit {
  readonly weight: number;
  #release: ((weight: number) => void) | undefined;

  constructor(release: (weight: number) => void, weight: number) {
    this.#release = release;
    this.weight = weight;
  }

  release(): void {
    const release = this.#release;
    this.#release = undefined; // a second release must not free a permit that somebody else holds by now
    release?.(this.weight);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

keepShape(new HeldPermit(() => {}, 1));
