// Which context the running code is in. The only AsyncLocalStorage: what one costs grows with their number in a process.
import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { systemClock } from "./clock.ts";
import { ContextNode } from "./context-node.ts";

const ambient = new AsyncLocalStorage<ContextNode>();

const root = new ContextNode({
  clock: systemClock,
  values: new Map(),
  deadline: Number.POSITIVE_INFINITY,
  isRoot: true,
});

/** The context of the running code; outside any, a root that never ends. */
export function currentNode(): ContextNode {
  return ambient.getStore() ?? root;
}

/** Calls `f(argument)` with `node` as the current context, for all that it calls and awaits. */
export function runIn<A, T>(node: ContextNode, f: (argument: A) => T, argument: A): T {
  // `ambient.run` copies the frame of all stores twice, to go in and to come back; a resource comes back to the old one.
  return new AsyncResource("Context").runInAsyncScope(enter<A, T>, undefined, node, f, argument);
}

function enter<A, T>(node: ContextNode, f: (argument: A) => T, argument: A): T {
  ambient.enterWith(node);
  return f(argument);
}
