// Makes balancers.
import type { EndpointSource } from "./balance-endpoints.ts";
import type { BalanceOptions } from "./balance-options.ts";
import type { BalanceStrategy } from "./balance-strategy.ts";
import { Balancer } from "./balancer.ts";

/**
 * Makes a balancer, a gate that sends each call to one of several endpoints: those of an array, or those that an async
 * iterable of arrays gives one after the other, such as `dns()` of `@proj/resilience/discovery`. A text is an endpoint
 * whose id is its address.
 *
 * Endpoints that fail more often than others are **ejected** for a while, longer each time; `healthCheck` finds those
 * that are down before a call does; new ones **start slowly**. When too few are healthy, all are used. If the source
 * fails, the last endpoints stay. A pick makes no object and reads no clock.
 *
 * @throws TypeError or RangeError for options or endpoints that are none
 * @example
 * ```ts
 * import { balance, p2cEwma } from "@proj/resilience";
 *
 * await using servers = balance(["http://10.0.0.1:8080", "http://10.0.0.2:8080"], p2cEwma(), {
 *   name: "users",
 *   ejection: { consecutive: 3 },
 * });
 * await servers.ready();
 * console.log(servers.endpoints.map(({ address }) => address));
 * // prints: [ 'http://10.0.0.1:8080', 'http://10.0.0.2:8080' ]
 * ```
 */
export function balance(source: EndpointSource, strategy: BalanceStrategy, options?: BalanceOptions): Balancer {
  return new Balancer(source, strategy, options);
}
