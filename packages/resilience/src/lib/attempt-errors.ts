// Keeps the failures of the attempts before the last one, beside the error that the caller gets.

const earlier = new WeakMap<object, readonly unknown[]>();

/**
 * What the attempts before the last one failed with, oldest first: for the error that a call has rejected with after
 * several attempts. Kept beside the error for as long as it lives; the error itself is not touched. Empty for any other
 * value, and for what is no object.
 *
 * @example
 * ```ts
 * import { attemptErrors, compose, constant, retry } from "@proj/resilience";
 *
 * const flaky = compose(retry({ attempts: 3, backoff: constant(0) }));
 * const task = async (_: unknown, { attempt }: { attempt: number }) => Promise.reject(new Error(`attempt ${attempt}`));
 * const error = await flaky(task, { idempotent: true }).catch((error: Error) => error);
 * console.log(String(error), attemptErrors(error).map(String));
 * // prints: Error: attempt 3 [ 'Error: attempt 1', 'Error: attempt 2' ]
 * ```
 */
export function attemptErrors(error: unknown): readonly unknown[] {
  return (typeof error === "object" && error !== null ? earlier.get(error) : undefined) ?? [];
}

/** An error that several calls share tells of the latest one. */
export function keepAttemptErrors(error: unknown, errors: readonly unknown[]): void {
  if (typeof error === "object" && error !== null) earlier.set(error, errors);
}
