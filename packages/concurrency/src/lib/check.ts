// Checks what callers pass as options; the messages name the action, the option, what was expected and the value.

/**
 * Returns `value` if it is a number of milliseconds, zero and `Infinity` included. `action` opens the message.
 *
 * @throws TypeError if it is no number · RangeError if it is negative or NaN
 * @example
 * ```ts
 * import { checkDuration } from "@proj/concurrency/options";
 *
 * try {
 *   checkDuration("poll", "interval", -1);
 * } catch (error) {
 *   console.log(String(error)); // prints: RangeError: Cannot poll: interval must be 0 ms or more, got -1
 * }
 * ```
 */
export function checkDuration(action: string, option: string, value: number): number {
  if (typeof value !== "number") {
    throw new TypeError(`Cannot ${action}: ${option} must be a number of milliseconds, got ${describe(value)}`);
  }
  if (!(value >= 0)) throw new RangeError(`Cannot ${action}: ${option} must be 0 ms or more, got ${value}`);
  return value;
}

/**
 * Returns `value` if it is an integer of at least `least`, or `Infinity` where `unbounded` allows it.
 *
 * @throws TypeError if it is no number · RangeError if it is another one
 * @example
 * ```ts
 * import { checkCount } from "@proj/concurrency/options";
 *
 * console.log(checkCount("make a cache", "max", 10, 1)); // prints: 10
 * ```
 */
export function checkCount(action: string, option: string, value: number, least: number, unbounded = false): number {
  if (Number.isInteger(value) && value >= least) return value; // before any text is made: some check each call
  if (unbounded && value === Number.POSITIVE_INFINITY) return value;
  return refuse(action, option, value, `an integer of at least ${least}${unbounded ? " or Infinity" : ""}`);
}

/**
 * Returns `value` if it is a finite number above zero.
 *
 * @throws TypeError if it is no number · RangeError if it is another one
 * @example
 * ```ts
 * import { checkPositive } from "@proj/concurrency/options";
 *
 * console.log(checkPositive("weigh", "factor", 1.5)); // prints: 1.5
 * ```
 */
export function checkPositive(action: string, option: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value;
  return refuse(action, option, value, "a positive number");
}

/**
 * Returns `value` if it is a number from 0 to 1, both included.
 *
 * @throws TypeError if it is no number · RangeError if it is another one
 * @example
 * ```ts
 * import { checkRatio } from "@proj/concurrency/options";
 *
 * console.log(checkRatio("sample", "ratio", 0.1)); // prints: 0.1
 * ```
 */
export function checkRatio(action: string, option: string, value: number): number {
  if (value >= 0 && value <= 1 && typeof value === "number") return value;
  return refuse(action, option, value, "a number from 0 to 1");
}

/**
 * Returns `value` if it is a function.
 *
 * @throws TypeError if it is none
 * @example
 * ```ts
 * import { checkFunction } from "@proj/concurrency/options";
 *
 * console.log(checkFunction("load", "load", () => 1)()); // prints: 1
 * ```
 */
export function checkFunction<F>(action: string, option: string, value: F): F {
  if (typeof value === "function") return value;
  return refuse(action, option, value, "a function");
}

/**
 * Returns `value` if it is one of `known`.
 *
 * @throws TypeError if it is none of them
 * @example
 * ```ts
 * import { checkOneOf } from "@proj/concurrency/options";
 *
 * console.log(checkOneOf("fill", "overflow", "wait", ["wait", "error"])); // prints: wait
 * ```
 */
export function checkOneOf<const T>(action: string, option: string, value: T, known: readonly T[]): T {
  if (known.includes(value)) return value;
  throw new TypeError(
    `Cannot ${action}: ${option} must be one of ${known.map(describe).join(", ")}, got ${describe(value)}`,
  );
}

/**
 * A short text for any value, for a message.
 *
 * @example
 * ```ts
 * import { describe } from "@proj/concurrency/options";
 *
 * console.log(describe("a"), describe([1]), describe(undefined)); // prints: "a" an array undefined
 * ```
 */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (value === null || typeof value !== "object") return typeof value === "function" ? "a function" : String(value);
  return Array.isArray(value) ? "an array" : "an object";
}

function refuse(action: string, option: string, value: unknown, expected: string): never {
  const message = `Cannot ${action}: ${option} must be ${expected}, got ${describe(value)}`;
  throw typeof value === "number" ? new RangeError(message) : new TypeError(message);
}
