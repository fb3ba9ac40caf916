// One call of a tier, which is waited for no longer than it may take.
import { type Clock, TimeoutError, type Timer } from "@proj/concurrency";
import type { MaybePromise } from "./tier.ts";

/**
 * Settles as the call does, or rejects with a `TimeoutError` after `timeout` milliseconds, and calls `onLate` when what
 * was given up comes to an end after all. No signal goes with it: one per call would cost as much as the rest of it.
 */
export function bounded<T>(
  clock: Clock,
  timeout: number,
  what: string,
  call: () => MaybePromise<T>,
  onLate?: (isDone: boolean) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const result = call(); // what it throws rejects
    if (!isPromiseLike(result)) {
      resolve(result);
      return;
    }
    let timer: Timer | undefined;
    let isOver = false;
    const end = (): boolean => {
      if (isOver) return false;
      isOver = true;
      timer?.clear();
      return true;
    };
    result.then(
      (value) => (end() ? resolve(value) : onLate?.(true)),
      (error: unknown) => (end() ? reject(error) : onLate?.(false)),
    );
    if (timeout === Number.POSITIVE_INFINITY) return;
    timer = clock.setTimeout(() => {
      if (end()) reject(new TimeoutError(`Cannot wait for ${what} any longer: it took ${timeout} ms`, timeout));
    }, timeout);
  });
}

export function isPromiseLike<T>(value: MaybePromise<T>): value is PromiseLike<T> {
  return typeof (value as PromiseLike<T> | undefined)?.then === "function";
}
