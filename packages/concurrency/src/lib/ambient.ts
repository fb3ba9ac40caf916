// Which context the running code is in. The only AsyncLocalStorage: what one costs grows with their number in a process.
import { AsyncLocalStorage } from "node:async_hooks";
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
  return ambient.run(node, f, argument);
}
