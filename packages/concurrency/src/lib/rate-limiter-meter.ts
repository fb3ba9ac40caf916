// The part in which rate limiters differ: how one algorithm counts.

/**
 * Counts for many keys, each of which has a slot: a small integer. The numbers of all slots lie in one typed array, so
 * that counting allocates nothing. `now` is the time of the limiter's clock and never runs backwards.
 */
export interface Meter {
  /** The most that a key can take at once when it has been idle. */
  readonly limit: number;
  /** Milliseconds in which the limit becomes available again. */
  readonly windowMs: number;
  /** The highest cost that can ever be taken. */
  readonly maxCost: number;
  /** Makes room for so many slots, and keeps what is there. Never called with less than before. */
  resize(slots: number): void;
  /** Makes a slot one of a key that has taken nothing. */
  open(slot: number, now: number): void;
  /** Takes `cost`, at most `maxCost`, and returns 0; or takes nothing and returns the milliseconds until it could. */
  take(slot: number, cost: number, now: number): number;
  /**
   * The milliseconds until `cost` could be taken after others have taken `ahead` units one by one, each as early as
   * possible: exact where nobody is ahead, else never too long. 0 when it can be taken now.
   */
  delay(slot: number, cost: number, ahead: number, now: number): number;
  /** Units, possibly with a fraction, that can be taken now. */
  available(slot: number, now: number): number;
  /** When the slot will be as good as new if nothing more is taken. */
  idleAt(slot: number): number;
}

/**
 * Milliseconds to tell a caller: whole ones, at least 1, so that a timer never fires too early. What is a whole number
 * but for the rounding of floating-point numbers stays one.
 */
export function wholeMs(ms: number): number {
  return Math.max(1, Math.ceil(ms * (1 - 1e-12)));
}

/**
 * How far a count may miss its mark by the rounding of floating-point numbers. Without it, a caller who waited exactly
 * as told could be sent back. It does not add up: what is taken too much is missing from the next count.
 */
export function toleranceOf(limit: number): number {
  return Math.max(1e-6, limit * 1e-9);
}
