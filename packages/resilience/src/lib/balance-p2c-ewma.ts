// Where a call will be answered soonest, of two, by what was measured.
import { checkDuration } from "@proj/concurrency/options";
import { grown } from "./balance-round-robin.ts";
import type { AcceptEndpoint, BalanceStrategy, Candidate, Candidates, Picker } from "./balance-strategy.ts";
import { TwoChoices } from "./balance-two-choices.ts";
import type { Call } from "./call.ts";

/** What can be set on {@link p2cEwma}. */
export interface P2cEwmaOptions {
  /** Milliseconds after which a measurement counts about a third of a new one. Above 0. Default: 10,000. */
  readonly decay?: number | undefined;
}

/**
 * Of two endpoints drawn at random, the one with the lower expected cost: its latency times the calls in flight there,
 * divided by its weight. The standard choice.
 *
 * The latency is a **peak** average that is sensitive to what is worse and slow to forgive, and that decays by time, so
 * that a slow endpoint is tried again when it has been left alone for a while (Finagle's `p2cPeakEwma`). One that fails
 * fast does not attract calls: a failure never lowers its latency, its cost is divided by its share of successes, and it
 * counts as if the calls that it has failed were still there.
 * What is not measured yet is tried by one call at a time, if there is a choice.
 *
 * O(1); up to O(n) when most endpoints are not accepted.
 *
 * @throws RangeError or TypeError for a `decay` that is no positive duration
 * @example
 * ```ts
 * import { balance, p2cEwma } from "@proj/resilience";
 *
 * await using servers = balance(["http://10.0.0.1", "http://10.0.0.2"], p2cEwma({ decay: 5_000 }));
 * console.log(servers.stats().strategy); // prints: p2c-ewma
 * ```
 */
export function p2cEwma(options: P2cEwmaOptions = {}): BalanceStrategy {
  const { decay = 10_000 } = options;
  checkDuration("balance by p2cEwma", "decay", decay);
  if (decay === 0) throw new RangeError("Cannot balance by p2cEwma: decay must be above 0 ms, got 0");
  return { name: "p2c-ewma", open: (candidates, random) => new PeakEwma(candidates, random, decay) };
}

/** The cost of what is not measured yet and in use: above that of anything measured. */
const unknown = 1e12;
/** However many calls fail, this share is taken to succeed. */
const leastSuccess = 0.05;
/** By how much one call changes the share of successes. */
const step = 0.1;

class PeakEwma implements Picker {
  readonly #candidates: Candidates;
  readonly #choices: TwoChoices;
  readonly #decay: number;
  /** By slot: milliseconds, when they were true; 0 if nothing was measured. */
  #latency = new Float64Array(0);
  /** By slot: the share of calls that fail. */
  #failing = new Float64Array(0);
  /** By slot: when the two were last brought up to date. */
  #stamp = new Float64Array(0);
  /** Of all successes, to judge one by that only ever fails. */
  #typical = 0;
  #typicalStamp = 0;

  constructor(candidates: Candidates, random: () => number, decay: number) {
    this.#candidates = candidates;
    this.#decay = decay;
    this.#choices = new TwoChoices(candidates, random, (candidate, now) => this.#cost(candidate, now));
  }

  pick(call: Call, accept: AcceptEndpoint | undefined): Candidate | undefined {
    return this.#choices.pick(call.startedAt, accept);
  }

  added({ slot }: Candidate, now: number): void {
    const { capacity } = this.#candidates;
    this.#latency = grown(this.#latency, capacity);
    this.#failing = grown(this.#failing, capacity);
    this.#stamp = grown(this.#stamp, capacity);
    this.#latency[slot] = 0;
    this.#failing[slot] = 0;
    this.#stamp[slot] = now;
  }

  done({ slot }: Candidate, call: Call): void {
    const now = call.endedAt;
    const took = Math.max(0, now - call.startedAt);
    const kept = this.#kept(this.#stamp[slot] as number, now);
    const before = this.#latency[slot] as number;
    this.#stamp[slot] = Math.max(now, this.#stamp[slot] as number);

    const failing = (this.#failing[slot] as number) * kept;
    if (call.outcome === "ok") {
      this.#latency[slot] = took > before ? took : before * kept + took * (1 - kept);
      this.#failing[slot] = failing * (1 - step);
      this.#measure(took, now);
    } else if (call.outcome === "ignore") {
      this.#latency[slot] = Math.max(before * kept, took); // it may have been cut short, so it tells a lower bound
      this.#failing[slot] = failing;
    } else {
      this.#latency[slot] = Math.max(before, took, this.#typical); // failing soon is no merit
      this.#failing[slot] = failing + (1 - failing) * step;
    }
  }

  #measure(took: number, now: number): void {
    const kept = this.#typical === 0 ? 0 : this.#kept(this.#typicalStamp, now);
    this.#typical = this.#typical * kept + took * (1 - kept);
    this.#typicalStamp = now;
  }

  #cost(candidate: Candidate, now: number): number {
    const { slot, inFlight } = candidate;
    const latency = this.#latency[slot] as number;
    if (latency === 0 && inFlight > 0) return (unknown + inFlight) / candidate.share(now);
    const kept = this.#kept(this.#stamp[slot] as number, now);
    const failing = Math.min(1 - leastSuccess, (this.#failing[slot] as number) * kept);
    const { ready, inFlight: all } = this.#candidates;
    const missing = (failing * all) / ready.length; // what fails at once has nothing in flight
    // Only what is idle is forgiven as time passes: one call tries it, and those that follow see the old cost until it
    // is back. What hangs gets no cheaper.
    const expected = inFlight === 0 ? latency * kept : latency * (inFlight + 1);
    return (expected * (1 + missing)) / ((1 - failing) * candidate.share(now));
  }

  /** The part of a measurement that is left after the time since. */
  #kept(then: number, now: number): number {
    return now > then ? Math.exp((then - now) / this.#decay) : 1;
  }
}
