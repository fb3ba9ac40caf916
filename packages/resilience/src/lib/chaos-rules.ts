// What can be done to a call, and to which calls.
import { checkCount, checkDuration, checkFunction, checkOneOf, checkRatio, describe } from "@proj/concurrency/options";
import type { Call } from "./call.ts";
import { checkKnown, checkText } from "./chaos-check.ts";

/** Texts that a rule is for: one, several, or those that an expression matches. */
export type ChaosPattern = string | readonly string[] | RegExp;

/** To which calls a rule applies: to those that meet all that is said here. */
export interface ChaosMatch {
  /** In events and statistics. Default: the kind of the rule. */
  readonly name?: string | undefined;
  /** The share of the calls it is for that it hits, from 0 to 1. Default: 1. */
  readonly rate?: number | undefined;
  /** The keys of the calls. Default: any, and none. */
  readonly key?: ChaosPattern | undefined;
  /** The ids of the endpoints that a balancer has picked. Default: any, and none. */
  readonly endpoint?: ChaosPattern | undefined;
  /** Which attempts of a call, the first being 1. Default: all. */
  readonly attempt?: number | readonly number[] | undefined;
  /** Whatever else decides. Must not throw. Default: always. */
  readonly when?: ((call: Call) => boolean) | undefined;
  /** How many calls it hits at most; which ones depends on their order. Default: `Infinity`. */
  readonly times?: number | undefined;
}

/** Makes a call wait before it begins. */
export interface LatencyRule extends ChaosMatch {
  /** Tells it from the other rules. */
  readonly kind: "latency";
  /** Milliseconds. */
  readonly ms: number;
  /** Up to so many milliseconds more or less, never below zero altogether. Default: 0. */
  readonly jitter?: number | undefined;
}

/** Makes a call fail. */
export interface FaultRule extends ChaosMatch {
  /** Tells it from the other rules. */
  readonly kind: "fault";
  /** What it fails with, or what makes it. Default: a {@link ChaosError}. */
  readonly error?: Error | ((call: Call) => unknown) | undefined;
  /** Whether the work is left undone, or done and its answer replaced. Default: `"before"`. */
  readonly phase?: "before" | "after" | undefined;
}

/** Answers in the place of the work. */
export interface OutcomeRule extends ChaosMatch {
  /** Tells it from the other rules. */
  readonly kind: "outcome";
  /** The answer, or what makes it. */
  readonly value: unknown;
}

/** Never answers: the call ends when its context does. The work is not begun. */
export interface HangRule extends ChaosMatch {
  /** Tells it from the other rules. */
  readonly kind: "hang";
}

/** Does the work and loses the answer: the call ends when its context does. */
export interface DropRule extends ChaosMatch {
  /** Tells it from the other rules. */
  readonly kind: "drop";
}

/** One thing to do to some calls. Plain data, but for functions in it. */
export type ChaosRule = LatencyRule | FaultRule | OutcomeRule | HangRule | DropRule;

/**
 * A rule: the call waits before it begins.
 *
 * @throws RangeError or TypeError for what makes no sense
 * @example
 * ```ts
 * import { chaos, latency } from "@proj/resilience/chaos";
 *
 * const slow = chaos([latency({ ms: 200, jitter: 50, rate: 0.1, key: /^eu-/ })], { seed: 1 });
 * console.log(slow.rules.length); // prints: 1
 * ```
 */
export function latency(options: Omit<LatencyRule, "kind">): LatencyRule {
  return checkRule({ ...options, kind: "latency" });
}

/**
 * A rule: the call fails, without the work having been done, or after it.
 *
 * @throws RangeError or TypeError for what makes no sense
 * @example
 * ```ts
 * import { chaos, fault } from "@proj/resilience/chaos";
 *
 * const reset = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
 * const flaky = chaos([fault({ error: reset, rate: 0.2 }), fault({ phase: "after", attempt: 1, rate: 0.01 })]);
 * console.log(flaky.rules.map(({ kind }) => kind)); // prints: [ 'fault', 'fault' ]
 * ```
 */
export function fault(options: Omit<FaultRule, "kind"> = {}): FaultRule {
  return checkRule({ ...options, kind: "fault" });
}

/**
 * A rule: the call succeeds with this value, without the work having been done.
 *
 * @throws RangeError or TypeError for what makes no sense
 * @example
 * ```ts
 * import { chaos, outcome } from "@proj/resilience/chaos";
 *
 * const wrong = chaos([outcome({ value: () => new Response("", { status: 503 }), rate: 0.05 })]);
 * console.log(wrong.rules.length); // prints: 1
 * ```
 */
