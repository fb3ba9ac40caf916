// Takes endpoints that fail more than the others out of use for a while. Reads the clock from the calls; has no timers.
import { checkCount, checkDuration, checkRatio } from "@proj/concurrency/options";
import type { Member, Members } from "./balance-members.ts";
import type { Call } from "./call.ts";

/** When an endpoint is taken out of use, and for how long. */
export interface EjectionOptions {
  /** Failures in a row that eject it; `Infinity` for never. Default: 5. */
  readonly consecutive?: number | undefined;
  /**
   * The share of failures in a window that ejects it, provided that the others together fail at most half as often: what
   * fails everywhere is no matter of one endpoint. Default: 0.5; 1 and above only where all fail.
   */
  readonly failureRate?: number | undefined;
  /** Calls that it needs in a window before `failureRate` counts. Default: 20. */
  readonly minCalls?: number | undefined;
  /** Milliseconds of a window. Above 0. Default: 10,000. */
  readonly window?: number | undefined;
  /** No more than this share of all endpoints is out of use by ejection at a time; of two, 0.5 is one. Default: 0.5. */
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
  /** Of all members in the current window. */
  #window = 0;
  #calls = 0;
  #failures = 0;

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
    this.#count(member, endedAt);
    if (outcome === "ok") {
      member.failed = 0;
      return;
    }
    member.failed++;
    member.windowFailures++;
    this.#failures++;
    if (member.isEjected) return;
    if (member.failed >= this.#settings.consecutive) this.#eject(member, "consecutive-failures", endedAt);
    else if (this.#isOutlier(member)) this.#eject(member, "failure-rate", endedAt);
  }

  #count(member: Member, now: number): void {
    const window = Math.floor(now / this.#settings.window);
    if (window !== this.#window) {
      this.#window = window;
      this.#calls = 0;
      this.#failures = 0;
    }
    if (window !== member.window) {
      member.window = window;
      member.windowCalls = 0;
      member.windowFailures = 0;
    }
    member.windowCalls++;
    this.#calls++;
  }

  #isOutlier({ windowCalls, windowFailures }: Member): boolean {
    const { minCalls, failureRate } = this.#settings;
    if (windowCalls < minCalls || windowFailures < failureRate * windowCalls) return false;
    const calls = this.#calls - windowCalls;
    const failures = this.#failures - windowFailures;
    return calls > 0 && 2 * failures * windowCalls <= windowFailures * calls;
  }

  #most(): number {
    return Math.floor(this.#settings.maxShare * this.#members.all.length);
  }

  #eject(member: Member, reason: EjectionReason, now: number): void {
    if (this.#out.length >= this.#most()) return;
    const { duration, maxDuration } = this.#settings;
    const goodTimes = Math.floor((now - member.returnedAt) / Math.max(1, duration));
    member.ejections = Math.max(0, member.ejections - goodTimes) + 1;
    const jittered = (1 + this.#random() / 10) * duration; // so that those ejected together do not come back together
    const time = Math.min(maxDuration, jittered * 2 ** (member.ejections - 1));
    member.ejectedUntil = now + time;
    member.failed = 0;
    this.#out.push(member);
    this.#nextReturn = Math.min(this.#nextReturn, member.ejectedUntil);
    this.#members.refresh(now);
    this.#listener.ejected(member, reason, time);
  }

  #takeBack(member: Member, now: number): void {
    member.ejectedUntil = -never;
    member.returnedAt = now;
    member.startedAt = now;
    member.failed = 0;
    member.windowCalls = 0;
    member.windowFailures = 0;
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
