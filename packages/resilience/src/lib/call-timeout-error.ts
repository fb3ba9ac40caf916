// Time was up for a call, an attempt, or a phase of one.
import { TimeoutError } from "@proj/concurrency";

/**
 * A timeout of a policy has passed. It is a `TimeoutError` of concurrency as well, with the same `name` and `code`.
 *
 * @example
 * ```ts
 * import { sleep } from "@proj/concurrency";
 * import { CallTimeoutError, compose, timeout } from "@proj/resilience";
 *
 * const users = compose(timeout(10));
 * const error = await users(() => sleep(60_000)).catch((error: unknown) => error);
 * console.log(error instanceof CallTimeoutError && error.phase, (error as Error).name); // prints: call TimeoutError
 * ```
 */
export class CallTimeoutError extends TimeoutError {
  /** `"call"` for all attempts together, `"attempt"`, or the name of a phase. */
  readonly phase: string;
  /** Milliseconds from the start of that until its end was noticed: more than `timeoutMs` if the event loop was busy. */
  readonly elapsedMs: number;

  constructor(name: string, phase: string, timeoutMs: number, elapsedMs: number, options?: ErrorOptions) {
    super(`Cannot finish the ${phase} of ${name}: its ${round(timeoutMs)} ms have passed`, timeoutMs, options);
    this.phase = phase;
    this.elapsedMs = elapsedMs;
  }
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
