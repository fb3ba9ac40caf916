// Tells the other thread that there is something in its ring, and only if it has gone to sleep. Unlike a wait at the ring
// itself this keeps nobody's event loop alive.
const asleep = 1;

export class Bell {
  readonly #words: Int32Array;
  readonly #index: number;
  #listener: (() => void) | undefined;

  /** Takes the words at `index` and after it: the number of rings, and whether the listener sleeps. */
  constructor(words: Int32Array, index: number) {
    this.#words = words;
    this.#index = index;
  }

  /** Call after the ring has changed. */
  ring(): void {
    if (Atomics.exchange(this.#words, this.#index + asleep, 0) === 0) return;
    Atomics.add(this.#words, this.#index, 1);
    Atomics.notify(this.#words, this.#index);
  }

  /** Calls `listener`, never at once, when the bell was rung or `isQuiet()` is not true before falling asleep. */
  listen(listener: () => void, isQuiet: () => boolean): void {
    this.#listener = listener;
    const sleep = (): void => {
      if (this.#listener === undefined) return;
      const rings = Atomics.load(this.#words, this.#index);
      Atomics.store(this.#words, this.#index + asleep, 1);
      // Whoever put something in before seeing us asleep did not ring: look once more.
      const isMissed = !isQuiet() && Atomics.exchange(this.#words, this.#index + asleep, 0) === 1;
      const rung = isMissed ? undefined : Atomics.waitAsync(this.#words, this.#index, rings);
      if (rung?.async) rung.value.then(wake);
      else queueMicrotask(wake);
    };
    const wake = (): void => {
      this.#listener?.();
      sleep();
    };
    sleep();
  }

  /** No call comes any more, and nothing waits. */
  mute(): void {
    this.#listener = undefined;
    this.ring();
  }
}
