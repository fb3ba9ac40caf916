// A pause that keeps no process alive, and that can be cut short.
import { type Clock, Context } from "@proj/concurrency";

export class Pause {
  readonly #context: Context;
  readonly #clock: Clock;
  #wake: (() => void) | undefined;
  #isAwake = false;

  constructor(context: Context, clock: Clock) {
    this.#context = context;
    this.#clock = clock;
  }

  /** Ends the pause, or else the next one before it begins. */
  wake(): void {
    if (this.#wake === undefined) this.#isAwake = true;
    else this.#wake();
  }

  /** Resolves after `ms` milliseconds, when woken, or when the context ends. */
  async wait(ms: number): Promise<void> {
    if (this.#isAwake || this.#context.cancelled) {
      this.#isAwake = false;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = this.#clock.setTimeout(resolve, ms);
    const registration = Context.after(this.#context, () => resolve());
    try {
      await promise;
    } finally {
      this.#wake = undefined;
      timer.clear();
      registration[Symbol.dispose]();
    }
  }
}
