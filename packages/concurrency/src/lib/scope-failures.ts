// Keeps the failures of a scope that came after the first one, beside that error instead of on it.

const later = new WeakMap<object, unknown[]>();

/**
 * The failures that a scope had after the one it rejected with, in the order in which they came. They are kept beside
 * the error for as long as it lives, and the error itself is not touched. Empty for any other value, and for a failure
 * that is no object.
 *
 * @example
 * ```ts
 * import { scope, suppressed } from "@proj/concurrency";
 *
 * const error = await scope(async (s) => {
 *   s.spawn(async () => Promise.reject(new Error("first")));
 *   s.spawn(async () => Promise.reject(new Error("second")));
 * }).catch((error: Error) => error);
 * console.log(String(error), suppressed(error).map(String)); // prints: Error: first [ 'Error: second' ]
 * ```
 */
export function suppressed(error: unknown): readonly unknown[] {
  return (isObject(error) ? later.get(error) : undefined) ?? [];
}

/** Adds to what {@link suppressed} tells about an error: it may have passed through several scopes. */
export function keepSuppressed(error: unknown, failures: readonly unknown[]): void {
  if (failures.length === 0 || !isObject(error)) return;
  later.set(error, [...suppressed(error), ...failures]);
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}
