// Numbers for things that happen again and again, the same ones in each run with the same seed.
import { hashText, mix } from "./chaos-random.ts";

/** Identities that are counted at a time; then the oldest is counted from one again. */
const maxIdentities = 10_000;

/** Tells the first of a kind from the second, and so on. */
export class Subjects {
  readonly #seed: number;
  readonly #counts = new Map<string, number>();

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** A number for the next one of this kind. */
  next(identity: string): number {
    const count = this.#counts.get(identity) ?? 0;
    if (count === 0 && this.#counts.size >= maxIdentities) {
      for (const oldest of this.#counts.keys()) {
        this.#counts.delete(oldest);
        break;
      }
    }
    this.#counts.set(identity, count + 1);
    return mix(hashText(identity, this.#seed), count);
  }

  clear(): void {
    this.#counts.clear();
  }
}
