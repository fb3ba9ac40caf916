// What the caller of a request steers it by, whichever attempt it is at.
import type { Dispatcher } from "undici";
import type { Attempt } from "./undici-attempt.ts";

export class CallController implements Dispatcher.DispatchController {
  readonly #onAbort: (reason: Error) => void;
  #attempt: Attempt | undefined;
  #isPaused = false;
  #isAborted = false;
  #reason: Error | null = null;

  constructor(onAbort: (reason: Error) => void) {
    this.#onAbort = onAbort;
  }

  /** From now on it steers this one. */
  follow(attempt: Attempt): void {
    this.#attempt = attempt;
  }

  get aborted(): boolean {
    return this.#isAborted;
  }

  get paused(): boolean {
    return this.#isPaused;
  }

  get reason(): Error | null {
    return this.#reason;
  }

  get rawHeaders(): NonNullable<Dispatcher.DispatchController["rawHeaders"]> | null {
    return this.#attempt?.controller?.rawHeaders ?? null;
  }

  get rawTrailers(): NonNullable<Dispatcher.DispatchController["rawTrailers"]> | null {
    return this.#attempt?.controller?.rawTrailers ?? null;
  }

  abort(reason: Error): void {
    if (this.#isAborted) return;
    this.#isAborted = true;
    this.#reason = reason;
    this.#onAbort(reason);
  }

  pause(): void {
    this.#isPaused = true;
    this.#attempt?.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#attempt?.resume();
  }
}
