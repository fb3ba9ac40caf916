// One call of a tier, which is waited for no longer than it may take.
import { type Clock, TimeoutError, type Timer } from "@proj/concurrency";
import type { MaybePromise, TierOptions } from "./tier.ts";

/** What a tier is given: its signal is made when it is asked for. */
class Call implements TierOptions {
  readonly fill: object | undefined;
  #controller: AbortController | undefined;
  #reason: unknown;

  constructor(fill: object | undefined) {
    this.fill = fill;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  end(reason: unknown): void {
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}

/**
 * Settles as the call does, or rejects with a `TimeoutError` after `timeout` milliseconds, and calls `onLate` when what
 * was given up comes to an end after all.
 */
export function bounded<T>(
  clock: Clock,
  timeout: number,
  what: string,
  call: (options: TierOptions) => MaybePromise<T>,
  onLate?: (isDone: boolean) => void,
  fill?: object,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const options = new Call(fill);
    let timer: Timer | undefined;
    let isOver = false;
    const end = (): boolean => {
      if (isOver) return false;
      isOver = true;
      timer?.clear();
      return true;
    };
    const result = call(options); // what it throws rejects
    if (!isPromiseLike(result)) {
      resolve(result);
      return;
    }
    result.then(
      (value) => (end() ? resolve(value) : onLate?.(true)),
      (error: unknown) => (end() ? reject(error) : onLate?.(false)),
    );
    if (timeout === Number.POSITIVE_INFINITY) return;
    timer = clock.setTimeout(() => {
      if (!end()) return;
      const error = new TimeoutError(`Cannot wait for ${what} any longer: it took ${timeout} ms`, timeout);
      options.end(error);
      reject(error);
    }, timeout);
  });
}

export function isPromiseLike<T>(value: MaybePromise<T>): value is PromiseLike<T> {
  return typeof (value as PromiseLike<T> | undefined)?.then === "function";
}
