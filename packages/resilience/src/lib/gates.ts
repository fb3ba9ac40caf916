// Several gates as one: who was let in by one and turned away by the next has left the first again.
import type { CallRecord } from "./call-record.ts";
import type { Gate, QuietGate } from "./policy.ts";
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

  /** Returns `undefined` for a call that was turned away: it has the error, and the gates in front of that one were told. */
  enter(call: CallRecord): Tokens | undefined {
    if (this.#only !== undefined) return pass(this.#only, call);
    if (this.list.length === 0) return 0;
    const tokens: number[] = [];
    for (const gate of this.list) {
      const token = pass(gate, call);
      if (token === undefined) {
        this.#leave(call, tokens);
        return undefined;
      }
      tokens.push(token);
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

/** To throw costs more than all the rest: gates that turn many away have another way to say so. */
function pass(gate: Gate | QuietGate, call: CallRecord): number | undefined {
  try {
    return "tryEnter" in gate ? gate.tryEnter(call) : gate.enter(call);
  } catch (error) {
    turnAway(call, error);
    return undefined;
  }
}
