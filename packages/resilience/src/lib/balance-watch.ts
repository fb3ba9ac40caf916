// Follows a source of endpoint sets for a balancer, until told to stop.
import type { EndpointSet } from "./balance-endpoints.ts";

/** What {@link Watching} tells. */
export interface WatchListener {
  found(set: EndpointSet): void;
  /** The source will not give another set. */
  failed(error: unknown): void;
  /** The same, and nothing is wrong. */
  ended(): void;
}

export class Watching {
  readonly #iterator: AsyncIterator<EndpointSet>;
  readonly #listener: WatchListener;
  #isStopped = false;

  constructor(source: AsyncIterable<EndpointSet>, listener: WatchListener) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#listener = listener;
    void this.#follow();
  }

  /** Does not wait: a generator that is in the middle of something ends only after that. */
  stop(): void {
    this.#isStopped = true;
    try {
      this.#iterator.return?.()?.then(undefined, () => {});
    } catch {} // nobody wants its sets any more
  }

  async #follow(): Promise<void> {
    try {
      while (!this.#isStopped) {
        const { done, value } = await this.#iterator.next();
        if (this.#isStopped) return;
        if (done) break;
        this.#listener.found(value);
      }
      this.#listener.ended();
    } catch (error) {
      if (!this.#isStopped) this.#listener.failed(error);
    }
  }
}
