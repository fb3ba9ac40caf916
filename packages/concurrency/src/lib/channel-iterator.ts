// Loops over a channel.
import type { BufferedChannel } from "./channel-buffered.ts";
import type { WaitOptions } from "./wait-options.ts";

/** One loop over a channel. */
export class ChannelIterator<T> implements AsyncIterableIterator<T, undefined> {
  readonly #channel: BufferedChannel<T>;
  readonly #options: WaitOptions | undefined;
  #left = false;

  constructor(channel: BufferedChannel<T>, options?: WaitOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#left) return Promise.resolve({ done: true, value: undefined });
    return this.#channel.receive(this.#options, this);
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#left = true;
    this.#channel.leave(this);
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
