// Turns by weight, spread evenly over the time.
import { grown } from "./balance-round-robin.ts";
import type { AcceptEndpoint, BalanceStrategy, Candidate, Candidates, Picker } from "./balance-strategy.ts";
import type { Call } from "./call.ts";

/**
 * Smooth weighted round robin: of every so many calls in a row as the weights add up to, each endpoint gets exactly its
 * weight, and not one after the other. With weights 5, 1 and 1 that is a a c a b a a. An endpoint that is not accepted
 * loses its turn instead of saving it up.
 *
 * O(log n): a heap of the times at which the next turns are due, where the usual way looks at each endpoint each time.
 *
 * @example
 * ```ts
 * import { balance, weighted } from "@proj/resilience";
 *
 * const large = { id: "large", address: "http://10.0.0.1", weight: 5 };
 * const small = { id: "small", address: "http://10.0.0.2", weight: 1 };
 * await using servers = balance([large, small], weighted());
 * console.log(servers.stats().strategy); // prints: weighted
 * ```
 */
export function weighted(): BalanceStrategy {
  return { name: "weighted", open: (candidates) => new Weighted(candidates) };
}

/** Where the virtual time begins again, so that it never runs out of digits. */
const epoch = 2 ** 20;
/** Its multiples, without their whole parts, are as far from each other as can be. */
const golden = 0.618_033_988_749_894_9;

class Weighted implements Picker {
  readonly #candidates: Candidates;
  /** Those that are ready; the one whose turn is due first is on top. */
  #heap: Candidate[] = [];
  /** By slot: when its turns began, in virtual time, of which each turn of weight w takes 1/w. */
  #origin = new Float64Array(0);
  /** By slot: turns since then. Counted, for a sum of fractions would go astray. */
  #turns = new Float64Array(0);
  /** By slot: what follows of these: when its next turn is due. */
  #dueAt = new Float64Array(0);
  /** By slot: the weight that all this is for; 0 if the slot is new. */
  #share = new Float64Array(0);
  #now = 0;

  constructor(candidates: Candidates) {
    this.#candidates = candidates;
  }

  added({ slot }: Candidate): void {
    const { capacity } = this.#candidates;
    this.#origin = grown(this.#origin, capacity);
    this.#turns = grown(this.#turns, capacity);
    this.#dueAt = grown(this.#dueAt, capacity);
    this.#share = grown(this.#share, capacity);
    this.#share[slot] = 0;
  }

  changed(now: number): void {
    for (const candidate of this.#candidates.ready) {
      // Whoever was away has not saved up turns.
      if ((this.#share[candidate.slot] as number) === 0 || this.#due(candidate) < this.#now)
        this.#begin(candidate, now);
      else this.#reweigh(candidate, now);
    }
    this.#heap = this.#candidates.ready.toSorted((one, other) => this.#due(one) - this.#due(other)); // a heap, too
  }

  pick(call: Call, accept: AcceptEndpoint | undefined): Candidate | undefined {
    const heap = this.#heap;
    for (let left = heap.length; left > 0; left--) {
      const candidate = heap[0] as Candidate; // the heap has `left` or more
      this.#takeTurn(candidate, call.startedAt);
      if (accept === undefined || accept(candidate.endpoint)) return candidate;
    }
    if (accept === undefined) return undefined;
    // A heavy one that is not accepted may have come up each time.
    let first: Candidate | undefined;
    for (const candidate of heap) {
      if (accept(candidate.endpoint) && (first === undefined || this.#due(candidate) < this.#due(first)))
        first = candidate;
    }
    if (first !== undefined) this.#takeTurnAt(heap.indexOf(first), call.startedAt);
    return first;
  }

  #takeTurn(candidate: Candidate, now: number): void {
    this.#now = this.#due(candidate);
    this.#takeTurnAt(0, now);
    if (this.#now >= epoch) this.#startAgain();
  }

  #takeTurnAt(index: number, now: number): void {
    const candidate = this.#heap[index] as Candidate;
    const { slot } = candidate;
    this.#turns[slot] = (this.#turns[slot] as number) + 1;
    this.#reweigh(candidate, now);
    this.#plan(slot);
    this.#sink(index);
  }

  #due({ slot }: Candidate): number {
    return this.#dueAt[slot] as number;
  }

  /** Somewhere within its turn, so that the last one of a round is clear of its end, and each at a place of its own. */
  #plan(slot: number): void {
    const place = 0.05 + 0.9 * ((slot * golden) % 1);
    const turn = (this.#turns[slot] as number) + place;
    this.#dueAt[slot] = (this.#origin[slot] as number) + turn / (this.#share[slot] as number);
  }

  #begin(candidate: Candidate, now: number): void {
    const { slot } = candidate;
    this.#share[slot] = candidate.share(now);
    this.#origin[slot] = this.#now;
    this.#turns[slot] = 0;
    this.#plan(slot);
  }

  /** Goes on with another weight, as it has while it starts slowly, without moving the turns it has had. */
  #reweigh(candidate: Candidate, now: number): void {
    const { slot } = candidate;
    const share = candidate.share(now);
    if (share === this.#share[slot]) return;
    this.#origin[slot] = (this.#origin[slot] as number) + (this.#turns[slot] as number) / (this.#share[slot] as number);
    this.#turns[slot] = 0;
    this.#share[slot] = share;
    this.#plan(slot);
  }

  #startAgain(): void {
    for (const { slot } of this.#heap) {
      this.#origin[slot] = (this.#origin[slot] as number) - epoch;
      this.#plan(slot);
    }
    this.#now -= epoch;
  }

  #sink(start: number): void {
    const heap = this.#heap;
    const candidate = heap[start] as Candidate;
    const due = this.#due(candidate);
    let at = start;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      let childDue = this.#due(heap[child] as Candidate);
      if (child + 1 < heap.length) {
        const otherDue = this.#due(heap[child + 1] as Candidate);
        if (otherDue < childDue) {
          child++;
          childDue = otherDue;
        }
      }
      if (childDue >= due) break;
      heap[at] = heap[child] as Candidate;
      at = child;
    }
    heap[at] = candidate;
  }
}
