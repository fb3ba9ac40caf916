// Endpoints as callers give them.
import { describe } from "@proj/concurrency/options";
import type { Endpoint } from "./endpoint.ts";

/** A set of endpoints; a text is one whose id is its address. */
export type EndpointSet = readonly (Endpoint | string)[];

/** Endpoints that stay, or that are found one set after the other. */
export type EndpointSource = EndpointSet | AsyncIterable<EndpointSet>;

/**
 * Checks them. Of those of one id the first counts; one of weight 0 gets no calls, so it is left out.
 *
 * @throws TypeError or RangeError for what is no endpoint
 */
export function endpointsFrom(action: string, set: EndpointSet): Endpoint[] {
  if (!Array.isArray(set)) throw new TypeError(`Cannot ${action}: endpoints must be an array, got ${describe(set)}`);
  const known = new Set<string>();
  return set
    .map((given: unknown) => endpointFrom(action, given))
    .filter(({ id, weight }) => weight !== 0 && !known.has(id) && known.add(id));
}

function endpointFrom(action: string, given: unknown): Endpoint {
  if (typeof given === "string") return { id: given, address: given };
  const { id, address, weight } = (given ?? {}) as Partial<Endpoint>;
  if (typeof id !== "string" || typeof address !== "string") {
    throw new TypeError(`Cannot ${action}: an endpoint must have a text as id and as address, got ${describe(given)}`);
  }
  if (weight !== undefined && !(Number.isFinite(weight) && weight >= 0)) {
    throw new RangeError(
      `Cannot ${action}: the weight of ${id} must be a number of at least 0, got ${describe(weight)}`,
    );
  }
  return given as Endpoint;
}
