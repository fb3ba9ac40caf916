// Finds endpoints in whatever knows them, and keeps them when that is away.
import type { Context } from "@proj/concurrency";
import { checkFunction } from "@proj/concurrency/options";
import type { EndpointSet } from "./balance-endpoints.ts";
import { Feed } from "./discover-feed.ts";
import { type DiscoverOptions, settle } from "./discover-options.ts";
import type { Endpoint } from "./endpoint.ts";

/** Where a {@link DiscoveryWatch} brings what it finds. */
export interface DiscoveryFeed {
  /** The endpoints as they are now, all of them. One that is the same as the one before changes nothing. */
  found(endpoints: EndpointSet): void;
  /** Something went wrong that does not end the watch: it is told as an event. */
  failed(error: unknown): void;
}

/**
 * Follows a registry: brings each set to the feed until its context ends. When it throws it is called again after a
 * pause, longer each time until it brings a set; when it returns, there will never be another set.
 */
export type DiscoveryWatch = (feed: DiscoveryFeed, context: Context) => Promise<void>;

/** Sets of endpoints, one after the other. Each iteration watches on its own, from the first `next()` to `return()`. */
export type Discovery = AsyncIterable<readonly Endpoint[], undefined>;

/**
 * Makes a source of endpoints of a function that follows a registry; `dns()`, `consul()`, `etcd()` and `file()` are made
 * with it. An outage of the registry does not show: the last set stays until there is a better one. Sets are sorted
 * by id and come only when something has changed; whoever is slow gets the latest. Failures and changes are events.
 *
 * Nothing here keeps the process alive. The iteration ends when `signal` does, with its reason.
 *
 * @throws TypeError for a watch that is no function
 * @example
 * ```ts
 * import { discover } from "@proj/resilience/discovery";
 *
 * const source = discover(async (feed) => {
 *   feed.found(["10.0.0.2:80", "10.0.0.1:80"]); // from a registry of your own
 * });
 * for await (const endpoints of source) console.log(endpoints.map(({ id }) => id)); // prints: [ '10.0.0.1:80', '10.0.0.2:80' ]
 * ```
 */
export function discover(watch: DiscoveryWatch, options: DiscoverOptions = {}): Discovery {
  checkFunction("discover", "watch", watch);
  const settings = settle("discovery", options);
  return { [Symbol.asyncIterator]: () => new Feed(watch, settings) };
}
