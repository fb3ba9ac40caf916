// Results whose memory moves to the caller instead of being copied.
import type { Transferable } from "node:worker_threads";

const lists = new WeakMap<object, readonly Transferable[]>();

/**
 * Marks a result of a worker's function: what is in `list` is moved to the caller, not copied, and is unusable in the
 * worker from then on. Returns `value`.
 *
 * @example
 * ```ts
 * import { transfer } from "@proj/concurrency/worker";
 *
 * export function zeros(length: number): Float64Array {
 *   const result = new Float64Array(length);
 *   return transfer(result, [result.buffer]);
 * }
 * ```
 */
export function transfer<T extends object>(value: T, list: readonly Transferable[]): T {
  lists.set(value, list);
  return value;
}

/** The list that a value was marked with. */
export function transferListOf(value: unknown): readonly Transferable[] | undefined {
  return typeof value === "object" && value !== null ? lists.get(value) : undefined;
}
