// What came of a scenario, in numbers, in words and as a picture.
import type { ScenarioActionKind } from "./chaos-actions.ts";
import type { ScenarioCall } from "./chaos-scenario-load.ts";
import { drawScenario } from "./chaos-scenario-svg.ts";
import { writeScenario } from "./chaos-scenario-text.ts";

/** Something that was done in a scenario. */
export interface ScenarioEvent {
  /** Milliseconds since the scenario began. */
  readonly at: number;
  /** Milliseconds that it took. */
  readonly tookMs: number;
  /** As the action says. */
  readonly kind: ScenarioActionKind;
  /** As the action says. */
  readonly label: string;
}

/** What became of the calls that ended in a part of a scenario. */
export interface ScenarioBucket {
  /** Milliseconds since the scenario began. */
  readonly at: number;
  /** Calls that succeeded. */
  readonly ok: number;
  /** Calls that failed. */
  readonly failed: number;
  /** How long half of those that succeeded took at most; `undefined` if there were none. */
  readonly medianMs: number | undefined;
}

/** Something that was expected. */
export interface ScenarioVerdict {
  /** What. */
  readonly name: string;
  /** Whether it was so. */
  readonly met: boolean;
  /** What was so. */
  readonly detail: string;
}

/** What a report is made of. */
export interface ScenarioFacts {
  /** Of the scenario. */
  readonly name: string;
  /** How long it took. */
  readonly durationMs: number;
  /** Milliseconds of each bucket. */
  readonly bucketMs: number;
  /** What was done, in order. */
  readonly events: readonly ScenarioEvent[];
  /** All calls that ended, in the order of their ends. */
  readonly calls: readonly ScenarioCall[];
  /** Calls that were not begun. */
  readonly skipped: number;
  /** Calls that were under way when it ended. */
  readonly unfinished: number;
  /** When those of them began that had no timeout. */
  readonly endless: readonly number[];
}

/**
 * What came of a scenario. Times are milliseconds since it began.
 *
 * @example
 * ```ts
 * import { TestClock } from "@proj/concurrency/testing";
 * import { act, heal, recoveredWithin, scenario } from "@proj/resilience/chaos";
 *
 * let isDown = false;
 * const outage = act("fault", "outage", () => {
 *   isDown = true;
 *   return { [Symbol.dispose]: () => (isDown = false) };
 * });
 * const task = () => (isDown ? Promise.reject(new Error("down")) : "ok");
 * const story = scenario("outage").load({ rate: 10, task }).at(1_000, outage).at(2_000, heal()).expect(recoveredWithin(5_000));
 * const report = await story.run({ clock: new TestClock() }); // a simulation
 * console.log(report.assert().recoveryMs, report.errors, report.passed); // prints: 0 { Error: 10 } true
 * ```
 */
export class ScenarioReport {
  /** Of the scenario. */
  readonly name: string;
  /** How long it took. */
  readonly durationMs: number;
  /** Milliseconds of each of the `buckets`. */
  readonly bucketMs: number;
  /** What was done, in order. */
  readonly events: readonly ScenarioEvent[];
  /** All calls that ended, in the order of their ends. */
  readonly calls: readonly ScenarioCall[];
  /** The calls, summed up in equal parts of the time in which they ended. */
  readonly buckets: readonly ScenarioBucket[];
  /** How many calls failed, by code or name, the most frequent first. */
  readonly errors: Readonly<Record<string, number>>;
  /** Calls that were not begun, as too many were under way. */
  readonly skipped: number;
  /** Calls that were under way when it ended. */
  readonly unfinished: number;
  /** When the first fault came; `undefined` if none did. */
  readonly brokenAt: number | undefined;
  /** When the last `heal` had happened; `undefined` if none has, or another fault followed. */
  readonly healedAt: number | undefined;
  /**
   * Milliseconds from then until the end of the first call that succeeded for good: of the calls that began after the
   * healing, no bucket failed for more than 5% any more. A call without a timeout that is still under way in the end has failed, too, if
   * it has waited for a second and longer than any that succeeded. `undefined` if it never was like that.
   */
  readonly recoveryMs: number | undefined;
  /** What was expected, filled in by the scenario. */
  verdicts: readonly ScenarioVerdict[] = [];

  constructor(facts: ScenarioFacts) {
    this.name = facts.name;
    this.durationMs = facts.durationMs;
    this.bucketMs = facts.bucketMs;
    this.events = facts.events;
    this.calls = facts.calls;
    this.skipped = facts.skipped;
    this.unfinished = facts.unfinished;
    this.buckets = bucketsOf(facts);
    this.errors = errorsOf(facts.calls);
    this.brokenAt = facts.events.find(({ kind }) => kind === "fault")?.at;
    const last = facts.events.findLast(({ kind }) => kind !== "note");
    this.healedAt = last?.kind === "heal" ? last.at + last.tookMs : undefined;
    this.recoveryMs = recoveryOf(facts, this.healedAt);
  }

