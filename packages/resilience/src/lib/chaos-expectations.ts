// What a scenario can be expected to show.
import { checkDuration, checkPositive, checkRatio } from "@proj/concurrency/options";
import type { ScenarioReport, ScenarioVerdict } from "./chaos-scenario-report.ts";
import { time } from "./chaos-scenario-text.ts";

/** Something that should be so. */
export interface Expectation {
  /** As in reports. */
  readonly name: string;
  /** Milliseconds after the last action that the scenario has to go on for it, unless `for` says otherwise. */
  readonly horizon?: number | undefined;
  /** Looks at what came of the scenario. */
  check(report: ScenarioReport): Omit<ScenarioVerdict, "name">;
}

/** Which calls count. */
export interface ExpectationOptions {
  /** Those that began then or later: milliseconds since the scenario began, or `"heal"` for when it was healed. Default: 0. */
  readonly after?: number | "heal" | undefined;
  /** Those that had ended by then: milliseconds, or `"fault"` for when the first one came. Default: all. */
  readonly before?: number | "fault" | undefined;
}

/**
 * Within so many milliseconds after the last `heal`, calls succeed again and go on to do so. See
 * `ScenarioReport.recoveryMs` for what exactly is measured.
 *
 * @throws RangeError or TypeError for a time that is none
 * @example
 * ```ts
 * import { recoveredWithin } from "@proj/resilience/chaos";
 *
 * console.log(recoveredWithin(5_000).name); // prints: recovered within 5.00 s
 * ```
 */
export function recoveredWithin(ms: number): Expectation {
  checkDuration("expect recovery", "ms", ms);
  return {
    name: `recovered within ${time(ms)}`,
    horizon: ms,
    check({ healedAt, recoveryMs }) {
      if (healedAt === undefined) return { met: false, detail: "it was never healed" };
      if (recoveryMs === undefined) return { met: false, detail: "it has not recovered" };
      return { met: recoveryMs <= ms, detail: time(recoveryMs) };
    },
  };
}

/**
 * Less than this share of the calls fails, from 0 to 1. Where nothing was called, nothing is proved, and it is not met.
 *
 * @throws RangeError or TypeError for a rate that is none
 * @example
 * ```ts
 * import { errorRateBelow } from "@proj/resilience/chaos";
 *
 * console.log(errorRateBelow(0.01, { after: "heal" }).name); // prints: error rate below 1% after heal
 * ```
 */
export function errorRateBelow(rate: number, options: ExpectationOptions = {}): Expectation {
  checkRatio("expect an error rate", "rate", rate);
  return {
    name: `error rate below ${percent(rate)}${part(options)}`,
    check(report) {
      const calls = callsOf(report, options);
      const failed = calls.filter(({ error }) => error !== undefined).length;
      const met = calls.length > 0 && (failed / calls.length < rate || failed === 0);
      return { met, detail: `${percent(failed / calls.length)}, ${failed} of ${calls.length}` };
    },
  };
}

/**
 * Calls fail in no other way than with these codes or names.
 *
 * @example
 * ```ts
 * import { noErrorsOtherThan } from "@proj/resilience/chaos";
 *
 * console.log(noErrorsOtherThan(["ECONNREFUSED"]).name); // prints: no errors other than ECONNREFUSED
 * ```
 */
export function noErrorsOtherThan(codes: readonly string[], options: ExpectationOptions = {}): Expectation {
  return {
    name: codes.length === 0 ? `no errors${part(options)}` : `no errors other than ${codes.join(", ")}${part(options)}`,
    check(report) {
      const others = callsOf(report, options).flatMap(({ error }) =>
        error === undefined || codes.includes(error) ? [] : [error],
      );
      const counts = [...new Set(others)].map((code) => `${code} ${others.filter((other) => other === code).length}`);
      return { met: others.length === 0, detail: others.length === 0 ? "none" : counts.join(", ") };
    },
  };
}

/**
 * As many calls succeed per second as this share of those before the first fault: 1 is all of them.
 *
 * @throws RangeError or TypeError for a share that is none
 * @example
 * ```ts
 * import { throughputAbove } from "@proj/resilience/chaos";
 *
 * console.log(throughputAbove(0.8, { after: "heal" }).name); // prints: throughput above 80% after heal
 * ```
 */
