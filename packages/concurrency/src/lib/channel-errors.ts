// What sending into a channel can fail with.

/**
 * The channel does not take items any more: it was closed before the item was accepted. `cause` is what it was closed
 * with, if anything.
 *
 * @example
 * ```ts
 * import { ChannelClosedError, channel } from "@proj/concurrency";
 *
 * const jobs = channel<string>(1);
 * jobs.close();
 * const error = await jobs.send("late").catch((error: unknown) => error);
 * console.log(error instanceof ChannelClosedError && error.code); // prints: ERR_CHANNEL_CLOSED
 * ```
 */
export class ChannelClosedError extends Error {
  override readonly name = "ChannelClosedError";
  readonly code = "ERR_CHANNEL_CLOSED";

  constructor(cause?: unknown) {
    super("Cannot send: the channel is closed", cause === undefined ? undefined : { cause });
  }
}

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

  constructor(capacity: number) {
    super(`Cannot send: the channel holds ${capacity} items and nobody receives`);
    this.capacity = capacity;
  }
}
