// Each endpoint in its turn.
import type { AcceptEndpoint, BalanceStrategy, Candidate, Candidates, Picker } from "./balance-strategy.ts";
import type { Call } from "./call.ts";

/**
 * One endpoint after the other, whatever its weight. The right choice for calls of equal cost on equal servers; a slow
 * one gets as much as the others, which is what {@link p2cEwma} avoids. An endpoint that starts slowly lets turns pass.
 *
 * O(1), plus one step for each endpoint in a row that is not accepted.
 *
 * @example
 * ```ts
 * import { balance, roundRobin } from "@proj/resilience";
 *
 * await using servers = balance(["http://10.0.0.1", "http://10.0.0.2"], roundRobin());
 * console.log(servers.stats().strategy); // prints: round-robin
 * ```
 */
export function roundRobin(): BalanceStrategy {
  return { name: "round-robin", open: (candidates, random) => new RoundRobin(candidates, random) };
}

class RoundRobin implements Picker {
  readonly #candidates: Candidates;
  #next: number;
  /** By slot: the part of a turn that one which starts slowly has saved. */
  #saved = new Float64Array(0);

  constructor(candidates: Candidates, random: () => number) {
    this.#candidates = candidates;
    this.#next = Math.floor(random() * 2 ** 30); // many processes that start together must not all begin at the first
  }

  added({ slot }: Candidate): void {
    this.#saved = grown(this.#saved, this.#candidates.capacity);
    this.#saved[slot] = 0;
  }

  pick(call: Call, accept: AcceptEndpoint | undefined): Candidate | undefined {
    const { ready } = this.#candidates;
    let first: Candidate | undefined;
    for (let left = ready.length; left > 0; left--) {
      if (this.#next >= ready.length) this.#next %= ready.length;
      const candidate = ready[this.#next++] as Candidate; // below the length
      if (accept !== undefined && !accept(candidate.endpoint)) continue;
      if (this.#hasTurn(candidate, call.startedAt)) return candidate;
      first ??= candidate;
    }
    return first; // all that are accepted start slowly
  }

  #hasTurn(candidate: Candidate, now: number): boolean {
    const share = candidate.share(now);
    const weight = candidate.endpoint.weight ?? 1;
    if (share >= weight) return true;
    const saved = (this.#saved[candidate.slot] as number) + share / weight;
    this.#saved[candidate.slot] = saved >= 1 ? saved - 1 : saved;
    return saved >= 1;
  }
}

/** The same array, or a larger one with the same content. */
export function grown(array: Float64Array<ArrayBuffer>, capacity: number): Float64Array<ArrayBuffer> {
  if (array.length >= capacity) return array;
  const larger = new Float64Array(capacity);
  larger.set(array);
  return larger;
}
