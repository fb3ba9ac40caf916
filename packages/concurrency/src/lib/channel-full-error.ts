// The answer of a channel that keeps nobody waiting to one item too many.

/**
 * The channel is full and was made with `overflow: "error"`.
 *
 * @example
 * ```ts
 * import { ChannelFullError, channel } from "@proj/concurrency";
 *
 * const jobs = channel<string>(1, { overflow: "error" });
 * await jobs.send("first");
 * const error = await jobs.send("second").catch((error: unknown) => error);
 * console.log(error instanceof ChannelFullError && error.capacity); // prints: 1
 * ```
 */
export class ChannelFullError extends Error {
  override readonly name = "ChannelFullError";
  readonly code = "ERR_CHANNEL_FULL";
  /** That of the channel. */
  readonly capacity: number;

  constructor(what: string, capacity: number) {
    super(`Cannot send to ${what}: it holds ${capacity} items and nobody receives`);
    this.capacity = capacity;
  }
}