export function throughputAbove(share: number, options: ExpectationOptions = {}): Expectation {
  checkPositive("expect throughput", "share", share);
  return {
    name: `throughput above ${percent(share)}${part(options)}`,
    check(report) {
      const before = rateOf(report, 0, report.brokenAt ?? report.durationMs);
      const [from, to] = boundsOf(report, options);
      const now = rateOf(report, from, Math.min(to, report.durationMs));
      return { met: now >= before * share, detail: `${Math.round(now)}/s of ${Math.round(before)}/s` };
    },
  };
}

/**
 * This share of the calls that succeed, by default 0.99, takes less than so many milliseconds.
 *
 * @throws RangeError or TypeError for numbers that make no sense
 * @example
 * ```ts
 * import { latencyBelow } from "@proj/resilience/chaos";
 *
 * console.log(latencyBelow(100, { quantile: 0.5 }).name); // prints: 50% of calls below 100 ms
 * ```
 */
export function latencyBelow(
  ms: number,
  options: ExpectationOptions & {
    /** Of which share of the calls, from 0 to 1. Default: 0.99. */
    readonly quantile?: number | undefined;
  } = {},
): Expectation {
  const { quantile = 0.99 } = options;
  checkDuration("expect a latency", "ms", ms);
  checkRatio("expect a latency", "quantile", quantile);
  return {
    name: `${percent(quantile)} of calls below ${time(ms)}${part(options)}`,
    check(report) {
      const times = callsOf(report, options)
        .flatMap(({ startedAt, endedAt, error }) => (error === undefined ? [endedAt - startedAt] : []))
        .toSorted((a, b) => a - b);
      const value = times[Math.min(times.length - 1, Math.floor(times.length * quantile))];
      return { met: value !== undefined && value < ms, detail: value === undefined ? "no calls" : time(value) };
    },
  };
}

/**
 * The work is not done many times over: at most `factor` attempts per call, counted where they arrive. This is what
 * retries without a budget break. `attempts` tells those since the scenario began, without its `warmUp`.
 *
 * @throws RangeError or TypeError for a factor that is none
 * @example
 * ```ts
 * import { amplificationBelow } from "@proj/resilience/chaos";
 *
 * let attempts = 0; // counted by the server
 * console.log(amplificationBelow(1.2, () => attempts).name); // prints: at most 1.2 attempts per call
 * ```
 */
export function amplificationBelow(factor: number, attempts: () => number): Expectation {
  checkPositive("expect an amplification", "factor", factor);
  return {
    name: `at most ${factor} attempts per call`,
    check({ calls, unfinished }) {
      const amplification = attempts() / Math.max(1, calls.length + unfinished);
      return { met: amplification <= factor, detail: amplification.toFixed(2) };
    },
  };
}

function boundsOf(report: ScenarioReport, { after = 0, before }: ExpectationOptions): [from: number, to: number] {
  const never = Number.POSITIVE_INFINITY;
  const to = before === "fault" ? (report.brokenAt ?? never) : (before ?? never);
  return [after === "heal" ? (report.healedAt ?? never) : after, to];
}

function callsOf(report: ScenarioReport, options: ExpectationOptions): ReturnType<ScenarioReport["callsBetween"]> {
  return report.callsBetween(...boundsOf(report, options));
}

function rateOf({ calls }: ScenarioReport, from: number, to: number): number {
  const good = calls.filter(({ endedAt, error }) => error === undefined && endedAt >= from && endedAt < to).length;
  return to > from ? (good * 1_000) / (to - from) : 0;
}

function part({ after, before }: ExpectationOptions): string {
  const from = after === undefined ? "" : ` after ${after === "heal" ? after : time(after)}`;
  return from + (before === undefined ? "" : ` before ${before === "fault" ? before : time(before)}`);
}

function percent(share: number): string {
  return Number.isNaN(share) ? "nothing" : `${Number((share * 100).toFixed(1))}%`;
}
