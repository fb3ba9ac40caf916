// What a balancer asks of the strategy that chooses among its endpoints.
import type { Call } from "./call.ts";
import type { Endpoint } from "./endpoint.ts";

/** Says whether an endpoint may be chosen now. Asked during a pick, so it must be quick and must not throw. */
export type AcceptEndpoint = (endpoint: Endpoint) => boolean;

/** An endpoint as a strategy sees it. */
export interface Candidate {
  /** What it stands for; another object after an update that changes its weight or address. */
  readonly endpoint: Endpoint;
  /** Its place in the arrays of a strategy: below `Candidates.capacity`, its own until it is gone and all its calls ended. */
  readonly slot: number;
  /** Calls that were sent there and have not ended. */
  readonly inFlight: number;
  /** Whether it is among `Candidates.ready`. */
  readonly isReady: boolean;
  /** Its weight; while it starts slowly, the part of its weight that it should be given by now. */
  share(now: number): number;
}

/** The endpoints of a balancer. Always the same object, whose fields change. */
export interface Candidates {
  /** All that are known, in the order in which they became known. */
  readonly all: readonly Candidate[];
  /** Those to choose from: the healthy ones, or all when too few of them are. */
  readonly ready: readonly Candidate[];
  /** Slots are below this. */
  readonly capacity: number;
  /** Calls in flight on all endpoints together. */
  readonly inFlight: number;
}

/** Chooses the endpoint of each call for one balancer. */
export interface Picker {
  /** Returns one of `Candidates.ready` that is accepted; `undefined` if there is none. Should make no object. */
  pick(call: Call, accept: AcceptEndpoint | undefined): Candidate | undefined;
  /** A slot has a new owner. */
  added?(candidate: Candidate, now: number): void;
  /** Other endpoints, weights, or other ones ready. Comes after `added`. */
  changed?(now: number): void;
  /** A call has ended; it is no longer in flight. Must not throw. */
  done?(candidate: Candidate, call: Call): void;
}

/**
 * A way to choose among endpoints: {@link roundRobin}, {@link weighted}, {@link leastRequests}, {@link p2cEwma},
 * {@link ring}, or one of your own. Holds nothing itself, so that it can serve several balancers.
 */
export interface BalanceStrategy {
  /** For statistics and messages. */
  readonly name: string;
  /** Makes its state for one balancer. */
  open(candidates: Candidates, random: () => number): Picker;
}
