// Tells the next service that a request is a repetition, so that it does not repeat as well.
import type { ContextValue } from "@proj/concurrency";
import { repeatedAbove } from "./budget.ts";
import type { Call } from "./call.ts";

/** The header that carries the number of the attempt. */
export const attemptHeader = "x-attempt";

/**
 * Writes `x-attempt` into the headers of an outgoing request, if it is a repetition or part of one. Nothing is written for
 * a first attempt.
 *
 * @example
 * ```ts
 * import { compose, constant, injectAttempt, retry } from "@proj/resilience";
 *
 * const users = compose({ idempotent: true }, retry({ backoff: constant(0) }));
 * const sent = await users(async (_context, call) => {
 *   const headers = new Headers();
 *   injectAttempt(call, headers);
 *   if (call.attempt === 1) throw new Error("down");
 *   return headers.get("x-attempt");
 * });
 * console.log(sent); // prints: 2
 * ```
 */
export function injectAttempt(
  call: Pick<Call, "attempt" | "context">,
  headers: { set(name: string, value: string): unknown },
): void {
  const attempt = Math.max(call.attempt, call.context.get(repeatedAbove) === true ? 2 : 1);
  if (attempt > 1) headers.set(attemptHeader, String(attempt));
}

/**
 * Reads `x-attempt` of a request that came in: gives the values for its context, in which nothing is repeated if the
 * request is a repetition itself.
 *
 * @example
 * ```ts
 * import { Context } from "@proj/concurrency";
 * import { extractAttempt, repeatedAbove } from "@proj/resilience";
 *
 * const headers = new Headers({ "x-attempt": "2" });
 * using context = Context.extract(headers, { values: extractAttempt(headers) });
 * console.log(context.get(repeatedAbove)); // prints: true
 * ```
 */
export function extractAttempt(headers: AttemptHeaders): readonly ContextValue[] {
  const { get } = headers as { get?: unknown };
  const text: unknown =
    typeof get === "function" ? get.call(headers, attemptHeader) : Reflect.get(headers, attemptHeader);
  return typeof text === "string" && /^\d{1,9}$/.test(text.trim()) && Number(text) > 1 ? [repeatedAbove.of(true)] : [];
}

/** Something with the `get` of `Headers`, or a record with lower-case names as Node gives it. */
export type AttemptHeaders =
  | { get(name: string): string | null | undefined }
  | { readonly [name: string]: string | readonly string[] | number | undefined };
