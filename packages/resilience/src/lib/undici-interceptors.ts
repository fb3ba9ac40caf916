// Interceptors for dispatchers of undici, each with some of the policies.
import { checkCount, checkFunction, checkOneOf, describe } from "@proj/concurrency/options";
import type { Dispatcher } from "undici";
import { checkObject } from "./check-object.ts";
import { compose } from "./compose.ts";
import type { Policy } from "./policy.ts";
import { Exchange, type ExchangeSettings, type RequestPolicies } from "./undici-exchange.ts";

/** For `dispatcher.compose()`. */
export type Interceptor = Dispatcher.DispatcherComposeInterceptor;

/** How requests are sent. */
export interface PolicyInterceptorOptions {
  /**
   * Whether the time that the context has left is told to the server as `x-deadline-ms`, and its priority as `x-priority`.
   * Default: `true`.
   */
  readonly propagate?: boolean | undefined;
  /**
   * Bytes of a body that comes as a stream with a `content-length`, up to which it is kept in memory until the end of the
   * call, to be sent again. All bodies of `fetch` come as streams. Default: 1,048,576.
   */
  readonly maxReplay?: number | undefined;
}

/**
 * Sends requests through a stack of policies, made by `compose` or `resilient`.
 *
 * **The call** begins with the request and ends with the head of the response: what the policies see of an attempt is its
 * status and headers, or its error. Nothing reaches the caller before they have decided, and from then on nothing is
 * repeated: a body that breaks off is an error of its reader. **Key**: the origin. **Idempotent** are GET, HEAD, OPTIONS,
 * TRACE, PUT, DELETE and QUERY (RFC 9110, section 9.2.2), requests with an `Idempotency-Key`, and what undici's own
 * `idempotent` says; never one whose body cannot be sent again. **Endpoint**: a balancer in the stack says where requests
 * go; `host` and TLS server name stay those of the URL. **Context**: that of the caller; when it ends, so does the
 * request, its body included. **Upgrades** and CONNECT pass by.
 *
 * @throws TypeError or RangeError for options that are none
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { breaker, compose, retry } from "@proj/resilience";
 * import { policyInterceptor } from "@proj/resilience/undici";
 * import { Agent, request } from "undici";
 *
 * let calls = 0;
 * const server = createServer((_request, response) => response.writeHead(++calls < 3 ? 503 : 200).end("hello"));
 * await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
 * const { port } = server.address() as { port: number };
 *
 * const dispatcher = new Agent().compose(policyInterceptor(compose(retry(), breaker())));
 * const { statusCode, body } = await request(`http://127.0.0.1:${port}/`, { dispatcher });
 * console.log(statusCode, await body.text(), calls); // prints: 200 hello 3
 * await dispatcher.close();
 * server.close();
 * ```
 */
export function policyInterceptor(policies: RequestPolicies, options: PolicyInterceptorOptions = {}): Interceptor {
  checkFunction("make a policyInterceptor", "policies", policies);
  const settings = exchangeSettings("make a policyInterceptor", options);
  return (dispatch) => (request, handler) => {
    if (isTunnel(request)) return dispatch(request, handler);
    new Exchange(policies, dispatch, request, handler, settings).start();
    return true;
  };
}

/**
 * Ends requests with the context of their caller, and tells the server the time that is left. It is what all the other
 * interceptors do as well; alone it is for a dispatcher without policies.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { Context } from "@proj/concurrency";
 * import { deadlineInterceptor } from "@proj/resilience/undici";
 * import { Agent, request } from "undici";
 *
 * const server = createServer(({ headers }, response) => response.end(String(Number(headers["x-deadline-ms"]) <= 500)));
 * await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
 * const { port } = server.address() as { port: number };
 *
 * const dispatcher = new Agent().compose(deadlineInterceptor());
 * using context = Context.derive({ timeout: 500 });
 * const { body } = await Context.run(context, () => request(`http://127.0.0.1:${port}/`, { dispatcher }));
 * console.log(await body.text()); // prints: true
 * await dispatcher.close();
 * server.close();
 * ```
 */
export function deadlineInterceptor(): Interceptor {
  return policyInterceptor(compose());
}

/**
 * Sends requests for some origins to the endpoints of a balancer instead: the origin is then no more than a name, such as
 * `http://users.internal`. All others pass by.
 *
 * @throws TypeError for what is no origin or no policy
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { balance, roundRobin } from "@proj/resilience";
 * import { balanceInterceptor } from "@proj/resilience/undici";
 * import { Agent, request } from "undici";
 *
 * const server = createServer(({ headers }, response) => response.end(headers.host));
 * await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
 * const { port } = server.address() as { port: number };
 *
 * const users = balance([`http://127.0.0.1:${port}`], roundRobin());
 * const dispatcher = new Agent().compose(balanceInterceptor({ "http://users.internal": users }));
 * const { body } = await request("http://users.internal/7", { dispatcher });
 * console.log(await body.text()); // prints: users.internal
 * await dispatcher.close();
 * server.close();
 * ```
 */
export function balanceInterceptor(balancers: Readonly<Record<string, Policy>>): Interceptor {
  checkObject("make a balanceInterceptor", "balancers", balancers);
  const stacks = new Map(
    Object.entries(balancers).map(([origin, balancer]) => [
      checkOrigin("make a balanceInterceptor", origin),
      compose(balancer),
    ]),
  );
  const settings = exchangeSettings("make a balanceInterceptor", {});
  return (dispatch) => (request, handler) => {
    const stack = request.origin === undefined ? undefined : stacks.get(new URL(request.origin).origin);
    if (stack === undefined || isTunnel(request)) return dispatch(request, handler);
    new Exchange(stack, dispatch, request, handler, settings).start();
    return true;
  };
}

/** What is no request with one response. */
export function isTunnel({ upgrade, method }: Dispatcher.DispatchOptions): boolean {
  return Boolean(upgrade) || method === "CONNECT";
}

export function checkOrigin(action: string, origin: string): string {
  if (URL.canParse(origin)) {
    const url = new URL(origin);
    if (url.pathname === "/" && url.search === "" && url.hash === "" && url.origin !== "null") return url.origin;
  }
  throw new TypeError(`Cannot ${action}: an origin must be like http://users.internal, got ${describe(origin)}`);
}

export function exchangeSettings(action: string, options: PolicyInterceptorOptions): ExchangeSettings {
  const { propagate = true, maxReplay = 1_048_576 } = options;
  checkOneOf(action, "propagate", propagate, [true, false]);
  checkCount(action, "maxReplay", maxReplay, 0, true);
  return { propagate, maxReplay };
}
