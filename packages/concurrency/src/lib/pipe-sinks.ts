// Runs pipes: each run has a context that ends with it, whichever way it ends.
import { runIn } from "./ambient.ts";
import { describe } from "./check.ts";
import type { ContextNode } from "./context-node.ts";
import { contextFor, derive } from "./derive.ts";
import type { Open } from "./pipe-source.ts";
import { until } from "./until.ts";
import type { WaitOptions } from "./wait-options.ts";

/** Gives each item to `each`, one after the other. */
export function drain<T>(open: Open<T>, options: WaitOptions | undefined, each: (item: T) => unknown): Promise<void> {
  return inRun(options, async (context) => {
    for await (const item of open(context)) await each(item);
  });
}

/** A generator runs in the context of whoever asks for its next item: here that is the one of the run. */
export async function* iterate<T>(open: Open<T>) {
  const context = derive({});
  const items = open(context);
  const next = () => items.next();
  try {
    for (let item = await runIn(context, next, undefined); !item.done; item = await runIn(context, next, undefined)) {
      yield item.value;
    }
    return undefined;
  } finally {
    await runIn(context, () => items.return(undefined), undefined).finally(() => context.cancel());
  }
}

export function toWebWritable<T>(
  open: Open<T>,
  stream: WritableStream<T>,
  options: WaitOptions | undefined,
): Promise<void> {
  return inRun(options, async (context) => {
    const writer = stream.getWriter();
    try {
      for await (const item of open(context)) {
        await until(context, writer.ready);
        await until(context, writer.write(item));
      }
      await until(context, writer.close());
    } catch (error) {
      const aborting = writer.abort(error).catch(() => {});
      if (!context.cancelled) await aborting; // else it may be stuck in a write
      throw error;
    } finally {
      writer.releaseLock();
    }
  });
}

export function toNodeWritable<T>(
  open: Open<T>,
  stream: NodeJS.WritableStream,
  options: WaitOptions | undefined,
): Promise<void> {
  if (typeof stream?.write !== "function") {
    throw new TypeError(`Cannot pipe: stream must be a writable stream, got ${describe(stream)}`);
  }
  return inRun(options, async (context) => {
    const { pipeline } = await import("node:stream/promises");
    try {
      await pipeline(open(context), stream, { signal: context.signal });
    } catch (error) {
      throw context.cancelled ? context.cause : error;
    }
  });
}

async function inRun<T>(options: WaitOptions | undefined, body: (context: ContextNode) => Promise<T>): Promise<T> {
  const context = derive({ parent: contextFor("run a pipe", options?.signal) });
  try {
    context.throwIfCancelled();
    return await runIn(context, body, context);
  } finally {
    context.cancel();
  }
}
