// One native listener per foreign AbortSignal, however many wait for it: the platform's own list takes time linear in
// its listeners for each one added.
import { broadcast, Source } from "./cancellation.ts";

/** Everybody here who waits for one foreign signal. */
export class SignalHub extends Source {
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    super();
    this.#signal = signal;
  }

  // The listener goes with the last subscriber: a composite signal stays in memory for as long as it has one.
  protected override onWatched(): void {
    this.#signal.addEventListener("abort", this.#abort, { once: true });
  }

  protected override onUnwatched(): void {
    this.#signal.removeEventListener("abort", this.#abort);
  }

  readonly #abort = (): void => broadcast(this, this.#signal.reason);
}

/** The hub lives on the signal itself and so dies with it; a WeakMap would cost seven times as much per signal. */
const hubKey: unique symbol = Symbol("@proj/concurrency hub");

/** The hub of a signal, made on the first call. */
export function hubOf(signal: AbortSignal & { [hubKey]?: SignalHub }): SignalHub {
  const known = signal[hubKey];
  if (known !== undefined) return known;
  const hub = new SignalHub(signal);
  signal[hubKey] = hub;
  return hub;
}

/** Whether `value` can stand for a signal here: a platform signal, or one of the same shape. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  return (
    typeof value === "object" &&
    value !== null &&
    "aborted" in value &&
    "addEventListener" in value &&
    typeof value.addEventListener === "function"
  );
}