  /** Whether all was as expected. */
  get passed(): boolean {
    return this.verdicts.every(({ met }) => met);
  }

  /** The calls that began at `after`, which is 0 by default, or later, and had ended before `before`. */
  callsBetween(after = 0, before = Number.POSITIVE_INFINITY): ScenarioCall[] {
    return this.calls.filter(({ startedAt, endedAt }) => startedAt >= after && endedAt < before);
  }

  /**
   * Returns the report itself if all was as expected.
   *
   * @throws ScenarioError with the whole report if something was not
   */
  assert(): this {
    if (!this.passed) throw new ScenarioError(this);
    return this;
  }

  /** For people. */
  toString(): string {
    return writeScenario(this);
  }

  /** A picture for light and dark backgrounds: calls and failures over time, what was done, and the recovery. */
  toSvg(): string {
    return drawScenario(this);
  }
}

/**
 * A scenario did not go as expected. The message is the whole report.
 *
 * @example
 * ```ts
 * import { errorRateBelow, scenario, ScenarioError } from "@proj/resilience/chaos";
 *
 * const fails = scenario("fails").load({ task: () => Promise.reject(new Error("no")) }).expect(errorRateBelow(0.5)).for(50);
 * const error = await fails.run().then((report) => report.assert()).catch((error: unknown) => error);
 * console.log(error instanceof ScenarioError, error instanceof ScenarioError && error.code);
 * // prints: true ERR_SCENARIO
 * ```
 */
export class ScenarioError extends Error {
  override readonly name = "ScenarioError";
  readonly code = "ERR_SCENARIO";
  /** All of it. */
  readonly report: ScenarioReport;

  constructor(report: ScenarioReport) {
    super(`The scenario did not go as expected\n${report}`);
    this.report = report;
  }
}

function bucketsOf({ durationMs, bucketMs, calls }: ScenarioFacts): ScenarioBucket[] {
  const groups = Array.from({ length: Math.max(1, Math.round(durationMs / bucketMs)) }, (): ScenarioCall[] => []);
  for (const call of calls) groups[Math.min(groups.length - 1, Math.floor(call.endedAt / bucketMs))]?.push(call);
  return groups.map((group, index) => {
    const good = group.filter(({ error }) => error === undefined);
    const times = good.map(({ startedAt, endedAt }) => endedAt - startedAt).toSorted((a, b) => a - b);
    const medianMs = times[Math.floor(times.length / 2)];
    return { at: index * bucketMs, ok: good.length, failed: group.length - good.length, medianMs };
  });
}

function errorsOf(calls: readonly ScenarioCall[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { error } of calls) if (error !== undefined) counts.set(error, (counts.get(error) ?? 0) + 1);
  return Object.fromEntries([...counts].toSorted(([, a], [, b]) => b - a));
}

/** More failures than this in a bucket, and it has not recovered. */
const tolerance = 0.05;

function recoveryOf(facts: ScenarioFacts, healedAt: number | undefined): number | undefined {
  if (healedAt === undefined) return undefined;
  const { bucketMs } = facts;
  const later = [...facts.calls, ...stuckOf(facts)]
    .filter(({ startedAt }) => startedAt >= healedAt)
    .toSorted((a, b) => a.endedAt - b.endedAt);
  const buckets = Map.groupBy(later, ({ endedAt }) => Math.floor((endedAt - healedAt) / bucketMs));
  let badUntil = healedAt;
  for (const bucket of buckets.values()) {
    const failed = bucket.filter(({ error }) => error !== undefined);
    if (failed.length > bucket.length * tolerance) badUntil = Math.max(badUntil, failed.at(-1)?.endedAt ?? 0);
  }
  const first = later.find(({ endedAt, error }) => error === undefined && endedAt >= badUntil);
  return first && first.endedAt - healedAt;
}

/** Calls that will hardly answer any more, as if they had failed in the end. */
function stuckOf({ calls, endless, durationMs }: ScenarioFacts): ScenarioCall[] {
  let patience = 1_000;
  for (const { startedAt, endedAt, error } of calls) {
    if (error === undefined) patience = Math.max(patience, endedAt - startedAt);
  }
  return endless
    .filter((startedAt) => durationMs - startedAt > patience)
    .map((startedAt) => ({ startedAt, endedAt: durationMs, error: "unfinished" }));
}
