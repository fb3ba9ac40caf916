// Collects the items of a pipe into arrays.
import { runIn } from "./ambient.ts";
import type { Clock, Timer } from "./clock.ts";
import type { ContextNode } from "./context-node.ts";
import { derive } from "./derive.ts";
import type { Open } from "./pipe-source.ts";

export async function* inBatches<T>(open: Open<T>, max: number, wait: number, clock: Clock, outer: ContextNode) {
  const context = derive({ parent: outer }); // ends with this stage: a read ahead must not hold it up
  const items = open(context);
  const readOne = () => items.next();
  let reading: Promise<IteratorResult<T, undefined>> | undefined;
  let batch: T[] = [];
  let timer: Timer | undefined;
  try {
    for (;;) {
      const late = Promise.withResolvers<undefined>();
      while (batch.length < max) {
        reading ??= runIn(context, readOne, undefined);
        const next = await (timer === undefined ? reading : Promise.race([reading, late.promise]));
        if (next === undefined) break; // late: the read goes on for the next batch
        reading = undefined;
        if (next.done) {
          if (batch.length > 0) yield batch;
          return undefined;
        }
        batch.push(next.value);
        if (batch.length < max && wait !== Number.POSITIVE_INFINITY) {
          timer ??= startTimer(clock, wait, late.resolve);
        }
      }
      timer?.clear();
      timer = undefined;
      yield batch;
      batch = [];
    }
  } finally {
    timer?.clear();
    context.cancel();
    await runIn(context, () => items.return(undefined), undefined);
  }
}

function startTimer(clock: Clock, ms: number, callback: (late: undefined) => void): Timer {
  const timer = clock.setTimeout(callback, ms, undefined);
  timer.ref(); // somebody waits for the batch
  return timer;
}
