// Calls what the owner of a pool passed in: in a context of its own, and for a limited time.
import { runIn } from "./ambient.ts";
import type { Clock } from "./clock.ts";
import type { Context } from "./context.ts";
import { ContextNode } from "./context-node.ts";
import { until } from "./until.ts";

/**
 * Resolves with what `call` gives, or rejects with a TimeoutError when `timeout` milliseconds are over; what it gives
 * after that goes to `onLate`. The context ends with the call and has no values: what a pool does serves no caller in particular.
 */
export async function withinTime<T>(
  clock: Clock,
  timeout: number,
  call: (context: Context) => T | PromiseLike<T>,
  onLate?: (value: T) => void,
): Promise<T> {
  const deadline = clock.now() + timeout;
  const context = new ContextNode({ clock, values: new Map(), deadline, timeout });
  let given: T | PromiseLike<T> | undefined;
  try {
    given = runIn(context, call, context);
    // Where there is nothing to wait for, no timer is set.
    return isPromiseLike(given) ? await until(context, given) : given;
  } catch (error) {
    if (context.cancelled && onLate !== undefined && isPromiseLike(given)) {
      Promise.resolve(given).then(onLate, () => {});
    }
    throw error;
  } finally {
    context.cancel();
  }
}

function isPromiseLike<T>(value: T | PromiseLike<T> | undefined): value is PromiseLike<T> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
