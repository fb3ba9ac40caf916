// Endpoints that never change.
import { type EndpointSet, endpointsFrom } from "./balance-endpoints.ts";
import { type Discovery, discover } from "./discover.ts";

/**
 * Gives these endpoints once. For where a source is asked for, and for tests.
 *
 * @throws TypeError or RangeError for what is no endpoint
 * @example
 * ```ts
 * import { fixed } from "@proj/resilience/discovery";
 *
 * for await (const [endpoint] of fixed(["10.0.0.1:80"])) console.log(endpoint?.address); // prints: 10.0.0.1:80
 * ```
 */
export function fixed(endpoints: EndpointSet): Discovery {
  const checked = endpointsFrom("discover", endpoints);
  return discover(async (feed) => feed.found(checked), { name: "fixed" });
}
