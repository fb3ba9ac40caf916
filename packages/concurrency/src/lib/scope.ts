// Structured concurrency: what is started within a call has ended when the call returns.
import { describe } from "./check.ts";
import { type Join, runBody, type ScopeOptions, TaskScope } from "./task-scope.ts";

/**
 * Calls `body` with a scope to spawn tasks in, and resolves with what it returns once every task is done as well. Nothing
 * that was started in it goes on afterwards.
 *
 * **Join** decides what happens to the others when a task settles:
 * - `"all"`: the first failure, of a task or of the body, cancels the rest, and the scope rejects with it;
 * - `"any"`: the first success cancels the rest; if there is none, the scope rejects with an `AggregateError`;
 * - `"race"`: the first task to settle cancels the rest, and its failure is the scope's;
 * - `"settled"`: no task cancels another, and none makes the scope fail.
 *
 * A body that throws cancels the rest whatever `join` says. To cancel is to end the context that tasks and body run in:
 * a task has to look at it, and one that does not is waited for. **Failures**: the scope rejects with the first one,
 * untouched, and {@link suppressed} tells of the others; no rejection is ever unhandled. **Abort**: when `signal`,
 * `timeout` or the caller's context ends the scope, it rejects with that reason if a task or the body gave up because of
 * it; work that succeeded nevertheless counts.
 *
 * @example
 * ```ts
 * import { scope } from "@proj/concurrency";
 *
 * const loadUser = async (id: number, signal: AbortSignal) => ({ id, seen: signal.aborted });
 * const loadCart = async (id: number) => [`cart of ${id}`];
 *
 * const [user, cart] = await scope(
 *   async (s) => {
 *     const user = s.spawn((context) => loadUser(7, context.signal));
 *     const cart = s.spawn(() => loadCart(7));
 *     return [await user, await cart];
 *   },
 *   { timeout: 2_000 },
 * );
 * console.log(user, cart); // prints: { id: 7, seen: false } [ 'cart of 7' ]
 *
 * const fastest = await scope((s) => Promise.any(["a", "b"].map((mirror) => s.spawn(async () => mirror))), { join: "any" });
 * console.log(fastest); // prints: a
 * ```
 */
export async function scope<R, T = unknown, J extends Join = "all">(
  body: (scope: TaskScope<T, J>) => R | PromiseLike<R>,
  options?: ScopeOptions<J>,
): Promise<R> {
  if (typeof body !== "function") {
    throw new TypeError(`Cannot open a scope: its body must be a function, got ${describe(body)}`);
  }
  return await runBody(new TaskScope<T, J>(options), body);
}
