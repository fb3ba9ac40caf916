// Where the fewest calls are in flight, of two.
import type { BalanceStrategy } from "./balance-strategy.ts";
import { TwoChoices } from "./balance-two-choices.ts";

/**
 * Of two endpoints drawn at random, the one with fewer calls in flight for its weight. Needs no measurements, and finds
 * the slow ones by the calls that pile up there; as in Envoy, not the least of all, to which all processes would turn
 * at the same time.
 *
 * O(1); up to O(n) when most endpoints are not accepted.
 *
 * @example
 * ```ts
 * import { balance, leastRequests } from "@proj/resilience";
 *
 * await using servers = balance(["http://10.0.0.1", "http://10.0.0.2"], leastRequests());
 * console.log(servers.stats().strategy); // prints: least-requests
 * ```
 */
export function leastRequests(): BalanceStrategy {
  return {
    name: "least-requests",
    open(candidates, random) {
      const choices = new TwoChoices(candidates, random, (candidate, now) => {
        return (candidate.inFlight + 1) / candidate.share(now);
      });
      return { pick: (call, accept) => choices.pick(call.startedAt, accept) };
    },
  };
}
