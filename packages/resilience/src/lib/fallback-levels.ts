// What can be answered when a dependency does not.
import type { Context } from "@proj/concurrency";
import { checkCount, checkDuration, checkFunction, describe } from "@proj/concurrency/options";
import { budgetIn, repetitionContext } from "./budget.ts";
import type { Call, ResilientTask } from "./call.ts";
import { runAlone } from "./lone-frame.ts";
import type { Resilient } from "./stack.ts";
import { TimeLimit } from "./timeout.ts";

/** An answer, or the decision that there is none. */
export type FallbackAnswer<V> = { readonly value: V } | { readonly error: unknown } | undefined;

/** One level of a {@link fallback}: made by `cached`, `value`, `service`, `failover` or `failFast`, or one of your own. */
export interface FallbackLevel<V> {
  /** In events and statistics. */
  readonly name: string;
  /** Whether it has to do with this failure; instead of what the fallback says. */
  readonly when?: ((failure: Call) => boolean) | undefined;
  /** Told of each call that has succeeded. Must not throw. */
  keep?(success: Call): void;
  /**
   * Gives a value, or an error to reject with at once, or `undefined` to leave it to the next level, as when it throws. Runs
   * in `context`, that of the caller.
   */
  answer(failure: Call, task: ResilientTask<unknown>, context: Context): FallbackAnswer<V> | Promise<FallbackAnswer<V>>;
}

/** What can be set on any level. */
export interface FallbackLevelOptions {
  /** Which failures it is for. Default: what the fallback says. */
  readonly when?: ((failure: Call) => boolean) | undefined;
}

/** What can be set on {@link cached}. */
export interface CachedOptions extends FallbackLevelOptions {
  /** Values to keep; the least recently used is dropped for another. Default: 1,000. */
  readonly max?: number | undefined;
  /** Milliseconds after which a value is too old. Default: `Infinity`. */
  readonly maxAge?: number | undefined;
  /** What a value is kept under. Default: the call's own key. Without one nothing is kept. */
  readonly key?: ((call: Call) => string | undefined) | undefined;
}

/**
 * Answers with the last value that a call with the same key has returned. Calls without a key are not kept: whatever one
 * of them has returned may be wrong for another. Neither are responses, whose body can be read once.
 *
 * @throws TypeError or RangeError for an option that is none
 * @example
 * ```ts
 * import { cached, compose, fallback } from "@proj/resilience";
 *
 * const prices = compose(fallback(cached({ max: 100, maxAge: 60_000 })));
 * await prices(async () => 42, { key: "tea" });
 * const price = await prices(async () => Promise.reject(new Error("down")), { key: "tea" });
 * console.log(price); // prints: 42
 * ```
 */
export function cached(options: CachedOptions = {}): FallbackLevel<never> {
  const action = "make a cached fallback";
  const { max = 1_000, maxAge = Number.POSITIVE_INFINITY, key = keyOf, when } = options;
  checkCount(action, "max", max, 1);
  checkDuration(action, "maxAge", maxAge);
  checkFunction(action, "key", key);
  const values = new Map<string, { readonly value: unknown; readonly at: number }>();
  return {
    name: "cached",
    when,
    keep(success) {
      const name = key(success);
      if (name === undefined || hasBody(success.value)) return;
      values.delete(name); // the order of a Map is that of insertion
      values.set(name, { value: success.value, at: success.endedAt });
      if (values.size <= max) return;
      for (const oldest of values.keys()) {
        values.delete(oldest);
        return;
      }
    },
    answer(failure) {
      const name = key(failure);
      const found = name === undefined ? undefined : values.get(name);
      if (name === undefined || found === undefined) return undefined;
      values.delete(name);
      if (failure.endedAt - found.at > maxAge) return undefined;
      values.set(name, found);
      // What a call with this key has returned has the type of what this one would return.
      return { value: found.value as never };
    },
  };
}

/**
 * Answers with a fixed value, or with what a function makes of the failure.
 *
 * @example
 * ```ts
 * import { compose, fallback, value } from "@proj/resilience";
 *
 * const search = compose(fallback(value([])));
 * console.log(await search(async () => Promise.reject(new Error("down")))); // prints: []
 * ```
 */
