// Leaves a tier alone that does not answer, and looks from time to time whether it is back.
import type { Clock } from "@proj/concurrency";
import { checkCount, checkDuration } from "@proj/concurrency/options";

/** When a tier is left alone, and for how long. */
export interface TierBreakerOptions {
  /** After how many failures in a row; a wait that was too long is one. Default: 5. */
  readonly failures?: number | undefined;
  /** For how many milliseconds before it is tried once; doubles with each try that fails. Default: 1,000. */
  readonly openFor?: number | undefined;
  /** The most that it grows to, in milliseconds. Default: 30,000. */
  readonly openForAtMost?: number | undefined;
}

/** `"closed"` lets all through, `"open"` nobody, `"half-open"` has one try under way. */
export type TierState = "closed" | "open" | "half-open";

export class TierBreaker {
  state: TierState = "closed";
  /** How often it has opened, tries that failed not counted. */
  openings = 0;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #most: number;
  readonly #openFor: number;
  readonly #openForAtMost: number;
  #failures = 0;
  #nextFor: number;
  #tryAt = 0;

  constructor(clock: Clock, random: () => number, options: TierBreakerOptions = {}, action = "create a breaker") {
    const { failures = 5, openFor = 1_000, openForAtMost = 30_000 } = options;
    this.#clock = clock;
    this.#random = random;
    this.#most = checkCount(action, "breaker.failures", failures, 1);
    this.#openFor = checkDuration(action, "breaker.openFor", openFor);
    this.#openForAtMost = Math.max(openFor, checkDuration(action, "breaker.openForAtMost", openForAtMost));
    this.#nextFor = openFor;
  }

  /** Whether to call; the one that may when it was open makes the try, and must tell how it went. */
  enter(): boolean {
    if (this.state === "closed") return true;
    if (this.state === "half-open" || this.#clock.now() < this.#tryAt) return false;
    this.state = "half-open";
    return true;
  }

  /** Milliseconds until the next try may be made. */
  get waitMs(): number {
    return this.state === "closed" ? 0 : Math.max(0, this.#tryAt - this.#clock.now());
  }

  /** Returns whether it closes with that. */
  succeeded(): boolean {
    this.#failures = 0;
    if (this.state !== "half-open") return false; // an answer from before it opened says nothing about now
    this.state = "closed";
    this.#nextFor = this.#openFor;
    return true;
  }

  /** Returns whether it opens with that, having been closed. */
  failed(): boolean {
    if (this.state === "open" || (this.state === "closed" && ++this.#failures < this.#most)) return false;
    const isNew = this.state === "closed";
    this.state = "open";
    if (isNew) this.openings++;
    // Spread over the last quarter, so that processes do not all come at once.
    this.#tryAt = this.#clock.now() + this.#nextFor * (0.75 + this.#random() / 4);
    this.#nextFor = Math.min(this.#openForAtMost, this.#nextFor * 2);
    return isNew;
  }
}
