// Remembers at which sizes values become smaller, so that no time is spent on those that do not.

interface Gain {
  /** Tries in a row that gained too little. */
  losses: number;
  /** Values that are not tried. */
  rest: number;
  /** How many were let pass the last time. */
  pause: number;
}

/** What a try must save to count: less than a tenth is not worth the time to read it. */
const worthwhile = 0.9;
const lossesToGiveUp = 4;
const firstPause = 32;
const longestPause = 4_096;

export class Gains {
  /** By the power of two below the size: what is about as large is often of the same kind. */
  readonly #bySize: Gain[] = Array.from({ length: 33 }, () => ({ losses: 0, rest: 0, pause: firstPause }));

  /** Whether to try it. */
  isWorth(size: number): boolean {
    const gain = this.#of(size);
    if (gain.rest === 0) return true;
    gain.rest--;
    return false;
  }

  /** Whether a try has gained enough. */
  isGain(size: number, compressedSize: number): boolean {
    const gain = this.#of(size);
    if (compressedSize <= size * worthwhile) {
      gain.losses = 0;
      gain.pause = firstPause;
      return true;
    }
    if (++gain.losses < lossesToGiveUp) return false;
    gain.losses = lossesToGiveUp - 1; // one more failure is enough after a pause
    gain.rest = gain.pause;
    gain.pause = Math.min(longestPause, gain.pause * 2);
    return false;
  }

  #of(size: number): Gain {
    return this.#bySize[32 - Math.clz32(size)] as Gain; // as many as there are bits
  }
}