export function value<V>(answer: V | ((failure: Call) => V), options: FallbackLevelOptions = {}): FallbackLevel<V> {
  return {
    name: "value",
    when: options.when,
    // A function is called: one that is the value itself can be returned by another.
    answer: (failure) => ({ value: typeof answer === "function" ? (answer as (failure: Call) => V)(failure) : answer }),
  };
}

/** What can be set on {@link service}. */
export interface ServiceOptions extends FallbackLevelOptions {
  /** Milliseconds that it may take. Default: as long as the caller has. */
  readonly timeout?: number | undefined;
}

/**
 * Answers with what another task returns, as that of a backup service. If it fails, the next level is asked.
 *
 * @throws TypeError or RangeError for an option that is none
 * @example
 * ```ts
 * import { compose, fallback, service } from "@proj/resilience";
 *
 * const users = compose(fallback(service(async (_context, { key }) => `${key}, from the replica`, { timeout: 500 })));
 * const user = await users(async () => Promise.reject(new Error("down")), { key: "ada" });
 * console.log(user); // prints: ada, from the replica
 * ```
 */
export function service<V>(task: ResilientTask<V>, options: ServiceOptions = {}): FallbackLevel<V> {
  checkFunction("make a service fallback", "task", task);
  const limit = options.timeout === undefined ? undefined : new TimeLimit("attempt-timeout", options.timeout);
  return {
    name: "service",
    when: options.when,
    answer: async (failure, _task, context) => ({
      value: await runAlone({ each: limit }, failure, task, context),
    }),
  };
}

/**
 * Calls the same task once more under the policies of another stack, as one that balances over the servers of another
 * region. As any repetition it is only for calls that are idempotent or have certainly had no effect, is paid from the
 * budget of the call tree if there is one, and is not retried by stacks further inside.
 *
 * @throws TypeError for what is no stack
 * @example
 * ```ts
 * import { compose, failover, fallback, resilient } from "@proj/resilience";
 *
 * const backup = resilient({ name: "eu-west" });
 * const users = compose({ idempotent: true }, fallback(failover(backup)));
 * const from = await users(async (_context, { name }) => {
 *   if (name !== "eu-west") throw new Error("down");
 *   return name;
 * });
 * console.log(from); // prints: eu-west
 * ```
 */
export function failover(stack: Resilient<unknown>, options: FallbackLevelOptions = {}): FallbackLevel<never> {
  if (typeof stack !== "function" || !("policies" in stack)) {
    throw new TypeError(`Cannot make a failover: stack must be made by resilient or compose, got ${describe(stack)}`);
  }
  return {
    name: "failover",
    when: options.when,
    async answer(failure, task, context) {
      const { key, idempotent, priority, untouched } = failure;
      if (!idempotent && !untouched) return undefined;
      if (budgetIn(context, undefined)?.tryWithdraw() === false) return undefined;
      using repetition = repetitionContext(context);
      const found = await stack(task, { signal: repetition, key, idempotent, priority });
      repetition.release(); // a response can still be read
      return { value: found as never }; // the task is the caller's own
    },
  };
}

/**
 * Ends the levels: the caller gets the error at once, or what `make` makes of it, which should keep it as its cause. Put it
 * first, with `when`, for failures that nothing should be made up for.
 *
 * @example
 * ```ts
 * import { compose, failFast, fallback } from "@proj/resilience";
 *
 * class Unavailable extends Error {}
 * const users = compose(fallback(failFast((cause) => new Unavailable("Users are unavailable", { cause }))));
 * const error = await users(async () => Promise.reject(new Error("down"))).catch((error: Error) => error);
 * console.log(error instanceof Unavailable, String(error.cause)); // prints: true Error: down
 * ```
 */
export function failFast(make?: (error: unknown) => unknown, options: FallbackLevelOptions = {}): FallbackLevel<never> {
  return {
    name: "fail-fast",
    when: options.when,
    answer: ({ error }) => ({ error: make === undefined ? error : make(error) }),
  };
}

function keyOf({ key }: Call): string | undefined {
  return key;
}

function hasBody(value: unknown): boolean {
  return typeof value === "object" && value !== null && "body" in value && "headers" in value;
}
