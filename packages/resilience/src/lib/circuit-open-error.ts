// The answer while a circuit is open.

/**
 * The call was not made: the circuit breaker of its key or endpoint is open, or half-open with all probes under way.
 * Its message is made when it is read; `structuredClone` leaves it out, but for the first line of the stack.
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

  /** What was called. */
  readonly #call: string;

  constructor(name: string, key: string | undefined, retryAfterMs: number | undefined) {
    super(); // a message would cost as much as all the rest, and most of them are never read
    this.#call = name;
    this.key = key;
    this.retryAfterMs = retryAfterMs;
  }

  static {
    Object.defineProperty(CircuitOpenError.prototype, "message", {
      configurable: true,
      get(this: CircuitOpenError) {
        return #call in this ? this.#message() : ""; // the prototype itself has none
      },
      set(this: Error, value: string) {
        Object.defineProperty(this, "message", { value, writable: true, configurable: true, enumerable: false });
      },
    });
  }

  #message(): string {
    const { key, retryAfterMs } = this;
    const message = `Cannot call ${this.#call}: ${key === undefined ? "its circuit" : `the circuit of ${key}`} is open`;
    return retryAfterMs === undefined ? message : `${message}, retry after ${retryAfterMs} ms`;
  }
}
