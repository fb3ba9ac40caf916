// A dispatcher for all requests of a process, under all the policies.
import { checkFunction } from "@proj/concurrency/options";
import { Agent, type Dispatcher } from "undici";
import { breaker } from "./breaker.ts";
import { retryBudget } from "./budget.ts";
import { bulkhead } from "./bulkhead.ts";
import { checkObject } from "./check-object.ts";
import type { FallbackLevel } from "./fallback-levels.ts";
import type { Policy } from "./policy.ts";
import { type ResilientOptions, resilient } from "./resilient.ts";
import { classifyUnspent } from "./undici-body-spent.ts";
import type { CannedResponse } from "./undici-canned.ts";
import { Exchange } from "./undici-exchange.ts";
import { checkOrigin, exchangeSettings, isTunnel, type PolicyInterceptorOptions } from "./undici-interceptors.ts";

/** The policies of a dispatcher, each as it is or as its options, and how requests are sent. */
export interface ResilientDispatcherOptions
  extends Omit<ResilientOptions<readonly FallbackLevel<CannedResponse>[]>, "balance">,
    PolicyInterceptorOptions {
  /** What sends the requests in the end. Default: a new `Agent`. */
  readonly dispatcher?: Dispatcher | undefined;
  /** Balancers by the origin that stands for their endpoints, such as `http://users.internal`. Default: none. */
  readonly balance?: Readonly<Record<string, Policy>> | undefined;
}

/**
 * Makes a dispatcher whose requests go through the policies, in the order of `resilient`; give it to `fetch` and `request`
 * as an option, or to `setGlobalDispatcher`, which reaches the global `fetch` too. See {@link policyInterceptor} for what
 * counts as a call. The `phases` of an attempt are `connect`, until a connection takes it on, and `headers`; for the body
 * see `bodyTimeout` of undici. A fallback may answer with a {@link CannedResponse}. A breaker has a circuit for each origin, or for each endpoint of a balanced one.
 *
 * For the global `fetch`, use a release of the `undici` package that is not older than the one in Node, which
 * `process.versions.undici` tells: they find each other through a global symbol, which new releases still set for old ones.
 *
 * @throws TypeError or RangeError for options that are none
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { resilientDispatcher } from "@proj/resilience/undici";
 * import { fetch } from "undici";
 *
 * let calls = 0;
 * const server = createServer((_request, response) => response.writeHead(++calls === 1 ? 503 : 200).end("hello"));
 * await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
 * const { port } = server.address() as { port: number };
 *
 * const dispatcher = resilientDispatcher({ timeout: 5_000, retry: { attempts: 3 }, breaker: { consecutive: 5 } });
 * const response = await fetch(`http://127.0.0.1:${port}/`, { dispatcher });
 * console.log(response.status, await response.text(), calls); // prints: 200 hello 2
 * await dispatcher.close();
 * server.close();
 * ```
 */
export function resilientDispatcher(options: ResilientDispatcherOptions = {}): Dispatcher {
  const action = "make a resilientDispatcher";
  const { dispatcher = new Agent(), balance = {}, propagate, maxReplay, name, ...slots } = options;
  const settings = exchangeSettings(action, { propagate, maxReplay });
  checkFunction(action, "dispatcher.compose", dispatcher?.compose);
  checkObject(action, "balance", balance);
  // Made once: all stacks share them.
  const shared: ResilientOptions<readonly FallbackLevel<CannedResponse>[]> = {
    ...slots,
    classify: classifyUnspent(slots.classify),
    budget: slots.budget && ("tryWithdraw" in slots.budget ? slots.budget : retryBudget(slots.budget)),
    breaker: slots.breaker && ("enter" in slots.breaker ? slots.breaker : breaker(slots.breaker)),
    bulkhead: slots.bulkhead && ("kind" in slots.bulkhead ? slots.bulkhead : bulkhead(slots.bulkhead)),
  };
  const plain = resilient({ ...shared, name });
  const balanced = new Map(
    Object.entries(balance).map(([origin, balancer]) => {
      const checked = checkOrigin(action, origin);
      return [checked, resilient({ ...shared, balance: balancer, name: name && `${name} ${checked}` })];
    }),
  );
  return dispatcher.compose((dispatch) => (request, handler) => {
    if (isTunnel(request)) return dispatch(request, handler);
    const stack = (balanced.size > 0 && request.origin && balanced.get(new URL(request.origin).origin)) || plain;
    new Exchange(stack, dispatch, request, handler, settings).start();
    return true;
  });
}
