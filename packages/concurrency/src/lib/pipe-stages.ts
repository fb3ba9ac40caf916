// The stages of a pipe that read nothing ahead.
import type { ContextNode } from "./context-node.ts";
import type { Step } from "./pipe.ts";
import { checkSource, type Open, read, type Source } from "./pipe-source.ts";

type Items<T> = AsyncGenerator<T, undefined, undefined>;

export async function* mapInTurn<T, U>(open: Open<T>, f: Step<T, U>, context: ContextNode): Items<Awaited<U>> {
  for await (const item of open(context)) yield await f(item, context);
  return undefined;
}

export async function* keepIf<T>(open: Open<T>, f: Step<T, unknown>, context: ContextNode): Items<T> {
  for await (const item of open(context)) if (await f(item, context)) yield item;
  return undefined;
}

export async function* flatten<T, U>(open: Open<T>, f: Step<T, Source<U>>, context: ContextNode): Items<U> {
  for await (const item of open(context)) {
    const inner = await f(item, context);
    checkSource("flatMap a pipe", inner);
    yield* read<U>(inner, context);
  }
  return undefined;
}

export async function* takeFirst<T>(open: Open<T>, count: number, context: ContextNode): Items<T> {
  if (count === 0) return undefined;
  const last: T[] = [];
  let taken = 0;
  for await (const item of open(context)) {
    if (++taken === count) {
      last.push(item);
      break; // closes the source before the last item is handed on
    }
    yield item;
  }
  yield* last;
  return undefined;
}
