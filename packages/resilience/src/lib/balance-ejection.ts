// Takes endpoints that fail more than the others out of use for a while. Reads the clock from the calls; has no timers.
import { checkCount, checkDuration, checkRatio } from "@proj/concurrency/options";
import { type Member, type Members, Recent } from "./balance-members.ts";
import type { Call } from "./call.ts";

/**
 * When an endpoint is taken out of use, and for how long. Only if the others, taken together, fail at most half as often:
 * what fails everywhere is no matter of one endpoint.
 */
export interface EjectionOptions {
  /** Failures in a row that eject it; `Infinity` for never. Default: 5. */
  readonly consecutive?: number | undefined;
  /** The share of failures that ejects it. Default: 0.5. */
  readonly failureRate?: number | undefined;
  /** Calls that it needs of late before `failureRate` counts. Default: 20. */
  readonly minCalls?: number | undefined;
  /** Milliseconds; of late means in the current window of that length or the one before. Above 0. Default: 10,000. */
  readonly window?: number | undefined;
  /**
   * No more than this share of all endpoints is out of use by ejection at a time; of two, 0.5 is one. When one more should
   * be ejected, the one that has been out for longest comes back for it. Default: 0.5.
   */
  readonly maxShare?: number | undefined;
  /** Milliseconds of its first ejection; each further one takes twice as long as the one before. Default: 30,000. */
  readonly duration?: number | undefined;
  /** Milliseconds of the longest ejection. Default: 300,000. */
  readonly maxDuration?: number | undefined;
}

/** Why an endpoint was ejected. */
export type EjectionReason = "consecutive-failures" | "failure-rate";

/** What {@link Ejection} tells. */
export interface EjectionListener {
  ejected(member: Member, reason: EjectionReason, duration: number): void;
  returned(member: Member): void;
}

const never = Number.POSITIVE_INFINITY;

export class Ejection {
  readonly #members: Members;
  readonly #random: () => number;
  readonly #listener: EjectionListener;
  readonly #settings: Required<{ readonly [name in keyof EjectionOptions]: number }>;
  #out: Member[] = [];
  /** When the first of them comes back. */
  #nextReturn = never;
  /** Of all members that are not ejected. */
  readonly #recent = new Recent();

  constructor(options: EjectionOptions, members: Members, random: () => number, listener: EjectionListener) {
    this.#settings = settle(options);
    this.#members = members;
    this.#random = random;
    this.#listener = listener;
  }

  get count(): number {
    return this.#out.length;
  }

  /** Takes back those whose time is over. */
  check(now: number): void {
    if (now < this.#nextReturn) return;
    for (const member of this.#out) if (member.ejectedUntil <= now) this.#takeBack(member, now);
    this.#settle(now);
  }

  /** Those who are gone are no longer counted; those who are too many by now come back, the first ones first. */
  update(now: number): void {
    for (const member of this.#out) if (member.isGone) member.ejectedUntil = -never;
    this.#out = this.#out.filter((member) => member.isEjected);
    const surplus = this.#out.length - this.#most();
    if (surplus > 0) {
      this.#out.sort((one, other) => one.ejectedUntil - other.ejectedUntil);
      for (const member of this.#out.slice(0, surplus)) this.#takeBack(member, now);
    }
    this.#out = this.#out.filter((member) => member.isEjected);
    this.#nextReturn = this.#out.reduce((next, { ejectedUntil }) => Math.min(next, ejectedUntil), never);
  }

  /** Learns how a call has ended. */
  observe(member: Member, { outcome, endedAt }: Call): void {
    if (outcome === "ignore" || member.isGone) return;
    if (member.isEjected) return; // it began before
    const window = Math.floor(endedAt / this.#settings.window);
    const isFailure = outcome !== "ok";
    member.recent.count(window, isFailure);
    this.#recent.count(window, isFailure);
    member.failed = isFailure ? member.failed + 1 : 0;
    if (!isFailure) return;
    const isInRow = member.failed >= this.#settings.consecutive;
    if ((isInRow || this.#failsOften(member)) && this.#isWorse(member)) {
      this.#eject(member, isInRow ? "consecutive-failures" : "failure-rate", endedAt);
    }
  }

  #failsOften({ recent: { calls, failures } }: Member): boolean {
    return calls >= this.#settings.minCalls && failures >= this.#settings.failureRate * calls;
  }

  /** Than the others, if they had calls at all. */
  #isWorse({ recent: { calls, failures } }: Member): boolean {
    return 2 * (this.#recent.failures - failures) * calls <= failures * (this.#recent.calls - calls);
  }

  #most(): number {
    return Math.floor(this.#settings.maxShare * this.#members.all.length);
  }

  #eject(member: Member, reason: EjectionReason, now: number): void {
    if (this.#most() === 0) return;
    if (this.#out.length >= this.#most()) this.#takeBackOldest(now);
    const { duration, maxDuration } = this.#settings;
    const goodTimes = Math.floor((now - member.returnedAt) / Math.max(1, duration));
    member.ejections = Math.max(0, member.ejections - goodTimes) + 1;
    const jittered = (1 + this.#random() / 10) * duration; // so that those ejected together do not come back together
    const time = Math.min(maxDuration, jittered * 2 ** (member.ejections - 1));
    this.#recent.subtract(member.recent);
    member.recent.clear();
    member.ejectedAt = now;
    member.ejectedUntil = now + time;
    member.failed = 0;
    this.#out.push(member);
    this.#settle(now);
    this.#listener.ejected(member, reason, time);
  }

  /** In exchange for another one: perhaps it is well by now, as the other one is not. */
  #takeBackOldest(now: number): void {
    const [oldest] = this.#out.toSorted((one, other) => one.ejectedAt - other.ejectedAt);
    if (oldest !== undefined) this.#takeBack(oldest, now);
    this.update(now);
  }

  #takeBack(member: Member, now: number): void {
    member.ejectedUntil = -never;
    member.returnedAt = now;
    member.startedAt = now;
    member.failed = 0;
    this.#listener.returned(member);
  }

  #settle(now: number): void {
    this.update(now);
    this.#members.refresh(now);
  }
}

function settle(options: EjectionOptions) {
  const action = "balance";
  const { consecutive = 5, failureRate = 0.5, minCalls = 20, window = 10_000 } = options;
  const { maxShare = 0.5, duration = 30_000, maxDuration = 300_000 } = options;
  checkCount(action, "ejection.consecutive", consecutive, 1, true);
  checkRatio(action, "ejection.failureRate", failureRate);
  checkCount(action, "ejection.minCalls", minCalls, 1);
  checkDuration(action, "ejection.window", window);
  if (window === 0) throw new RangeError(`Cannot ${action}: ejection.window must be above 0 ms, got 0`);
  checkRatio(action, "ejection.maxShare", maxShare);
  checkDuration(action, "ejection.duration", duration);
  checkDuration(action, "ejection.maxDuration", maxDuration);
  return { consecutive, failureRate, minCalls, window, maxShare, duration, maxDuration };
}
