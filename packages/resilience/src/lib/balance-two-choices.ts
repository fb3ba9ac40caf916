// The better one of two that are drawn at random: nearly as good as the best of all, and nobody stampedes.
import type { AcceptEndpoint, Candidate, Candidates } from "./balance-strategy.ts";

/** Draws that are tried before all are looked at. */
const draws = 4;

export class TwoChoices {
  readonly #candidates: Candidates;
  readonly #random: () => number;
  readonly #load: (candidate: Candidate, now: number) => number;

  constructor(candidates: Candidates, random: () => number, load: (candidate: Candidate, now: number) => number) {
    this.#candidates = candidates;
    this.#random = random;
    this.#load = load;
  }

  pick(now: number, accept: AcceptEndpoint | undefined): Candidate | undefined {
    const { ready } = this.#candidates;
    const count = ready.length;
    if (count < 2) return this.#draw(accept, undefined);
    let one: Candidate | undefined;
    let other: Candidate | undefined;
    if (accept === undefined) {
      const draw = Math.floor(this.#random() * count * (count - 1)); // one number decides both
      const first = draw % count;
      const second = Math.floor(draw / count);
      one = ready[first];
      other = ready[second < first ? second : second + 1];
    } else {
      one = this.#draw(accept, undefined);
      if (one === undefined) return undefined;
      other = this.#draw(accept, one);
    }
    if (one === undefined || other === undefined) return one;
    return this.#load(other, now) < this.#load(one, now) ? other : one;
  }

  /** Any that is accepted, but not `except`. */
  #draw(accept: AcceptEndpoint | undefined, except: Candidate | undefined): Candidate | undefined {
    const { ready } = this.#candidates;
    let at = 0;
    for (let left = draws; left > 0; left--) {
      at = Math.floor(this.#random() * ready.length);
      const candidate = ready[at];
      if (candidate !== undefined && isFit(candidate, accept, except)) return candidate;
    }
    for (let step = 1; step <= ready.length; step++) {
      const candidate = ready[(at + step) % ready.length] as Candidate; // within the length
      if (isFit(candidate, accept, except)) return candidate;
    }
    return undefined;
  }
}

function isFit(candidate: Candidate, accept: AcceptEndpoint | undefined, except: Candidate | undefined): boolean {
  return candidate !== except && (accept === undefined || accept(candidate.endpoint));
}
