// Several pipes into one, and one into several.
import { currentNode, runIn } from "./ambient.ts";
import { type Channel, channel } from "./channel.ts";
import type { ContextNode } from "./context-node.ts";
import { derive, detach } from "./derive.ts";
import type { Open } from "./pipe-source.ts";

export async function* mergeAll<T>(opens: readonly Open<T>[], outer: ContextNode) {
  const context = derive({ parent: outer });
  const items = channel<T>(); // a meeting point: each source is one item ahead, in its own hands
  const beyond = detach(outer);
  let failure: { readonly error: unknown } | undefined;

  async function forward(open: Open<T>): Promise<void> {
    try {
      for await (const item of open(context)) await items.send(item, { signal: context });
    } catch (error) {
      failure ??= { error };
      context.cancel(error);
    }
  }

  const forwarding = runIn(context, () => Promise.all(opens.map(forward)).then(() => items.close()), undefined);
  try {
    for (let next = await take(); !next.done; next = await take()) yield next.value;
    if (failure !== undefined) throw failure.error;
    return undefined;
  } finally {
    context.cancel();
    await forwarding;
  }

  /** Its end is that of the sources: they hear of the end of the run. */
  function take() {
    return items.recv({ signal: beyond });
  }
}

/** The first branch that is read starts the one run that feeds them all; it ends when the last has been left. */
export function teeInto<T>(open: Open<T>, count: number, buffer: number): Open<T>[] {
  const branches = Array.from({ length: count }, () => channel<T>(buffer));
  const left = new Set<Channel<T>>();
  let context: ContextNode | undefined;

  function start(): ContextNode {
    // None of the readers owns the run: it keeps the values of the first, and ends when all have left.
    const own = derive({ parent: detach(currentNode()) });
    void runIn(own, feed, own);
    return own;
  }

  async function feed(own: ContextNode): Promise<void> {
    try {
      for await (const item of open(own)) {
        for (const branch of branches) {
          if (!left.has(branch)) await branch.send(item, { signal: own }).catch(throwUnlessLeft(branch));
        }
      }
      for (const branch of branches) branch.close();
    } catch (error) {
      for (const branch of branches) branch.close(error);
    }
  }

  function throwUnlessLeft(branch: Channel<T>) {
    return (error: unknown) => {
      if (!left.has(branch)) throw error;
    };
  }

  return branches.map((branch) => {
    let isTaken = false;
    return async function* (outer: ContextNode) {
      if (isTaken) throw new Error("Cannot read a branch of tee() twice: its items are gone");
      isTaken = true;
      context ??= start();
      try {
        for await (const item of branch.values({ signal: outer })) yield item;
        return undefined;
      } finally {
        left.add(branch);
        branch.close();
        if (left.size === count) context.cancel();
      }
    };
  });
}
