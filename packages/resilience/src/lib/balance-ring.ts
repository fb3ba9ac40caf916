// The same key on the same endpoint, as far as its load allows.
import { checkCount, checkFunction, describe } from "@proj/concurrency/options";
import { hash } from "./balance-hash.ts";
import { RingPoints } from "./balance-ring-points.ts";
import type { AcceptEndpoint, BalanceStrategy, Candidate, Candidates, Picker } from "./balance-strategy.ts";
import type { Call } from "./call.ts";

/** What can be set on {@link ring}. */
export interface RingOptions {
  /** What decides where a call goes; one without a key goes anywhere. Must not throw. Default: the `key` of the call. */
  readonly key?: ((call: Call) => string | undefined) | undefined;
  /**
   * How many times its fair share of the calls in flight an endpoint may have before its keys move on to the next one; 1
   * or more, `Infinity` for no bound. Default: 1.25.
   */
  readonly boundedLoad?: number | undefined;
  /** Points on the ring for an endpoint of the highest weight. More share more evenly and cost memory. Default: 512. */
  readonly replicas?: number | undefined;
}

/**
 * Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2018): each key has its endpoint, for the
 * sake of what is cached or kept there, in every process alike. When endpoints come or go, only about one key in n
 * moves. No endpoint has more than `boundedLoad` times its share of the calls in flight (rounded up), so that one popular
 * key cannot drown it; while it is full, not ready or not accepted, its keys go to those that follow on the ring.
 *
 * O(log n), plus the steps to one that has room. A change of the endpoints is one pass over all points.
 *
 * @throws TypeError or RangeError for options that are none
 * @example
 * ```ts
 * import { balance, ring } from "@proj/resilience";
 *
 * await using shards = balance(["cache-1:6379", "cache-2:6379", "cache-3:6379"], ring({ boundedLoad: 1.5 }));
 * console.log(shards.stats().strategy); // prints: ring
 * ```
 */
export function ring(options: RingOptions = {}): BalanceStrategy {
  const action = "balance by a ring";
  const { key = (call) => call.key, boundedLoad = 1.25, replicas = 512 } = options;
  checkFunction(action, "key", key);
  checkCount(action, "replicas", replicas, 1);
  if (typeof boundedLoad !== "number") {
    throw new TypeError(`Cannot ${action}: boundedLoad must be a number, got ${describe(boundedLoad)}`);
  }
  if (!(boundedLoad >= 1)) throw new RangeError(`Cannot ${action}: boundedLoad must be 1 or more, got ${boundedLoad}`);
  return {
    name: "ring",
    open: (candidates, random) => new Ring(candidates, random, key, boundedLoad, new RingPoints(replicas)),
  };
}

class Ring implements Picker {
  readonly #candidates: Candidates;
  readonly #random: () => number;
  readonly #key: (call: Call) => string | undefined;
  readonly #boundedLoad: number;
  readonly #points: RingPoints;
  /** Of all that are ready. */
  #weight = 0;

  constructor(
    candidates: Candidates,
    random: () => number,
    key: (call: Call) => string | undefined,
    boundedLoad: number,
    points: RingPoints,
  ) {
    this.#candidates = candidates;
    this.#random = random;
    this.#key = key;
    this.#boundedLoad = boundedLoad;
    this.#points = points;
  }

  /** Those that are not ready keep their points: their keys are soon back. */
  changed(): void {
    const { all, ready } = this.#candidates;
    this.#points.update(all);
    this.#weight = ready.reduce((sum, { endpoint }) => sum + (endpoint.weight ?? 1), 0);
  }

  pick(call: Call, accept: AcceptEndpoint | undefined): Candidate | undefined {
    const { ready } = this.#candidates;
    if (ready.length === 0) return undefined;
    const key = this.#key(call);
    const point = key === undefined ? Math.floor(this.#random() * 2 ** 32) : hash(key, 0);
    const perWeight = (this.#boundedLoad * (this.#candidates.inFlight + 1)) / this.#weight;
    return (
      this.#walk(point, perWeight, call.startedAt, accept) ?? this.#search(point, perWeight, call.startedAt, accept)
    );
  }

  /** Along the ring; gives up when it has seen more points than there would be without many that are refused. */
  #walk(point: number, perWeight: number, now: number, accept: AcceptEndpoint | undefined): Candidate | undefined {
    const points = this.#points;
    let at = points.find(point);
    let last: Candidate | undefined;
    for (let left = Math.min(points.size, 64 + 2 * this.#candidates.all.length); left > 0; left--) {
      const candidate = points.owner(at);
      if (candidate !== last && hasRoom(candidate, perWeight, now) && isFit(candidate, accept)) return candidate;
      last = candidate;
      if (++at === points.size) at = 0;
    }
    return undefined;
  }

  /** All of them, from one that the key decides: the first with room, else the first at all. */
  #search(point: number, perWeight: number, now: number, accept: AcceptEndpoint | undefined): Candidate | undefined {
    const { ready } = this.#candidates;
    let first: Candidate | undefined;
    for (let step = 0; step < ready.length; step++) {
      const candidate = ready[(point + step) % ready.length] as Candidate; // within the length
      if (!isFit(candidate, accept)) continue;
      if (hasRoom(candidate, perWeight, now)) return candidate;
      first ??= candidate;
    }
    return first;
  }
}

function isFit(candidate: Candidate, accept: AcceptEndpoint | undefined): boolean {
  return candidate.isReady && (accept === undefined || accept(candidate.endpoint));
}

function hasRoom(candidate: Candidate, perWeight: number, now: number): boolean {
  return candidate.inFlight < Math.ceil(perWeight * candidate.share(now));
}
