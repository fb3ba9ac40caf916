// The answer while a circuit is open.

/**
 * The call was not made: the circuit breaker of its key or endpoint is open, or half-open with all probes under way.
 *
 * @example
 * ```ts
 * import { CircuitOpenError } from "@proj/resilience";
 *
 * const error = new CircuitOpenError("users", "eu", 1_500);
 * console.log(error.message); // prints: Cannot call users: the circuit of eu is open, retry after 1500 ms
 * ```
 */
export class CircuitOpenError extends Error {
  override readonly name = "CircuitOpenError";
  readonly code = "ERR_CIRCUIT_OPEN";
  /** Of the endpoint or as the caller gave it; `undefined` if the breaker has one circuit for all. */
  readonly key: string | undefined;
  /** Milliseconds until the circuit lets probes through; `undefined` if nobody knows, as while probes are under way. */
  readonly retryAfterMs: number | undefined;

  constructor(name: string, key: string | undefined, retryAfterMs: number | undefined) {
    const circuit = key === undefined ? "its circuit" : `the circuit of ${key}`;
    super(
      retryAfterMs === undefined
        ? `Cannot call ${name}: ${circuit} is open`
        : `Cannot call ${name}: ${circuit} is open, retry after ${retryAfterMs} ms`,
    );
    this.key = key;
    this.retryAfterMs = retryAfterMs;
  }
}
