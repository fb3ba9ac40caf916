// Shared memory through which a test follows a task: how many have begun, the word that lets them go, how many have ended.
export class Gate {
  readonly words = new Int32Array(new SharedArrayBuffer(16));

  /** Resolves when as many tasks have begun. */
  begun(count = 1): Promise<void> {
    return this.#reach(0, count);
  }

  /** Resolves when as many tasks have ended by themselves. */
  ended(count = 1): Promise<void> {
    return this.#reach(2, count);
  }

  open(): void {
    Atomics.store(this.words, 1, 1);
    Atomics.notify(this.words, 1);
  }

  async #reach(index: number, count: number): Promise<void> {
    for (let now = Atomics.load(this.words, index); now < count; now = Atomics.load(this.words, index)) {
      const change = Atomics.waitAsync(this.words, index, now);
      if (change.async) await keepAlive(change.value);
    }
  }
}

/** A pending `Atomics.waitAsync` keeps no process alive. */
async function keepAlive(promise: Promise<unknown>): Promise<void> {
  const timer = setInterval(() => {}, 2 ** 31 - 1);
  await promise;
  clearInterval(timer);
}
