// Several gates as one: who was let in by one and turned away by the next has left the first again.
import type { CallRecord } from "./call-record.ts";
import type { Gate } from "./policy.ts";
import { turnAway } from "./verdict.ts";

/** What `enter` gives and `exit` wants: one token needs no array. */
export type Tokens = number | readonly number[];

export class Gates {
  readonly list: readonly Gate[];
  /** The usual case, kept apart for speed. */
  readonly #only: Gate | undefined;

  constructor(list: readonly Gate[]) {
    this.list = list;
    this.#only = list.length === 1 ? list[0] : undefined;
  }

  /** @throws what a gate throws, after those in front of it were told */
  enter(call: CallRecord): Tokens {
    if (this.#only !== undefined) return this.#only.enter(call);
    if (this.list.length === 0) return 0;
    const tokens: number[] = [];
    try {
      for (const gate of this.list) tokens.push(gate.enter(call));
    } catch (error) {
      if (tokens.length > 0) turnAway(call, error);
      this.#leave(call, tokens);
      throw error;
    }
    return tokens;
  }

  exit(call: CallRecord, tokens: Tokens | undefined): void {
    if (this.#only !== undefined)
      this.#only.exit(call, tokens as number); // as its `enter` gave it
    else if (typeof tokens === "object") this.#leave(call, tokens);
  }

  /** The innermost first. */
  #leave(call: CallRecord, tokens: readonly number[]): void {
    for (let index = tokens.length - 1; index >= 0; index--) {
      this.list[index]?.exit(call, tokens[index] as number); // there is one for each gate that was passed
    }
  }
}
