// Finds how many calls a dependency can do at a time by what its answers take: with more than that they queue there.
import { type LimitBounds, type LimitWindow, WindowedLimit } from "./limit-window.ts";

/** An experiment is made with so much of the calls that were in flight. */
const reduced = 0.75;
/** How much latency follows the calls in flight when they queue is 1, when they do not is 0. */
const queueing = 0.6;
/** How much the latency without load changes between experiments, as a share of it. */
const drift = 0.05;
/** Latency that has risen so much calls for an experiment. */
const jump = 1.3;
/** Without a queue to be seen. */
const unqueued = 1.02;
/** How much the slowdown changes from window to window. */
const change = 0.04;
/** Calls certainly queue. */
const steep = 1.2;
/** So much of the noise is not held against a window: else the limit would sink by chance alone. */
const tolerance = 0.25;
/** Windows between experiments while they tell something new. */
const soon = 4;
/** Turns until the calls from before an experiment are gone. */
const settling = 2;
const backoff = 0.9;
const smoothing = 0.5;

interface Experiment {
  /** What counts are calls that end after this: by then those from before have left the queue. */
  readonly since: number;
  readonly limit: number;
  /** What it is compared with. */
  readonly before: LimitWindow;
}

/**
 * As Netflix's Gradient2 it sinks by the ratio of the latency without load to that of now, and rises by a share of its
 * root. Other than there, the latency without load is no long-term mean, which rises with every queue that stays and
 * takes the limit along. It is measured: now and then, and when the latency jumps, for a moment with a quarter less calls
 * in flight. If those are as much faster, they have queued, else this is what they take.
 */
export class GradientLimit extends WindowedLimit {
  readonly #interval: number;
  /** Milliseconds that a call takes when nothing queues. */
  #base = Number.NaN;
  /** Of the base, as a share of it and squared: at first nearly nothing is known. */
  #variance = 0.3 ** 2;
  /** Of calls now, in terms of the base. */
  #slowdown = 1;
  #slowdownVariance = 0;
  /** Where it has begun to shrink, and what calls took then. */
  #anchor: { readonly limit: number; readonly level: number } | undefined;
  #isWarm = false;
  /** Grows fast until calls are seen to queue for the first time. */
  #isStarting = true;
  #doublings = 0;
  #experiment: Experiment | undefined;
  #nextExperiment = Number.NEGATIVE_INFINITY;
  /** Windows until then. */
  #patience = soon;
  /** Until then the base is fresh from an experiment. */
  #trustedUntil = Number.NEGATIVE_INFINITY;

  constructor(bounds: LimitBounds, interval: number) {
    super(bounds);
    this.#interval = interval;
  }

  /** Milliseconds that a call takes when nothing queues, as far as is known. */
  get base(): number {
    return this.#base;
  }

  protected override counts(endedAt: number): boolean {
    return this.#experiment === undefined || endedAt >= this.#experiment.since;
  }