export function outcome(options: Omit<OutcomeRule, "kind">): OutcomeRule {
  return checkRule({ ...options, kind: "outcome" });
}

/**
 * A rule: the call never answers and ends when its context does, with that reason. The work is not begun.
 *
 * @throws RangeError or TypeError for what makes no sense
 * @example
 * ```ts
 * import { chaos, hang } from "@proj/resilience/chaos";
 *
 * const stuck = chaos([hang({ endpoint: "10.0.0.3:80", rate: 0.5 })]);
 * console.log(stuck.rules.length); // prints: 1
 * ```
 */
export function hang(options: Omit<HangRule, "kind"> = {}): HangRule {
  return checkRule({ ...options, kind: "hang" });
}

/**
 * A rule: the work is done, and its answer gets lost; the call ends when its context does, with that reason. What is
 * then repeated happens twice: it shows whether the work is as idempotent as it claims to be.
 *
 * @throws RangeError or TypeError for what makes no sense
 * @example
 * ```ts
 * import { chaos, drop } from "@proj/resilience/chaos";
 *
 * const lossy = chaos([drop({ rate: 0.01, attempt: 1 })]);
 * console.log(lossy.rules.length); // prints: 1
 * ```
 */
export function drop(options: Omit<DropRule, "kind"> = {}): DropRule {
  return checkRule({ ...options, kind: "drop" });
}

const kinds = ["latency", "fault", "outcome", "hang", "drop"] as const;

const common = ["kind", "name", "rate", "key", "endpoint", "attempt", "when", "times"];

/** What only rules of one kind have. */
const fields: Readonly<Record<ChaosRule["kind"], readonly string[]>> = {
  latency: ["ms", "jitter"],
  fault: ["error", "phase"],
  outcome: ["value"],
  hang: [],
  drop: [],
};

/** Returns the rule if it makes sense. */
export function checkRule<R extends ChaosRule>(rule: R): R {
  const action = "make a chaos rule";
  if (rule === null || typeof rule !== "object") {
    throw new TypeError(`Cannot ${action}: the rule must be an object, got ${describe(rule)}`);
  }
  checkOneOf(action, "kind", rule.kind, kinds);
  checkKnown(action, rule, [...common, ...fields[rule.kind]]);
  checkText(action, "name", rule.name);
  if (rule.rate !== undefined) checkRatio(action, "rate", rule.rate);
  if (rule.times !== undefined) checkCount(action, "times", rule.times, 0, true);
  if (rule.when !== undefined) checkFunction(action, "when", rule.when);
  for (const attempt of attemptsOf(rule) ?? []) checkCount(action, "attempt", attempt, 1);
  checkPattern(action, "key", rule.key);
  checkPattern(action, "endpoint", rule.endpoint);
  if (rule.kind === "latency") {
    checkDuration(action, "ms", rule.ms);
    if (rule.jitter !== undefined) checkDuration(action, "jitter", rule.jitter);
  }
  if (rule.kind === "fault") {
    if (rule.phase !== undefined) checkOneOf(action, "phase", rule.phase, ["before", "after"]);
    if (rule.error !== undefined && !(rule.error instanceof Error) && typeof rule.error !== "function") {
      throw new TypeError(`Cannot ${action}: error must be an Error or a function, got ${describe(rule.error)}`);
    }
  }
  return rule;
}

/** Whether the rule is for this call, its `rate` aside. */
export function matches(rule: ChaosRule, call: Call): boolean {
  return (
    fits(rule.key, call.key) &&
    fits(rule.endpoint, call.endpoint?.id) &&
    (attemptsOf(rule)?.includes(call.attempt) ?? true) &&
    (rule.when?.(call) ?? true)
  );
}

/** Whether a text is one of those that a pattern is for. */
export function fits(pattern: ChaosPattern | undefined, text: string | undefined): boolean {
  if (pattern === undefined) return true;
  if (text === undefined) return false;
  if (typeof pattern === "string") return pattern === text;
  return pattern instanceof RegExp ? text.search(pattern) >= 0 : pattern.includes(text); // search knows no lastIndex
}

/** Throws if the value is no pattern. */
export function checkPattern(action: string, option: string, pattern: ChaosPattern | undefined): void {
  if (pattern === undefined || typeof pattern === "string" || pattern instanceof RegExp) return;
  if (Array.isArray(pattern) && pattern.every((text) => typeof text === "string")) return;
  throw new TypeError(`Cannot ${action}: ${option} must be a text, texts or a RegExp, got ${describe(pattern)}`);
}

function attemptsOf({ attempt }: ChaosRule): readonly number[] | undefined {
  return typeof attempt === "number" ? [attempt] : attempt;
}
