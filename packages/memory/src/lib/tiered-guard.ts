// Calls of one tier: each ends in time, and none is made while the tier is left alone.
import type { Clock } from "@proj/concurrency";
import type { MaybePromise, Tier, TierOptions } from "./tier.ts";
import { TierBreaker, type TierBreakerOptions, type TierState } from "./tiered-breaker.ts";
import { bounded } from "./tiered-call.ts";

/** What a guard needs of its cache. */
export interface GuardSettings {
  readonly clock: Clock;
  readonly random: () => number;
  /** The longest wait for one call, in milliseconds. */
  readonly timeout: number;
  readonly breaker: TierBreakerOptions | undefined;
  onEvent(kind: "tier-failed" | "breaker-opened" | "breaker-closed", tier: string, error?: unknown): void;
}

/** How one call is made. */
export interface GuardedCall<T> {
  /** For messages. */
  readonly what: string;
  call(tier: Tier, options: TierOptions | undefined): MaybePromise<T>;
  /** Milliseconds to wait at most. Default: that of the settings. */
  readonly timeout?: number | undefined;
  readonly fill?: object | undefined;
  /** It took too long. `onLate` may follow. */
  onTimeout?(): void;
  /** What took too long has ended. */
  onLate?(hasHappened: boolean): void;
}

export class Guard {
  readonly tier: Tier;
  readonly counts = { hits: 0, misses: 0, writes: 0, failures: 0, skipped: 0, refused: 0 };
  readonly #settings: GuardSettings;
  readonly #breaker: TierBreaker;

  constructor(tier: Tier, settings: GuardSettings, action: string) {
    this.tier = tier;
    this.#settings = settings;
    this.#breaker = new TierBreaker(settings.clock, settings.random, settings.breaker, action);
  }

  get state(): TierState {
    return this.#breaker.state;
  }

  get openings(): number {
    return this.#breaker.openings;
  }

  /** Milliseconds until the next try. */
  get waitMs(): number {
    return this.#breaker.waitMs;
  }

  /** Whether to make a call. Who may must say how it went: {@link call} does. */
  enter(): boolean {
    if (this.#breaker.enter()) return true;
    this.counts.skipped++;
    return false;
  }

  /** Resolves with `undefined` when the tier is left alone, fails or takes too long; never rejects. */
  async tryCall<T>(call: GuardedCall<T>): Promise<T | undefined> {
    if (!this.enter()) return undefined;
    try {
      return await this.call(call);
    } catch {
      return undefined; // it was told already
    }
  }

  /** Makes a call after {@link enter}, and rejects as it does. */
  async call<T>({ what, call, timeout, fill, onTimeout, onLate }: GuardedCall<T>): Promise<T> {
    const { tier } = this;
    const { clock, timeout: usual, onEvent } = this.#settings;
    try {
      const options = fill === undefined ? undefined : { fill };
      const result = await bounded(clock, timeout ?? usual, what, () => call(tier, options), onLate);
      if (this.#breaker.succeeded()) onEvent("breaker-closed", tier.name);
      return result;
    } catch (error) {
      if ((error as Error | undefined)?.name === "TimeoutError") onTimeout?.();
      this.counts.failures++;
      onEvent("tier-failed", tier.name, error);
      if (this.#breaker.failed()) onEvent("breaker-opened", tier.name, error);
      throw error;
    }
  }
}