  protected decide(window: LimitWindow): number {
    const experiment = this.#experiment;
    this.#experiment = undefined;
    if (this.isOverloaded(window)) {
      this.#doublings = 0;
      this.#set(this.exact * backoff);
    } else if (window.mean === 0) {
      return this.exact; // on a clock that stands still, or for calls that take no time: nothing can be compared
    } else if (experiment !== undefined) {
      this.#learn(experiment, window);
    } else {
      this.#cruise(window);
    }
    // What was begun just now, if anything.
    return (this.#experiment as Experiment | undefined)?.limit ?? this.exact;
  }

  #cruise(window: LimitWindow): void {
    const { mean, peak, now } = window;
    if (Number.isNaN(this.#base)) {
      if (this.#isWarm) this.#base = mean;
      this.#isWarm = true; // the first to end are the fastest
      return;
    }
    if (peak * 2 <= this.exact) {
      this.#base += 0.2 * (mean - this.#base); // nothing queues
      this.#doublings = 0;
      return;
    }
    const hasJumped = mean > this.#base * jump && now >= this.#trustedUntil;
    if ((hasJumped || now >= this.#nextExperiment) && this.#begin(window)) return;
    const isUsed = this.isUsed(window);
    const slowdown = this.#reconsider(this.#smooth(window));
    const gradient = Math.max(0.5, Math.min(1, (1 + tolerance * window.noise) / slowdown));
    if (!isUsed) {
      // Noise must not wear it down while nobody needs it.
      if (gradient < 1 / 1.1) this.#set(this.exact * gradient);
      this.#doublings = 0;
      return;
    }
    if (mean > this.#base * steep) this.#isStarting = false;
    const isUnqueued = slowdown <= unqueued + tolerance * window.noise;
    this.#doublings = isUnqueued ? this.#doublings + 1 : 0;
    const growth = this.#isStarting ? this.exact : this.#headroom * 2 ** Math.max(0, this.#doublings - 3);
    this.#set(this.exact + smoothing * (this.exact * gradient + Math.min(growth, this.exact) - this.exact));
  }

  /** How many times as long as without load calls take, without most of the noise (a Kalman filter). */
  #smooth({ mean, noise }: LimitWindow): number {
    const measured = noise ** 2 + 1e-6;
    this.#slowdownVariance += change ** 2;
    const surprise = mean / this.#base - this.#slowdown;
    const isSudden = surprise ** 2 > 9 * (this.#slowdownVariance + measured);
    const gain = isSudden ? 1 : this.#slowdownVariance / (this.#slowdownVariance + measured);
    this.#slowdown += gain * surprise;
    if (isSudden) this.#anchor = undefined;
    this.#slowdownVariance = isSudden ? measured : (1 - gain) * this.#slowdownVariance;
    return this.#slowdown;
  }

  /** It has shrunk for a while, by and by, and calls have not become faster: then the base was too low. */
  #reconsider(slowdown: number): number {
    const level = slowdown * this.#base;
    const anchor = this.#anchor;
    if (anchor === undefined || this.exact > anchor.limit || slowdown > steep) {
      this.#anchor = { limit: this.exact, level };
    } else if (this.exact < reduced * anchor.limit) {
      this.#anchor = { limit: this.exact, level };
      if (Math.log(anchor.level / level) / Math.log(anchor.limit / this.exact) < queueing) {
        this.#base = level;
        this.#slowdown = 1;
        return 1;
      }
    }
    return slowdown;
  }

  /** Starts an experiment, unless there are too few calls to do with less. */
  #begin(before: LimitWindow): boolean {
    const limit = Math.max(this.bounds.min, Math.floor(before.peak * reduced));
    if (limit >= before.peak) {
      this.#base = before.mean; // as few as can be: whatever they take, it is not for the others
      return false;
    }
    this.#experiment = { since: before.now + settling * before.mean, limit, before };
    return true;
  }

  /** What an experiment tells. It may be wrong, for latency is noisy; the next one comes soon if it told something new. */
  #learn({ before }: Experiment, window: LimitWindow): void {
    const { mean, peak, now } = window;
    const length = Math.max(this.bounds.window, 4 * mean);
    const fewer = peak / before.peak;
    let wait = soon;
    if (fewer <= 0.9) {
      const base = this.#base;
      const isQueueing = Math.log(before.mean / mean) / Math.log(1 / fewer) > queueing;
      if (isQueueing && mean > base * 1.1) {
        this.#shrink((peak * base) / mean);
      } else if (!this.#correct(window)) {
        wait = Math.min(this.#patience * 2, Math.max(soon, this.#interval / length));
      } else if (isQueueing && mean < base * 0.85) {
        this.#shrink(peak); // they have queued since before the base was measured, and may do so still
        wait = 0;
      }
    }
    this.#patience = Math.max(soon, wait);
    this.#nextExperiment = now + wait * length;
    this.#trustedUntil = now + soon * length;
  }

  /** Weighs what was measured against what was known, each by its noise (a Kalman filter). Returns whether they differ. */
  #correct({ mean, noise }: LimitWindow): boolean {
    const known = this.#variance + drift ** 2;
    const measured = noise ** 2 + 1e-6;
    const surprise = mean / this.#base - 1;
    if (surprise ** 2 > 9 * (known + measured)) {
      this.#base = mean;
      this.#variance = measured;
      return true;
    }
    const gain = known / (known + measured);
    this.#base *= 1 + gain * surprise;
    this.#variance = (1 - gain) * known;
    return Math.abs(gain * surprise) > 0.05;
  }

  /** How many calls may queue, so that there is always one to go on with. */
  get #headroom(): number {
    return Math.max(1, Math.sqrt(this.exact) * 0.25);
  }

  #shrink(limit: number): void {
    this.#anchor = undefined;
    this.#doublings = 0;
    this.#set(limit + this.#headroom);
  }

  #set(limit: number): void {
    this.exact = Math.max(this.bounds.min, Math.min(this.bounds.max, limit));
  }
}
