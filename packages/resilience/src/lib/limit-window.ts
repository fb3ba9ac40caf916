// What every algorithm of an adaptive limit has in common: it looks at calls by the window, and keeps within bounds.

/** The calls of one window. */
export interface LimitWindow {
  /** When it closed. */
  readonly now: number;
  /** Mean milliseconds of those that were answered; NaN if none was. */
  readonly mean: number;
  /** The standard error of `mean`, as a share of it. */
  readonly noise: number;
  /** The share of calls that were dropped: those that timed out, or that the dependency sent away. */
  readonly drops: number;
  /** The most that were in flight at a time. */
  readonly peak: number;
}

export interface LimitBounds {
  readonly initial: number;
  readonly min: number;
  readonly max: number;
  /** Milliseconds of a window, or more if that is too short for a few calls. */
  readonly window: number;
  /** Milliseconds for which a peak of calls in flight counts. */
  readonly stabilization: number;
}

/** A window has at least so many calls. */
const leastCalls = 10;
/** And is at least so many calls long, one after the other: less is too much of a snapshot. */
const leastTurns = 4;
/** A limit is at most so many times what is used. */
const mostUnused = 3;
/** A window with more drops than this is one of overload. */
const toleratedDrops = 0.05;

/** Decides how many calls may be in flight, by how long they take. It has no timer: ended calls move its time on. */
export abstract class WindowedLimit {
  /** Not a whole number, so that small steps add up. */
  protected exact: number;
  protected readonly bounds: LimitBounds;
  #current: number;
  #startedAt = Number.NaN;
  #length: number;
  #answers = 0;
  #drops = 0;
  #sum = 0;
  #squares = 0;
  #peak = 0;
  /** The highest peak of this stabilization time, and of the one before. */
  #highest = 0;
  #highestBefore = 0;
  #stableUntil = Number.NaN;

  constructor(bounds: LimitBounds) {
    this.bounds = bounds;
    this.exact = bounds.initial;
    this.#current = bounds.initial;
    this.#length = bounds.window;
  }

  /** How many calls may be in flight now. */
  get limit(): number {
    return this.#current;
  }

  /** A call has been answered; `inFlight` counts it. */
  onAnswer(startedAt: number, endedAt: number, inFlight: number): void {
    if (!this.counts(endedAt)) return;
    this.#answers++;
    const latency = endedAt - startedAt;
    this.#sum += latency;
    this.#squares += latency * latency;
    this.#onEnd(endedAt, inFlight);
  }

  /** A call has timed out, or was sent away. */
  onDrop(endedAt: number, inFlight: number): void {
    if (!this.counts(endedAt)) return;
    this.#drops++;
    this.#onEnd(endedAt, inFlight);
  }

  /**
   * Whether calls that end now tell how long calls take. By their end and not by their start: of those that started of
   * late only the fast ones have ended.
   */
  protected counts(_endedAt: number): boolean {
    return true;
  }

  /** Takes a window into account, and returns how many calls may be in flight until the next one. */
  protected abstract decide(window: LimitWindow): number;

  protected isOverloaded({ drops }: LimitWindow): boolean {
    return drops > toleratedDrops;
  }

  /** Whether as many calls were in flight as may be: only then there is a reason to allow more. */
  protected isUsed({ peak }: LimitWindow): boolean {
    return peak >= 0.9 * this.#current;
  }

  #onEnd(now: number, inFlight: number): void {
    if (inFlight > this.#peak) this.#peak = inFlight;
    if (Number.isNaN(this.#startedAt)) this.#startedAt = now;
    if (now - this.#startedAt < this.#length || this.#answers + this.#drops < leastCalls) return;
    this.#close(now);
  }

  #close(now: number): void {
    const answers = this.#answers;
    const mean = answers === 0 ? Number.NaN : this.#sum / answers;
    const variance = Math.max(0, this.#squares / answers - mean * mean);
    const noise = mean > 0 ? Math.sqrt(variance / answers) / mean : 0;
    const drops = this.#drops / (answers + this.#drops);
    const window: LimitWindow = { now, mean, noise, drops, peak: this.#peak };
    this.#capByUse(window);
    const { min, max } = this.bounds;
    this.#current = Math.max(min, Math.min(max, Math.floor(this.decide(window) + 1e-9)));
    if (answers > 0) this.#length = Math.max(this.bounds.window, leastTurns * mean);
    this.#startedAt = now;
    this.#answers = 0;
    this.#drops = 0;
    this.#sum = 0;
    this.#squares = 0;
    this.#peak = 0;
  }

  /** What was right for many calls may be far too much when they come again, hours later: a limit sinks with its use. */
  #capByUse({ now, peak }: LimitWindow): void {
    const { stabilization, initial } = this.bounds;
    if (!(now < this.#stableUntil)) {
      this.#stableUntil = now + stabilization;
      this.#highestBefore = this.#highest;
      this.#highest = 0;
    }
    this.#highest = Math.max(this.#highest, peak);
    const cap = mostUnused * Math.max(this.#highest, this.#highestBefore);
    this.exact = Math.min(this.exact, Math.max(initial, cap));
  }
}
