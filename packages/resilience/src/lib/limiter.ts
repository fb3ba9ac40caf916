// What the two kinds of adaptive limit share: who is in flight, who is turned away, and who waits for better times.
import { Event, type WaitOptions } from "@proj/concurrency";
import type { AdaptiveLimitStats } from "./adaptive-limit.ts";
import type { AdaptiveLimitSettings } from "./adaptive-limit-options.ts";
import type { Call } from "./call.ts";
import { listening, tell } from "./events.ts";
import type { WindowedLimit } from "./limit-window.ts";
import { type OverloadedError, type OverloadReason, overloaded, type Rejecting, spread } from "./overloaded-error.ts";
import { PriorityCutoff } from "./priority-cutoff.ts";

/** Milliseconds between looks at the priorities. */
const interval = 500;
/** Of the calls that are not shed, so many find no place: with no more than there is room for, some places stay free. */
const surplus = 0.15;

export abstract class Limiter implements Rejecting {
  readonly kind = "shed";
  readonly name: string | undefined;
  readonly stack: boolean;
  inFlight = 0;
  protected readonly settings: AdaptiveLimitSettings;
  readonly #algorithm: WindowedLimit;
  readonly #priorities = new PriorityCutoff();
  /** Callers of `whenReady`, in order of arrival. */
  readonly #ready = new Set<Event>();
  #isHandingOn = false;
  #offered = 0;
  #refused = 0;
  #shed = 0;
  #nextLook = Number.NEGATIVE_INFINITY;
  #rejected = 0;

  constructor(settings: AdaptiveLimitSettings) {
    this.settings = settings;
    this.name = settings.name;
    this.stack = settings.stack;
    this.#algorithm = settings.algorithm;
  }

  get limit(): number {
    return this.#algorithm.limit;
  }

  get waiting(): number {
    return 0;
  }

  get pressure(): number {
    return Math.min(1, (this.inFlight + this.waiting) / (this.limit + this.settings.queue));
  }

  stats(): AdaptiveLimitStats {
    const { limit, inFlight, waiting, pressure } = this;
    return { limit, inFlight, waiting, pressure, shedding: this.#priorities.share, rejected: this.#rejected };
  }

  async whenReady(options: WaitOptions = {}): Promise<void> {
    if (this.inFlight < this.limit && this.#ready.size === 0) return;
    const event = new Event();
    this.#ready.add(event);
    try {
      await event.wait(options);
    } finally {
      this.#ready.delete(event);
    }
  }

  /** Counts a call that wants to come in, and throws if it has to make place for what is more important. */
  protected meet(call: Call): void {
    const { priority, startedAt } = call;
    const priorities = this.#priorities;
    if (startedAt >= this.#nextLook) this.#look(startedAt);
    this.#offered++;
    priorities.count(priority);
    if (priorities.share > 0 && !priorities.isTop(priority) && priorities.sheds(priority, this.settings.random)) {
      this.#shed++;
      throw this.reject(call, "priority");
    }
  }

  /** Whether there is a place. The less important a call is, the more places have to be free. */
  protected hasRoom({ priority }: Call): boolean {
    if (!this.#priorities.isNeeded) return this.inFlight < this.limit;
    return this.inFlight < Math.max(1, this.limit * this.#priorities.partOf(priority));
  }

  /** There was none. */
  protected refuse(call: Call, reason: OverloadReason): OverloadedError {
    this.#refused++;
    return this.reject(call, reason);
  }

  protected reject(call: Call, reason: OverloadReason): OverloadedError {
    this.#rejected++;
    return overloaded(this, call, reason, spread(this.settings.retryAfter, this.settings.random));
  }

  /** A call has left. */
  protected leave(call: Call): void {
    const { outcome, startedAt, endedAt } = call;
    const before = this.limit;
    if (outcome === "ok") this.#algorithm.onAnswer(startedAt, endedAt, this.inFlight);
    else if (outcome === "timeout" || (outcome === "fail" && call.retryAfterMs !== undefined)) {
      this.#algorithm.onDrop(endedAt, this.inFlight);
    }
    this.inFlight--;
    const { limit } = this;
    if (limit !== before && listening()) tell({ kind: "limit-changed", name: this.name ?? call.name, limit, before });
    if (this.#ready.size > 0) this.#wake(1 + Math.max(0, limit - before));
  }

  /** As many as there are new places: each who is woken is expected to take one. */
  #wake(places: number): void {
    let left = Math.min(places, this.limit - this.inFlight);
    for (const event of this.#ready) {
      if (left-- <= 0) break;
      this.#ready.delete(event);
      event.set();
    }
    if (this.#ready.size > 0 && this.inFlight < this.limit) this.#handOn();
  }

  /** One who was woken may have changed their mind: the others must not wait for a place that nobody takes. */
  #handOn(): void {
    if (this.#isHandingOn) return;
    this.#isHandingOn = true;
    setImmediate(() => {
      this.#isHandingOn = false;
      if (this.#ready.size > 0) this.#wake(this.limit - this.inFlight);
    });
  }

  #look(now: number): void {
    const priorities = this.#priorities;
    if (this.#refused === 0) {
      priorities.share = priorities.share < 0.01 ? 0 : priorities.share / 2;
    } else {
      const admitted = this.#offered - this.#shed - this.#refused;
      const needed = Math.max(0, 1 - admitted / (1 - surplus) / this.#offered);
      priorities.share += 0.5 * (needed - priorities.share);
    }
    priorities.update();
    this.#nextLook = now + interval;
    this.#offered = 0;
    this.#refused = 0;
    this.#shed = 0;
  }
}
