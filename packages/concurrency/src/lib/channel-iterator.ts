// Loops over a channel.
import type { Channel } from "./channel.ts";
import type { WaitOptions } from "./wait-options.ts";

/** One loop over a channel. */
export class ChannelIterator<T> implements AsyncIterableIterator<T, undefined> {
  readonly #channel: Channel<T>;
  readonly #options: WaitOptions | undefined;
  #left = false;

  constructor(channel: Channel<T>, options?: WaitOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return this.#left ? Promise.resolve({ done: true, value: undefined }) : this.#channel.recv(this.#options);
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#left = true;
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
