// Work with a resource of a pool, which gets it back however the work ends.
import { currentNode, runIn } from "./ambient.ts";
import { describe } from "./check.ts";
import type { Context } from "./context.ts";
import { contextFor } from "./derive.ts";
import type { Pool, PoolAcquireOptions } from "./pool.ts";

export async function runWithLease<Resource, T>(
  pool: Pool<Resource>,
  task: (resource: Resource, context: Context) => T | PromiseLike<T>,
  options: PoolAcquireOptions | undefined,
): Promise<T> {
  if (typeof task !== "function") {
    throw new TypeError(`Cannot run with a resource: task must be a function, got ${describe(task)}`);
  }
  const caller = currentNode();
  const context = contextFor("run with a resource", options?.signal);
  const lease = await pool.acquire(options === undefined ? undefined : { ...options, signal: context });
  try {
    context.throwIfCancelled(); // it may have ended since the resource was given
    if (context === caller) return await task(lease.resource, context);
    return await runIn(context, (context) => task(lease.resource, context), context);
  } finally {
    lease.release();
    if (context !== caller && context !== options?.signal) context.cancel(); // made here for an AbortSignal
  }
}
