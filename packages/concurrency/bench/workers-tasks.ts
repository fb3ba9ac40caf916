// What the threads of workers.bench.ts run, for both sides.
import { Context } from "@proj/concurrency";

export function increment(x: number): number {
  return x + 1;
}

export function echo<T>(value: T): T {
  return value;
}

/** Never gives up its thread before it is cancelled. Says in shared memory that it has begun. */
export function spin(begun: Int32Array): number {
  const context = Context.current();
  Atomics.store(begun, 0, 1);
  Atomics.notify(begun, 0);
  let turns = 0;
  while (!context.cancelled) turns++;
  return turns;
}
