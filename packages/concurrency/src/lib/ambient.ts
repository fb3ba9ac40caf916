// Which context the running code is in. The only AsyncLocalStorage: what one costs grows with their number in a process.
import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { systemClock } from "./clock.ts";
import { ContextNode } from "./context-node.ts";

const ambient = new AsyncLocalStorage<ContextNode>();

/** The context of code outside any: it never ends. */
export const rootNode = new ContextNode({
  clock: systemClock,
  values: new Map(),
  deadline: Number.POSITIVE_INFINITY,
  isRoot: true,
});

/**
 * Runs something outside of any context: what lives long must not hold on to whoever needed it first. Taken here, since
 * this module is the first to be there: a later one may be imported within the context of a user.
 */
export const outside = AsyncLocalStorage.snapshot();

/** The context of the running code; outside any, a root that never ends. */
export function currentNode(): ContextNode {
  return ambient.getStore() ?? rootNode;
}

/** The `AsyncLocalStorage` frames of the running code, kept for {@link runIn}. */
export function keepFrame(): AsyncResource {
  return new AsyncResource("Context");
}

/**
 * Calls `f(argument)` with `node` as the current context, for all that it calls and awaits. The other stores are as they
 * were in `frame`, by default as they are.
 */
export function runIn<A, T>(node: ContextNode, f: (argument: A) => T, argument: A, frame = keepFrame()): T {
  // `ambient.run` copies the frame of all stores twice, to go in and to come back; a resource comes back to the old one.
  return frame.runInAsyncScope(enter<A, T>, undefined, node, f, argument);
}

function enter<A, T>(node: ContextNode, f: (argument: A) => T, argument: A): T {
  ambient.enterWith(node);
  return f(argument);
}
