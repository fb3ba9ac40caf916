// Calls a function for several items of a pipe at a time.
import { runIn } from "./ambient.ts";
import { channel } from "./channel.ts";
import type { ContextNode } from "./context-node.ts";
import { derive, detach } from "./derive.ts";
import type { Step } from "./pipe.ts";
import type { Open } from "./pipe-source.ts";

/**
 * A reader runs ahead of whoever wants the results, but never by more than `concurrency` items: each takes a place in
 * `room` before it is read and leaves it when its result is handed on.
 */
export async function* mapConcurrently<T, U>(
  open: Open<T>,
  f: Step<T, U>,
  concurrency: number,
  ordered: boolean,
  outer: ContextNode,
) {
  const context = derive({ parent: outer }); // ends with this stage, or with its first error
  const room = channel<undefined>(concurrency);
  const results = channel<U | Promise<U>>(Number.POSITIVE_INFINITY);
  const beyond = detach(outer);
  let running = 0;
  let onIdle: (() => void) | undefined;
  let failure: { readonly error: unknown } | undefined;

  function fail(error: unknown): void {
    failure ??= { error };
    context.cancel(error);
  }

  /** Never rejects: the failure is kept, and looked at before any result is used. */
  async function call(item: T): Promise<U> {
    running++;
    let result = undefined as U; // not used after a failure
    try {
      result = await f(item, context);
    } catch (error) {
      fail(error);
    }
    if (!ordered) results.trySend(result);
    if (--running === 0) onIdle?.();
    return result;
  }

  async function readAhead(): Promise<void> {
    const items = open(context);
    try {
      for (;;) {
        await room.send(undefined, { signal: context });
        const next = await items.next();
        if (next.done) break;
        const result = call(next.value);
        // In this promise itself, not one made from it: an async stack trace leads through it to whoever waits.
        if (ordered) results.trySend(result);
      }
    } catch (error) {
      fail(error);
    }
    await items.return(undefined).catch(fail);
    if (running > 0) {
      await new Promise<void>((resolve) => {
        onIdle = resolve;
      });
    }
    results.close();
  }

  const reading = runIn(context, readAhead, undefined);
  try {
    for (let next = await take(); !next.done; next = await take()) {
      const value = await next.value;
      if (failure !== undefined) throw failure.error;
      room.tryRecv();
      yield value;
    }
    if (failure !== undefined) throw failure.error;
    return undefined;
  } finally {
    context.cancel();
    await reading;
  }

  /** The end of the run reaches the reader, which closes `results` when everything has stopped. */
  function take() {
    return results.recv({ signal: beyond });
  }
}
