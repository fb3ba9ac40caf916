// Answers for a dependency that does not, one level after the other.
import type { Context } from "@proj/concurrency";
import type { ComponentStats } from "@proj/concurrency/inspect";
import { describe } from "@proj/concurrency/options";
import type { Call, ResilientTask } from "./call.ts";
import { isBug, isRejection } from "./classify-error.ts";
import { listening, tell } from "./events.ts";
import type { FallbackAnswer, FallbackLevel } from "./fallback-levels.ts";
import { runNext } from "./lone-frame.ts";
import type { Driver, Next } from "./policy.ts";

/** What a fallback publishes. */
export type FallbackEvent =
  | {
      readonly kind: "fallback-answered";
      readonly name: string;
      readonly key: string | undefined;
      /** The name of the level. */
      readonly level: string;
      /** What the call has failed with. */
      readonly error: unknown;
    }
  | {
      readonly kind: "fallback-failed";
      readonly name: string;
      readonly key: string | undefined;
      readonly level: string;
      /** What the level has failed with. */
      readonly error: unknown;
    };

/** A policy made by {@link fallback}, which may answer with a `V`. */
export interface FallbackPolicy<V = unknown> extends Driver {
  /** Decides its place in a stack. */
  readonly kind: "fallback";
  /** Carries the type only; there is no such property at run time. */
  readonly value?: V;
}

/** What levels may answer with. */
export type FallbackValue<Levels extends readonly FallbackLevel<unknown>[]> = ValueOf<Levels[number]>;

type ValueOf<Level> = Level extends FallbackLevel<infer V> ? V : never;

/**
 * Makes a policy that answers for calls that fail, by the first of its levels that has an answer. If none has, or for a
 * failure that it is not for, the caller gets the error of the call itself, and never that of a level.
 *
 * **Which failures**: outcomes of kind `"fail"` and `"timeout"`, and rejections by other policies. Nothing is made up for
 * what the classifier calls `"ignore"`: a 404 is an answer, a `TypeError` of one's own code is a bug that must be seen, and
 * a caller who has given up wants nothing. A level with a `when` of its own decides by that, except for the last two.
 *
 * Every answer is told as an event with the error that it stands for, and counted.
 *
 * @throws TypeError for what is no level, or if there is none
 * @example
 * ```ts
 * import { cached, compose, fallback, value } from "@proj/resilience";
 *
 * const prices = compose(fallback(cached({ maxAge: 60_000 }), value("unknown")));
 * const price = await prices(async () => Promise.reject(new Error("down")), { key: "tea" });
 * console.log(price); // prints: unknown
 * ```
 */
export function fallback<const Levels extends readonly FallbackLevel<unknown>[]>(
  ...levels: Levels
): FallbackPolicy<FallbackValue<Levels>> {
  return new Fallback(levels) as FallbackPolicy<FallbackValue<Levels>>; // it answers with what the levels answer
}

/** What a frame knows of a fallback. */
export class Fallback implements FallbackPolicy {
  readonly kind = "fallback";
  readonly #levels: readonly FallbackLevel<unknown>[];
  readonly #keepers: readonly FallbackLevel<unknown>[];
  readonly #answered: Record<string, number> = {};

  constructor(levels: readonly FallbackLevel<unknown>[]) {
    if (levels.length === 0) throw new TypeError("Cannot make a fallback: levels must be at least one, got none");
    for (const level of levels) {
      if (typeof level?.answer !== "function") {
        throw new TypeError(`Cannot make a fallback: levels must have a method answer, got ${describe(level)}`);
      }
    }
    this.#levels = [...levels];
    this.#keepers = levels.filter((level) => level.keep !== undefined);
  }

  run<T>(call: Call, next: Next<T>): Promise<T> {
    return runNext({ fallback: this }, call, next);
  }

  stats(): ComponentStats {
    return { answered: { ...this.#answered } };
  }

  keep(success: Call): void {
    for (const level of this.#keepers) level.keep?.(success);
  }

  /** What to give the caller instead, if anything. */
  async answer(failure: Call, task: ResilientTask<unknown>, context: Context): Promise<FallbackAnswer<unknown>> {
    if (isBug(failure.error)) return undefined;
    const isWanted = failure.outcome !== "ignore" || isRejection(failure.error);
    for (const level of this.#levels) {
      if (context.cancelled) return undefined;
      try {
        if (!(level.when === undefined ? isWanted : level.when(failure))) continue;
        const answer = await level.answer(failure, task, context);
        if (answer === undefined) continue;
        this.#tell("fallback-answered", failure, level.name, failure.error);
        this.#answered[level.name] = (this.#answered[level.name] ?? 0) + 1;
        return answer;
      } catch (error) {
        this.#tell("fallback-failed", failure, level.name, error);
      }
    }
    return undefined;
  }

  #tell(kind: FallbackEvent["kind"], { name, key }: Call, level: string, error: unknown): void {
    if (listening()) tell({ kind, name, key, level, error });
  }
}
