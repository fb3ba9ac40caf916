// Where the items of a pipe come from. A source may be stuck in a read when the run ends: each kind has its own way out.
import type { Channel } from "./channel.ts";
import { BufferedChannel } from "./channel-buffered.ts";
import { describe } from "./check.ts";
import type { ContextNode } from "./context-node.ts";
import { until } from "./until.ts";

/** What a pipe can read. The promises in a plain iterable are awaited. */
export type Source<T> = AsyncIterable<T> | Iterable<T | PromiseLike<T>> | Channel<T> | ReadableStream<T>;

/** Starts to read. What it gives ends, by rejection, soon after the context does. */
export type Open<T> = (context: ContextNode) => AsyncGenerator<T, undefined, undefined>;

export function checkSource(action: string, source: unknown): void {
  if (typeof source === "object" && source !== null) {
    if (Symbol.asyncIterator in source || Symbol.iterator in source) return;
  }
  throw new TypeError(`Cannot ${action}: the source must be an iterable object, got ${describe(source)}`);
}

export function read<T>(source: Source<T>, context: ContextNode): AsyncGenerator<T, undefined, undefined> {
  if (source instanceof BufferedChannel) return readChannel<T>(source, context);
  if (source instanceof ReadableStream) return readIterator<T>(readerOf(source), context);
  if (Symbol.asyncIterator in source) return readIterator<T>(iteratorOf(source), context);
  return readValues(source, context);
}

/** A wait at a channel leaves the line: what comes later stays in the channel. */
async function* readChannel<T>(source: BufferedChannel<T>, context: ContextNode) {
  for await (const item of source.values({ signal: context })) yield item;
  return undefined;
}

async function* readValues<T>(source: Iterable<T | PromiseLike<T>>, context: ContextNode) {
  for (const item of source) {
    context.throwIfCancelled();
    yield await until(context, Promise.resolve(item));
  }
  return undefined;
}

interface Reading<T> {
  next(): Promise<IteratorResult<T, unknown>>;
  /** Lets go of the source. `isStuck`: `next` has not answered, and may never do. */
  close(isStuck: boolean): Promise<unknown> | undefined;
}

async function* readIterator<T>(reading: Reading<T>, context: ContextNode) {
  let isReading = false;
  let isOpen = true;
  try {
    for (;;) {
      context.throwIfCancelled();
      isReading = true;
      const { done, value } = await until(context, reading.next());
      isReading = false;
      if (done) {
        isOpen = false;
        return undefined;
      }
      yield value as T; // not done, so it is an item
    }
  } finally {
    // A source whose own `next` has failed is closed already.
    if (isReading && !context.cancelled) isOpen = false;
    if (isOpen) {
      const closing = reading.close(isReading);
      if (isReading)
        void closing?.catch(() => {}); // stuck: told, but not waited for
      else await closing;
    }
  }
}

function iteratorOf<T>(source: AsyncIterable<T>): Reading<T> {
  const iterator = source[Symbol.asyncIterator]();
  return {
    next: () => iterator.next(),
    close(isStuck) {
      // The iterator of a Node.js stream answers its own return() only after next().
      if (isStuck && isDestroyable(source)) source.destroy();
      return iterator.return?.();
    },
  };
}

/** A reader, since the iterator of a Web stream cannot be left while it reads. */
function readerOf<T>(source: ReadableStream<T>): Reading<T> {
  const reader = source.getReader();
  return {
    next: () => reader.read() as Promise<IteratorResult<T, unknown>>, // of the same shape
    close: () => reader.cancel(),
  };
}

function isDestroyable(source: object): source is { destroy(): void } {
  return "destroy" in source && typeof source.destroy === "function";
}
