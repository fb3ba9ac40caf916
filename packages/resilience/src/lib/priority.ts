// How important a call is, for all that is done on its behalf, here and in the services it calls.
import { type Context, ContextKey } from "@proj/concurrency";

/**
 * The priority of the calls in a context that are given none: higher is shed later, and 0 is what all have by default. Set
 * it where a request comes in, and it counts for all calls below.
 *
 * @example
 * ```ts
 * import { Context } from "@proj/concurrency";
 * import { callPriority } from "@proj/resilience";
 *
 * using checkout = Context.derive({ values: [callPriority.of(10)] });
 * console.log(Context.run(checkout, () => Context.current().get(callPriority))); // prints: 10
 * ```
 */
export const callPriority = new ContextKey<number>("priority");

/** The header that carries a priority from one service to the next: an integer. */
export const priorityHeader = "x-priority";

/** What a peer may ask for: nothing that sorts before or after everything else. */
const largest = 1_000;

/** Something with the `get` of `Headers`, or a record with lower-case names as Node gives it. */
export type PriorityHeaders =
  | { get(name: string): string | null | undefined }
  | { readonly [name: string]: string | readonly string[] | number | undefined };

/**
 * Reads the priority that a request came with, for `callPriority`: an integer from -1,000 to 1,000, and `undefined` for
 * anything else. Whether a client may set its own priority is for its server to decide: do not call this for those who
 * may not.
 *
 * @example
 * ```ts
 * import { extractPriority } from "@proj/resilience";
 *
 * console.log(extractPriority({ "x-priority": "10" }), extractPriority(new Headers())); // prints: 10 undefined
 * ```
 */
export function extractPriority(headers: PriorityHeaders): number | undefined {
  const { get } = headers as { get?: unknown };
  const text: unknown =
    typeof get === "function" ? get.call(headers, priorityHeader) : Reflect.get(headers, priorityHeader);
  if (typeof text !== "string" || !/^\s*-?\d{1,4}\s*$/.test(text)) return undefined;
  const priority = Number(text);
  return Math.abs(priority) <= largest ? priority : undefined;
}

/**
 * Writes the priority of a context into the headers of an outgoing request. Without one nothing is written.
 *
 * @example
 * ```ts
 * import { Context } from "@proj/concurrency";
 * import { callPriority, injectPriority } from "@proj/resilience";
 *
 * const headers = new Headers();
 * injectPriority(Context.derive({ values: [callPriority.of(-5)] }), headers);
 * console.log(headers.get("x-priority")); // prints: -5
 * ```
 */
export function injectPriority(context: Context, headers: { set(name: string, value: string): unknown }): void {
  const priority = context.get(callPriority);
  if (priority === undefined || priority === 0) return;
  headers.set(priorityHeader, String(Math.round(Math.max(-largest, Math.min(largest, priority)))));
}
