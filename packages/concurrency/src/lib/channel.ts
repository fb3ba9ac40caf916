// Bounded queues between tasks: one side waits for room, the other for items.
import { BufferedChannel } from "./channel-buffered.ts";
import { checkCount, describe } from "./check.ts";
import { type ComponentStats, register } from "./registry.ts";
import type { WaitOptions } from "./wait-options.ts";

/** What happens to an item that finds the channel full. */
export type Overflow = "wait" | "drop-oldest" | "drop-newest" | "error";

/** How a {@link channel} behaves. */
export interface ChannelOptions {
  /**
   * What `send` does when the channel is full:
   * - `"wait"` (default): waits for room, in line with other senders;
   * - `"drop-oldest"`: drops the oldest buffered item to make room; needs a capacity of at least 1;
   * - `"drop-newest"`: drops the item that was to be sent;
   * - `"error"`: rejects with a `ChannelFullError`.
   */
  readonly overflow?: Overflow | undefined;
  /** Used in error messages; with a name it is listed by `components()`. Default: none. */
  readonly name?: string | undefined;
}

/** What a channel gives: an item, or the end. An item may be `undefined`; `done` tells the two apart. */
export type Received<T> =
  | { readonly done: false; readonly value: T }
  | { readonly done: true; readonly value: undefined };

/** A queue between tasks, made by {@link channel}. */
export interface Channel<T> extends AsyncIterable<T, undefined>, AsyncDisposable {
  /** How many items it buffers before `overflow` applies. */
  readonly capacity: number;
  /** Items buffered now. */
  readonly size: number;
  /** Senders waiting for room now. */
  readonly waitingSenders: number;
  /** Receivers waiting for an item now. */
  readonly waitingReceivers: number;
  /** Items lost to `"drop-oldest"` or `"drop-newest"` so far. */
  readonly dropped: number;
  /** Whether {@link Channel.close} was called; there may still be items to receive. */
  readonly closed: boolean;

  /**
   * Hands over an item: to the receiver that has waited longest, else to the buffer, else as `overflow` says. Resolves
   * once the item was accepted (or dropped, as `overflow` says).
   *
   * Senders that wait are served in the order in which they came. An abort takes the item back: it is not delivered.
   *
   * @throws ClosedError (as a rejection) if the channel is closed, also when that happens during the wait.
   * @throws ChannelFullError (as a rejection) if it is full and `overflow` is `"error"`.
   */
  send(value: T, options?: WaitOptions): Promise<void>;

  /**
   * As `send`, without waiting. Returns whether the item was accepted; `false` means that it was not and never will be.
   *
   * @throws ClosedError if the channel is closed.
   */
  trySend(value: T): boolean;

  /**
   * Takes the oldest item. Receivers that wait are served in the order in which they came; an abort loses no item.
   * After the last item of a closed channel: `{ done: true }`, or a rejection with the cause it was closed with.
   */
  recv(options?: WaitOptions): Promise<Received<T>>;

  /** As `recv`, without waiting: `undefined` when there is nothing now. Throws the cause the channel was closed with. */
  tryRecv(): Received<T> | undefined;

  /**
   * Ends the channel. What is buffered can still be received; senders that wait now, and later ones, are refused with a
   * `ClosedError`. Then receivers get `{ done: true }`; with a `cause` they reject with it, untouched. Only the
   * first call counts.
   */
  close(cause?: unknown): void;

  /**
   * The items from now on, until the channel ends. Leaving the loop leaves the channel open; a `next` that waits at that
   * moment ends with `done`, and takes no item.
   */
  values(options?: WaitOptions): AsyncIterableIterator<T, undefined>;

  /** The same as {@link Channel.values} without options. Several loops share the items: each goes to one of them. */
  [Symbol.asyncIterator](): AsyncIterableIterator<T, undefined>;

  /** Closes the channel, without a cause and without waiting for its receivers. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Makes a channel: a first-in, first-out queue that lets one task wait for another.
 *
 * With a capacity of 0 (the default) it is a meeting point: `send` resolves when a receiver took the item. `Infinity`
 * never makes a sender wait, and bounds nothing. Each item is delivered exactly once, whoever aborts when.
 *
 * @example
 * ```ts
 * import { channel } from "@proj/concurrency";
 *
 * const numbers = channel<number>(2);
 *
 * async function produce() {
 *   for (let i = 1; i <= 4; i++) await numbers.send(i); // waits while two are buffered
 *   numbers.close();
 * }
 *
 * const producing = produce();
 * for await (const n of numbers) console.log(n);
 * // prints: 1
 * // prints: 4
 * await producing;
 * ```
 *
 * @throws TypeError, RangeError if `capacity` is not an integer of at least 0 or `Infinity`, or `overflow` is unknown.
 */
export function channel<T>(capacity = 0, { overflow = "wait", name }: ChannelOptions = {}): Channel<T> {
  checkCount("create a channel", "capacity", capacity, 0, true);
  if (!overflows.includes(overflow)) {
    throw new TypeError(
      `Cannot create a channel: overflow must be one of ${overflows.join(", ")}, got ${describe(overflow)}`,
    );
  }
  if (overflow === "drop-oldest" && capacity === 0) {
    throw new RangeError('Cannot create a channel: capacity must be at least 1 with overflow "drop-oldest", got 0');
  }
  const made: Channel<T> = new BufferedChannel<T>(capacity, overflow, name);
  if (name !== undefined) register("channel", name, made, statsOf);
  return made;
}

function statsOf(channel: Channel<unknown>): ComponentStats {
  const { capacity, size, waitingSenders, waitingReceivers, dropped, closed } = channel;
  return { capacity, size, waitingSenders, waitingReceivers, dropped, closed };
}

const overflows: readonly Overflow[] = ["wait", "drop-oldest", "drop-newest", "error"];
